"""What ``learn author check`` asks of a technique's files, one module for each family of rules.

A rule is a function that returns a few words on what it looked at, and a list of what is wrong: which file and line,
what is there, and what mends it. ``groundup.grader.authoring.author.Check`` names the rules and tries them in order.
"""
