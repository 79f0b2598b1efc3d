"""The HTTP API of projects and exports."""
