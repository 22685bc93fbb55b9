"""Reference implementations, one file a technique, holes marked."""
