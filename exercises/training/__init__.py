"""Stubs of the track training."""
