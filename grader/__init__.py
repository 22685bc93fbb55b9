"""The judge: runs an attempt in another process and says, with evidence, what holds."""
