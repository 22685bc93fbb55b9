"""References of the track ``training``."""
