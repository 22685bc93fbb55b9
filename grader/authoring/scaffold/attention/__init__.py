"""Attention: each query head with a key/value head of its own."""
