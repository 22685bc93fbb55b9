"""The process in which an attempt runs, its containment, and its communication with the judge."""
