"""References of the track ``rl``."""
