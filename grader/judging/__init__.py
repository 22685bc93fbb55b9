"""The trusted side: runs properties on an attempt, compares answers, names the mistake, gives the verdict."""
