"""Stubs of the track rl."""
