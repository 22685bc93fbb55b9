"""The overview of a class, as one self-contained HTML file."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jinja2

from groundup.core.messages import Message
from groundup.grader.batch.journal import Round
from groundup.grader.batch.moves import Moves
from groundup.grader.batch.row import Row
from groundup.grader.judging.verdict import PropertyResult
from groundup.grader.learner.templates import Texts, environment
from groundup.grader.process.text import printable

__all__ = ["Summary", "page", "summarised"]

BINS = 10  # of 10 percent each; full scores have a bar of their own
LISTED = 10
ORDER = ("passed", "fell_short", "not_started", "died", "not_gradable", "nothing_to_grade")


@dataclass(frozen=True)
class Line:
    """A submission in the page's lists."""

    name: str
    outcome: str
    score: float
    points: float
    out_of: float
    held: str
    why: str
    by_hand: bool
    """Whether it was not judged on what it computes, or not everything in it was looked at."""


@dataclass(frozen=True)
class Failing:
    """How many attempts failed a property, and for how many it was not run."""

    claim: str
    id: str
    failed: int
    not_reached: int


@dataclass
class Summary:
    """Statistics over the rows of a class."""

    outcomes: Counter[str] = field(default_factory=Counter)
    scores: list[float] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    statuses: dict[str, Counter[str]] = field(default_factory=dict)
    mistakes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    ran: int = 0
    examples: int = 0
    left_out: list[str] = field(default_factory=list)
    """Files in no learner's folder."""

    @property
    def by_hand(self) -> list[Line]:
        """The submissions to look at by hand."""
        return [line for line in self.lines if line.by_hand]

    @property
    def mean(self) -> float | None:
        """The mean of the scores that count."""
        return statistics.fmean(self.scores) if self.scores else None

    @property
    def median(self) -> float | None:
        """The median of the scores that count."""
        return statistics.median(self.scores) if self.scores else None

    def bars(self) -> list[tuple[str, int]]:
        """Return a histogram of the scores: ranges of ten percent, and the full score."""
        counts = Counter(BINS if score >= 1 else int(score * BINS) for score in self.scores)
        labels = [f"{n * 100 // BINS}–{(n + 1) * 100 // BINS - 1}%" for n in range(BINS)] + ["100%"]
        return [(label, counts[n]) for n, label in enumerate(labels)]

    def failing(self, properties: Iterable[PropertyResult]) -> list[Failing]:
        """Return the properties that most attempts fail, most failed first."""
        found = [
            Failing(p.claim, p.id, s["failed"] + s["died"], s["not_reached"] + s["not_started"])
            for p in properties
            if (s := self.statuses.get(p.id))
        ]
        return sorted((f for f in found if f.failed), key=lambda f: -f.failed)[:LISTED]

    def as_json(self) -> dict[str, Any]:
        """Return the numbers as plain data."""
        return {
            "submissions": sum(self.outcomes.values()),
            "outcomes": {name: self.outcomes[name] for name in ORDER if self.outcomes[name]},
            "mean_score": self.mean,
            "median_score": self.median,
            "by_hand": {line.name: line.why for line in self.by_hand},
            "left_out": self.left_out,
        }


def summarised(rows: Iterable[Row], texts: Texts, left_out: Iterable[str] = ()) -> Summary:
    """Return the summary of the rows, which are read one by one and not kept in memory."""
    summary = Summary(left_out=list(left_out))
    for row in rows:
        summary.outcomes[row.outcome] += 1
        if row.outcome != "not_gradable":
            summary.scores.append(row.score)
        verdict, why = row.verdict, [texts.told(text) for text in (row.problem, row.note) if text]
        if verdict:
            ran = row.problem is None and row.outcome != "not_started"
            summary.ran += ran
            summary.examples = verdict.examples
            for result in verdict.properties if ran else ():
                summary.statuses.setdefault(result.id, Counter())[result.status] += 1
            for found in verdict.diagnosis if not any(d.perhaps for d in verdict.diagnosis) else ():
                summary.mistakes[found.id, found.kind, found.says] += 1
            if row.problem is None:
                why = [*(d.id for d in verdict.diagnosis), *why]
        held = f"{verdict.held}/{len(verdict.properties)}" if verdict else ""
        by_hand = row.note is not None or row.outcome in ("not_gradable", "nothing_to_grade")
        told = texts("comma").join(why)
        summary.lines.append(Line(row.name, row.outcome, row.score, row.points, row.out_of, held, told, by_hand))
    return summary


def page(
    summary: Summary,
    round: Round,
    number: int,
    properties: Sequence[PropertyResult],
    texts: Texts,
    moves: Moves | None = None,
    changed: Sequence[Message] = (),
) -> str:
    """Return the page. ``moves`` is None in a first round; ``changed``: what is new in how it was graded."""
    bars = summary.bars()
    return (
        _environment()
        .get_template("class.html.jinja")
        .render(
            t=texts,
            tongue=texts.tongue,
            round=round,
            number=number,
            summary=summary,
            order=[name for name in ORDER if summary.outcomes[name]],
            bars=bars,
            tallest=max((count for _, count in bars), default=0) or 1,
            failing=summary.failing(properties),
            mistakes=sorted(summary.mistakes.items(), key=lambda m: (-m[1], m[0]))[:LISTED],
            by_hand=summary.by_hand,
            moves=moves,
            changed=texts("comma").join(texts.told(each) for each in changed) or texts("moved_nothing"),
        )
        .rstrip("\n")
        + "\n"
    )


@cache
def _environment() -> jinja2.Environment:
    made = environment(lambda value: value if hasattr(value, "__html__") else printable(str(value)))
    made.filters["percent"] = lambda score: f"{min(score, 0.99 if score < 1 else 1):.0%}"
    made.filters["number"] = lambda value: f"{value:g}"
    return made
