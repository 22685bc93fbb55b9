"""Optimizer: gradient descent with momentum."""
