"""The trusted side: runs properties on an attempt, compares, names the mistake, gives the verdict."""
