"""What can go wrong while the system is brought up."""


class LocalCloudError(Exception):
    """The system can't run here; the text says why, what to do, and where the log is if there is one."""
