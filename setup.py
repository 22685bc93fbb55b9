"""The package list: every folder under the seven roots, mapped into the one namespace ``groundup``."""

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
