"""Questions on the track ``alignment``."""
