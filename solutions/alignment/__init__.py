"""Reference implementations of the alignment track."""
