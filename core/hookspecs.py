"""The plugin contract: every hook, whole. A hook returns values; it changes nothing itself.

A plugin is a module with functions marked ``@hookimpl`` and named as below, found through an entry point in the
group ``groundup``. A marked function of another name is an error that names the plugin.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from groundup.core.question import Question
    from groundup.core.technique import Roadmap, Technique

PROJECT = "groundup"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def techniques() -> Iterable[Technique]:  # type: ignore[empty-body]
    """Return the techniques that this plugin teaches. Called once a process; must not import torch."""


@hookspec
def roadmaps() -> Iterable[Roadmap]:  # type: ignore[empty-body]
    """Return roadmaps. Their days may name techniques of other plugins, and ones that nobody has written yet."""


@hookspec
def question_types() -> dict[str, type[Question]]:  # type: ignore[empty-body]
    """Return further kinds of quiz question: the ``kind`` a quiz file names, and the model of its fields.

    The model derives from ``groundup.core.question.Asked``, or from ``Question`` where drawing it makes another
    question. No plugin may take a name that another, or Groundup itself, has taken.
    """


@hookspec
def brief_sections(verdicts: list[dict[str, Any]], lang: str) -> dict[str, str]:  # type: ignore[empty-body]
    """Return sections for the learner's brief, title to Markdown, from the verdicts it quotes (``Verdict`` as JSON)."""


@hookspec
def verdict_given(verdict: dict[str, Any]) -> None:
    """Be told of a verdict (``Verdict`` as JSON) after it is recorded. One that raises is reported and ignored."""


@hookspec
def commands() -> Iterable[click.Command]:  # type: ignore[empty-body]
    """Return further commands for ``learn``. They are looked up when no built-in command has the name typed."""
