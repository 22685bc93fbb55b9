"""The judge: runs an attempt in another process and gives a verdict with evidence."""
