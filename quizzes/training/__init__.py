"""Questions on the track ``training``."""
