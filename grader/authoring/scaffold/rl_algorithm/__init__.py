"""RLAlgorithm: one example for each batch. ``batches/`` has what differs, one file for each."""
