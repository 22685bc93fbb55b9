"""Collective: everything goes through rank 0."""
