"""Stubs of the track parallelism."""
