"""Stubs of the track inference."""
