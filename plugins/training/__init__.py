"""Training: optimizers, precision, memory and checkpoints."""
