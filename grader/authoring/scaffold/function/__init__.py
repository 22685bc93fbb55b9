"""A function: discounted returns."""
