"""Grades a class of submissions: finds them, grades them with an engine, and writes rows, files and a page."""
