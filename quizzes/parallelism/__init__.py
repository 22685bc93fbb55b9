"""Questions on the track ``parallelism``."""
