"""Reference implementations with marked holes, one file per technique."""
