"""The rules of ``learn author check`` for a technique's files, one module per family of rules.

A rule is a function that returns a short summary of what it checked, and a list of problems: file and line, what is
wrong, and how to fix it. ``groundup.grader.authoring.author.Check`` names the rules and runs them in order.
"""
