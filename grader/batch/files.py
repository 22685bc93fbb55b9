"""Output files besides the rows: a log and a results.json per learner, and tables for the class."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from groundup.core.messages import Message
from groundup.grader.batch import gradescope
from groundup.grader.batch.journal import replace
from groundup.grader.batch.moves import Move
from groundup.grader.batch.names import file_name
from groundup.grader.batch.row import Row
from groundup.grader.judging.verdict import PropertyResult
from groundup.grader.learner.templates import Texts

__all__ = ["CSV", "MOVED", "cell", "moved_table", "results_file", "table", "write_for"]

CSV, MOVED, LOGS, GRADESCOPE = "results.csv", "moved.csv", "logs", "gradescope"
LEFT_OUT = Message("in no learner's folder")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # first characters that make a spreadsheet evaluate a cell
COLUMNS = [
    "name", "file", "outcome", "score", "points", "out_of", "held", "properties", "mistakes", "reason", "problem",
    "note", "seconds", "seed", "sha256", "command",
]  # fmt: skip


def write_for(folder: Path, row: Row, texts: Texts) -> None:
    """Write a learner's files."""
    replace(_log(folder, row.name), log(row, texts).encode("utf-8", "replace"))
    told = json.dumps(gradescope.results(row, texts), ensure_ascii=False, indent=2)
    replace(results_file(folder, row.name), told.encode("utf-8", "replace") + b"\n")


def are_there(folder: Path, name: str) -> bool:
    """Whether a learner's files exist."""
    return _log(folder, name).exists() and results_file(folder, name).exists()


def results_file(folder: Path, name: str) -> Path:
    """Return the path of a learner's results.json."""
    return folder / GRADESCOPE / file_name(name) / "results.json"


def table(rows: Iterable[Row], properties: list[PropertyResult], left_out: Iterable[str] = ()) -> bytes:
    """Return results.csv: one line per submission, and one for each file in no learner's folder.

    Its byte order mark makes Excel read it as UTF-8.
    """
    columns = [*COLUMNS, *(f"property:{p.id}" for p in properties)]
    beside = ({"name": name, "file": name, "outcome": "left_out", "problem": LEFT_OUT} for name in left_out)
    lines = [[line.get(column, "") for column in columns] for line in beside]
    return _csv(columns, itertools.chain((_line(row, properties) for row in rows), lines))


def moved_table(moves: Iterable[Move]) -> bytes:
    """Return moved.csv: one line per changed property, and one per moved submission without a changed property."""
    columns = ["name", "score_before", "score", "outcome_before", "outcome", "file_changed", "property", "was", "is"]
    lines = []
    for move in moves:
        head = [move.name, move.score_before, move.score, move.outcome_before, move.outcome, move.file_changed]
        changes = [(c.property, c.was, c.now) for c in move.changes] or [("", "", "")]
        lines += [[*head, *change] for change in changes]
    return _csv(columns, lines)


def cell(value: Any) -> Any:
    """Return ``value`` in a form that a spreadsheet shows literally and does not evaluate."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def log(row: Row, texts: Texts) -> str:
    """Return the log of one submission, for the instructor."""
    head = [row.name, f"{texts('file')}{texts('colon')}{row.file}" if row.file else "", texts(f"outcome_{row.outcome}")]
    lines = [*filter(None, head), "", gradescope.overview(row, texts), ""]
    for result in row.verdict.properties if row.verdict else ():
        lines.append(
            f"[{texts(f'status_{result.status}')}] {texts.told(result.claim)} ({result.id}, {result.points:g})"
        )
        if result.status in ("failed", "died", "not_gradable"):
            lines += [f"    {line}" for line in gradescope.details(result, texts).splitlines()]
    if row.command:
        lines += ["", texts("again"), f"  {row.command}"]
    return "\n".join(lines) + "\n"


def _log(folder: Path, name: str) -> Path:
    return folder / LOGS / f"{file_name(name)}.log"


def _line(row: Row, properties: list[PropertyResult]) -> list[Any]:
    verdict = row.verdict
    found = {p.id: p.status for p in verdict.properties} if verdict else {}
    mistakes = (
        " ".join(d.id for d in verdict.diagnosis if d.kind == "misconception" and not d.perhaps) if verdict else ""
    )
    return [
        row.name, row.file or "", row.outcome, row.score, row.points, row.out_of,
        verdict.held if verdict else "", len(verdict.properties) if verdict else "", mistakes,
        row.reason or "", row.problem or "", row.note or "",
        verdict.seconds if verdict else "", str(verdict.seed) if verdict else "",
        verdict.attempt.sha256 if verdict else "", row.command or "", *(found.get(p.id, "") for p in properties),
    ]  # fmt: skip


def _csv(columns: list[str], lines: Iterable[Iterable[Any]]) -> bytes:
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(columns)
    writer.writerows([cell(value) for value in line] for line in lines)
    return written.getvalue().encode("utf-8-sig", "replace")
