"""Parallelism: one training step, spread over many processes."""
