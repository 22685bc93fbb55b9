"""The abstract classes that implementations fulfil, one file a family."""
