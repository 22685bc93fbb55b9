"""What ``learn quiz`` prints of answers: whether each was right, and the result of a whole quiz."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from groundup.cli.layout import passage, wrapped
from groundup.cli.names import called
from groundup.cli.words import ntr, told, tr
from groundup.core.messages import GAP, Message

if TYPE_CHECKING:
    from groundup.core.technique import Technique
    from groundup.grader.learner.quiz import Review, Reviewed

__all__ = ["heading", "show_outcome", "show_summary"]

SURE = Message("Of the {count} that you were sure of, {right} right.", count=0, right=0)
UNSURE = Message("Of the {count} that you were unsure of, {right} right.", count=0, right=0)
GUESSED = Message("Of the {count} that you guessed, {right} right.", count=0, right=0)


def show_outcome(reviewed: Reviewed, lang: str, err: bool = False) -> None:
    """Print whether the answer was right, the right answer, its explanation and its source."""
    right, given = _in_lines(reviewed.right_answer or ""), _in_lines(reviewed.answered or "")
    click.echo(err=err)
    if reviewed.by_oneself:
        _show_own(reviewed, err)
    elif reviewed.right:
        click.echo(passage(tr("Right: {answer}", answer=right), first=click.style("  ✓ ", fg="green")), err=err)
    else:
        wrong = tr("Not right. The answer is {answer}", answer=right)
        wrong = wrong if reviewed.answered else tr("Not answered. The answer is {answer}", answer=right)
        sign = click.style("  ✗ ", fg="red")
        if reviewed.credit:
            points = f"{reviewed.credit:.2f}"
            wrong = tr("Right in part: {points} of a point. The answer is {answer}", points=points, answer=right)
            sign = click.style("  ◐ ", fg="yellow")
        click.echo(passage(wrong, first=sign), err=err)
        if reviewed.answered:
            click.echo(passage(tr("You said {answer}", answer=given), first="    "), err=err)
    if reviewed.explanation:
        click.echo(passage(reviewed.explanation, first="    "), err=err)
    click.echo(wrapped(tr("Source: {source}", source="; ".join(_sources(reviewed, lang))), first="    "), err=err)


def _in_lines(answer: str) -> str:
    """Return an answer to follow other words: one of several lines begins on a line of its own."""
    return f"\n{answer}" if "\n" in answer else answer


def _show_own(reviewed: Reviewed, err: bool) -> None:
    """Print an answer that the learner marks, and what a good one says."""
    if reviewed.answered:
        click.echo(wrapped(tr("You said {answer}", answer=reviewed.answered), first="  · "), err=err)
    else:
        click.echo(wrapped(tr("Not answered."), first="  · "), err=err)
    click.echo(wrapped(tr("A good answer: {answer}", answer=reviewed.right_answer or ""), first="    "), err=err)
    for number, point in enumerate(reviewed.rubric, start=1):
        click.echo(wrapped(point, first=f"    {number}  "), err=err)


def _sources(reviewed: Reviewed, lang: str) -> Iterator[str]:
    source = reviewed.source
    if source:
        yield ", ".join(part for part in (source.title, source.where, source.url) if part)
    if reviewed.section:
        yield tr("the lesson, '{section}'", section=reviewed.section)


def show_summary(review: Review, technique: Technique, lang: str) -> None:
    """Print how many answers were right, and which sections of the lesson to read again."""
    score = tr("{right} of {total} right.", right=review.right, total=review.total)
    kept = (
        tr("Recorded in your workspace, seed {seed}.", seed=review.seed)
        if review.recorded
        else tr("There is no workspace here, so nothing is recorded.")
    )
    colour = "green" if review.right == review.total else "yellow"
    if review.points != review.right:
        points = f"{review.points:.2f}"
        kept = tr("{points} points, as some are right in part.", points=points) + told(GAP) + kept
    click.echo("\n" + wrapped(kept, first=click.style(score, fg=colour, bold=True) + told(GAP), rest=""))
    if review.by_oneself:
        points = f"{review.own_points:.2f}"
        own = ntr(
            "Marked by yourself, and not counted there: {points} of {count} question.",
            "Marked by yourself, and not counted there: {points} of {count} questions.",
            review.by_oneself,
            points=points,
        )
        click.echo(wrapped(own))
    for level, said in (("sure", SURE), ("unsure", UNSURE), ("guess", GUESSED)):
        if level in review.confident:
            count, right = review.confident[level]
            click.echo(wrapped(told(said.filled(right=right, count=count)), first="  "))
    if review.study:
        lesson = f"{called()} read {technique.name}"
        click.echo(tr("To read again ({command}):", command=lesson))
    for section in review.study:
        wrong = [str(n) for n, r in enumerate(review.questions, 1) if r.section == section and not r.right]
        line = ntr(
            "{section}  (question {numbers})",
            "{section}  (questions {numbers})",
            len(wrong),
            section=section,
            numbers=tr(", ").join(wrong),
        )
        click.echo(wrapped(line, first="  "))


def heading(number: int, total: int, text: str) -> str:
    """Return a question's text, with its number and theirs."""
    return passage(text, first=click.style(f"{number}/{total}  ", bold=True))
