"""ParallelStrategy: gradients averaged in one all-reduce."""
