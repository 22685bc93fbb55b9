"""Stubs of the track architecture."""
