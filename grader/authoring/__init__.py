"""For authors: the check of a technique, its mutants, and the scaffold of a new one."""
