"""The plugin contract: all hooks. A hook returns values and changes nothing itself.

A plugin is a module with functions marked ``@hookimpl`` and named as below; an entry point in the group ``groundup``
names the module. A marked function with any other name is an error that names the plugin.

A plugin's own sentences (``Message``, errors, its commands' help) are English. For other languages it may have
catalogues beside its module, ``locale/<language>/LC_MESSAGES/<any name>.mo``: they are asked for what ours lacks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from groundup.core.quiz.question import Question
    from groundup.core.technique import Roadmap, Technique

PROJECT = "groundup"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def techniques() -> Iterable[Technique]:  # type: ignore[empty-body]
    """Return the techniques that this plugin teaches: ``[Technique.from_package(__name__)]``.

    This reads ``technique.toml`` beside the module. Called when plugins are loaded; must not import torch. Ids of
    techniques are unique. A plugin with any error in its declarations is not loaded at all; a request for one of its
    techniques or roadmaps raises that error.
    """


@hookspec
def roadmaps() -> Iterable[Roadmap]:  # type: ignore[empty-body]
    """Return roadmaps. Their days may name techniques of other plugins, and techniques not yet written.

    A learner selects one by its id: ``roadmap = "..."`` in learn.toml. Ids of roadmaps are unique.
    """


@hookspec
def question_types() -> dict[str, type[Question]]:  # type: ignore[empty-body]
    """Return further kinds of quiz question: a dict from the ``kind`` in a quiz file to the model of its fields.

    The model derives from ``groundup.core.quiz.question.Asked``, or from ``Question`` if drawing it makes a question of
    another kind. A name that another plugin or Groundup itself uses is an error.
    """


@hookspec
def brief_sections(verdicts: list[dict[str, Any]], lang: str) -> dict[str, str]:  # type: ignore[empty-body]
    """Return sections for the learner's brief, as a dict from title to Markdown.

    ``verdicts`` are the verdicts that the brief quotes (``Verdict`` as JSON): the best one of each graded technique.
    The brief names the plugin beside its sections; HTML and images in them are shown as text. Return an empty dict
    where there is nothing to say.
    """


@hookspec
def verdict_given(verdict: dict[str, Any]) -> None:
    """Receive a verdict (``Verdict`` as JSON) after it is recorded. The return value is ignored.

    The learner waits while the hook runs: be quick. An exception changes neither the verdict nor the exit code.
    """


@hookspec
def commands() -> Iterable[click.Command]:  # type: ignore[empty-body]
    """Return further commands for ``learn``. They are looked up when no built-in command has the name typed.

    A name that a built-in command or another plugin uses is an error. A GroundupError raised by a command ends it with
    the error's message and exit code; 'learn doctor' lists the available commands.
    """
