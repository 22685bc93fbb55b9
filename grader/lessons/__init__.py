"""Lessons: what they are made of, and their two views, for a terminal and as a page."""
