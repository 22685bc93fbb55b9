"""Stubs of the track alignment."""
