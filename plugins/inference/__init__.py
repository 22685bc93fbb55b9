"""Inference: serving a trained model, quickly and within its memory."""
