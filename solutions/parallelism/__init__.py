"""References of the track ``parallelism``."""
