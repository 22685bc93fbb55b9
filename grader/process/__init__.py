"""The process in which an attempt runs, the walls around it, and how the judge speaks with it."""
