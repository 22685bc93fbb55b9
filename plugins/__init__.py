"""Built-in techniques, one folder each under their track, and the built-in roadmaps."""
