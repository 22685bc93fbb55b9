"""A row as Gradescope's results.json. The parts that the learner sees contain neither a seed nor a command.

The format: https://gradescope-autograders.readthedocs.io/en/latest/specs/#output-format
"""

from __future__ import annotations

from typing import Any

from groundup.grader.batch.row import Row
from groundup.grader.judging.verdict import PropertyResult
from groundup.grader.learner.templates import Texts

__all__ = ["results"]

LONGEST = 4000  # characters per text


def results(row: Row, texts: Texts) -> dict[str, Any]:
    """Return the content of results.json. The top-level score counts; the tests show how it is made up."""
    told: dict[str, Any] = {
        "score": _score(row),
        "output": overview(row, texts),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",  # stdout shows the seed, to the instructor only
        "extra_data": {"outcome": row.outcome},
        "tests": [
            _test(number, result, texts)
            for number, result in enumerate(row.verdict.properties if row.verdict else (), 1)
        ],
    }
    if row.verdict:
        told["execution_time"] = round(row.verdict.seconds, 3)
    return told


def overview(row: Row, texts: Texts) -> str:
    """Return the summary of a submission for the learner."""
    problem = texts.told(row.problem or "").rstrip(".。")
    note = [texts("note", note=texts.told(row.note))] if row.note else []
    if row.outcome == "nothing_to_grade":
        return "\n".join([texts("nothing_to_grade", problem=problem), *note])
    if row.verdict is None:
        return "\n".join([texts("not_gradable", problem=problem), *note])
    verdict = row.verdict
    lines = [texts.told(row.problem)] if row.problem else []
    lines.append(
        texts("summary_line", held=verdict.held, total=len(verdict.properties), points=row.points, out_of=row.out_of)
    )
    for found in verdict.diagnosis:
        key = "is_perhaps" if found.perhaps else "is_mistake" if found.kind == "misconception" else "is_convention"
        lines.append(texts(key, id=found.id, says=found.says))
    return "\n".join([*lines, *note])


def details(result: PropertyResult, texts: Texts) -> str:
    """Return the details of a property that did not hold."""
    if result.status in ("not_started", "not_reached"):
        return texts(f"waiting_{result.status}")
    lines = [texts("does_not_count")] if result.status == "not_gradable" else []
    if result.message:
        lines.append(texts.told(result.message))
    lines += [f"{name} = {_short(value)}" for name, value in (result.counterexample or {}).items()]
    for key, value in (("expected", result.expected), ("got", result.got), ("at", result.where)):
        if value is not None:
            lines.append(f"{texts(key)}{texts('colon')}{_short(texts.told(value))}")
    if result.printed:
        lines += [texts("printed"), _short(result.printed.rstrip("\n"))]
    return "\n".join(lines)


def _score(row: Row) -> float:
    """Return the score scaled to the assignment's points; properties that could not be graded cost none."""
    if row.verdict is None:
        return 0.0
    held = sum(p.points for p in row.verdict.properties if p.status == "held")
    counted = sum(p.points for p in row.verdict.properties if p.status != "not_gradable")
    return round(held * sum(p.points for p in row.verdict.properties) / counted, 4) if counted else 0.0


def _test(number: int, result: PropertyResult, texts: Texts) -> dict[str, Any]:
    test: dict[str, Any] = {
        "name": texts.told(result.claim),
        "number": str(number),
        "output": "" if result.status == "held" else details(result, texts),
        "output_format": "text",
        "visibility": "visible",
    }
    if result.status != "not_gradable":
        held = result.status == "held"
        test |= {"status": "passed" if held else "failed", "score": result.points if held else 0.0}
        test["max_score"] = result.points
    return test


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + " ..."
