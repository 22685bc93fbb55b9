"""A class of submissions: found, graded by some engine, and told as rows, files and a page."""
