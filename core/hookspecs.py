"""The plugin contract: every hook, whole. A hook returns values; it changes nothing itself.

A plugin is a module with functions marked ``@hookimpl`` and named as below, found through an entry point in the
group ``groundup``. A marked function of another name is an error that names the plugin.

A plugin's own sentences (``Message``, errors, its commands' help) are English. For another language it may bring
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

    That reads ``technique.toml`` beside the module. Called when plugins are loaded; must not import torch. No two
    techniques have the same id. A plugin with anything wrong in what it declares is left out whole; whoever asks for
    what it would have declared is told what is wrong.
    """


@hookspec
def roadmaps() -> Iterable[Roadmap]:  # type: ignore[empty-body]
    """Return roadmaps. Their days may name techniques of other plugins, and ones that nobody has written yet.

    A learner follows one by its id: ``roadmap = "..."`` in learn.toml. No two have the same.
    """


@hookspec
def question_types() -> dict[str, type[Question]]:  # type: ignore[empty-body]
    """Return further kinds of quiz question: the ``kind`` a quiz file names, and the model of its fields.

    The model derives from ``groundup.core.quiz.question.Asked``, or from ``Question`` where drawing it makes another
    question. No plugin may take a name that another, or Groundup itself, has taken.
    """


@hookspec
def brief_sections(verdicts: list[dict[str, Any]], lang: str) -> dict[str, str]:  # type: ignore[empty-body]
    """Return sections for the learner's brief, title to Markdown, from the verdicts it quotes (``Verdict`` as JSON).

    There is one verdict for each technique that was graded, the best. The brief names the plugin beside its sections;
    HTML in them is shown as text, and so are pictures. Return no section where there is nothing to say.
    """


@hookspec
def verdict_given(verdict: dict[str, Any]) -> None:
    """Be told of a verdict (``Verdict`` as JSON) after it is recorded. What is returned is ignored.

    The learner waits while it runs: be quick. One that raises changes neither the verdict nor the exit code.
    """


@hookspec
def commands() -> Iterable[click.Command]:  # type: ignore[empty-body]
    """Return further commands for ``learn``. They are looked up when no built-in command has the name typed.

    No plugin may take the name of a built-in command, or one that another has taken. A GroundupError that a command
    raises becomes its message and exit code; 'learn doctor' lists the commands that there are.
    """
