"""Reinforcement learning: values, advantages, policies."""
