"""Questions on the track ``rl``."""
