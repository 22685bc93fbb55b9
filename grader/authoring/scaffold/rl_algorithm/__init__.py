"""RLAlgorithm: the policy gradient with a baseline."""
