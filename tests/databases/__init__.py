"""The tests on each database: ``python -m tests.databases [--on NAME …] [arguments of pytest]``."""
