"""An instructor's points for properties, in place of the points by the technique's author."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from groundup.core.errors import UnknownName, UsageProblem, reason_of
from groundup.core.messages import Message
from groundup.grader.judging.verdict import PropertyResult, Verdict

__all__ = ["read_points", "score", "weighted"]


def read_points(file: Path, properties: Iterable[str]) -> dict[str, float]:
    """Return the points in ``file``, by property. Raises UsageProblem, UnknownName."""
    try:
        whole = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageProblem("The points {file} cannot be read: {why}.", file=file, why=reason_of(error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageProblem("{file} is not TOML: {why}.", file=file, why=error) from error
    names = list(properties)
    given = whole.pop("points", None)
    if whole:
        raise UnknownName(Message("table in {file}:", file=file), next(iter(whole)), ["points"])
    if not isinstance(given, dict) or not given:
        raise UsageProblem(
            "{file} gives no points: a table [points] is wanted, with lines such as test_{example} = 3.",
            file=file,
            example=names[0],
        )
    points: dict[str, float] = {}
    for key, value in given.items():
        name = key.removeprefix("test_")
        if name not in names:
            known = [f"test_{n}" for n in names]
            there = Message("There are {names}.", names=known)
            raise UnknownName(Message("property in {file}:", file=file), key, known, there)
        if name in points:
            raise UsageProblem("{file}: {key!r} is given twice, with and without 'test_'.", file=file, key=key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
            raise UsageProblem(
                "{file}: {key} = {value!r} is not a number of points, 0 or more.", file=file, key=key, value=value
            )
        points[name] = float(value)
    if len(points) == len(names) and not any(points.values()):
        raise UsageProblem("{file} gives every property 0 points: nothing would be left to score.", file=file)
    return points


def weighted(verdict: Verdict, points: Mapping[str, float]) -> Verdict:
    """Return ``verdict`` with its points replaced by ``points``, and its score recomputed."""
    if not points:
        return verdict
    properties = tuple(p.model_copy(update={"points": points.get(p.id, p.points)}) for p in verdict.properties)
    return verdict.model_copy(update={"properties": properties, "score": score(properties)})


def score(properties: Iterable[PropertyResult]) -> float:
    """Return the points of properties that held, over all points; properties that could not be graded do not count."""
    counted = [p for p in properties if p.status != "not_gradable"]
    total = sum(p.points for p in counted)
    return round(sum(p.points for p in counted if p.status == "held") / total, 4) if total else 0.0
