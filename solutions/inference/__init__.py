"""References of the track ``inference``."""
