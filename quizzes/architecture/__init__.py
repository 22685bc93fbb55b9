"""Questions on the track ``architecture``."""
