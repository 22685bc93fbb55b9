"""Questions on the track ``inference``."""
