"""Computes the package list: every package under the seven roots, in the namespace ``groundup``."""

from pathlib import Path

from setuptools import setup

ROOTS = ("core", "plugins", "solutions", "exercises", "quizzes", "grader", "cli")

setup(
    packages=[
        "groundup." + ".".join(init.parent.relative_to(Path(__file__).parent).parts)
        for root in ROOTS
        for init in sorted((Path(__file__).parent / root).rglob("__init__.py"))
    ]
)
