"""References of the track ``architecture``."""
