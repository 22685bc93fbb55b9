"""Writes the results of a technique's check to its ``proof.toml``, and keeps what the author wrote there."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from groundup.core.technique import Technique
from groundup.grader.judging.edits import load_edits
from groundup.grader.judging.proof import argued
from groundup.grader.judging.properties import Properties

__all__ = ["beside_the_claim", "write_matrix"]

HEAD = "# Which known mistakes each property finds: 'learn author matrix --write' writes it.\n\n"
_TABLE = re.compile(r"^\[matrix\]\n(?:(?!\[[a-z_.-]+\]$).*\n?)*", re.MULTILINE)


def write_matrix(technique: Technique, names: Sequence[str], killers: Mapping[str, set[str]]) -> Path:
    """Replace the recorded matrix: the mistakes of ``killers`` that each property detects. Return the file."""
    path = technique.files.folder / "proof.toml"
    before = path.read_text(encoding="utf-8") if path.is_file() else HEAD
    rows = [_row(name, [mistake for mistake, by in killers.items() if name in by]) for name in names]
    table = "[matrix]\n" + "".join(rows)
    rest = _TABLE.sub("", before)
    head, others = (
        (rest[: found.start()], rest[found.start() :]) if (found := re.search(r"(?m)^\[", rest)) else (rest, "")
    )
    path.write_text((head or HEAD) + table + ("\n" + others if others else ""), encoding="utf-8")
    return path


def beside_the_claim(technique: Technique, killers: Mapping[str, set[str]]) -> dict[str, list[str]]:
    """Return, by property, the mistakes that a property with a single topic detects although they have another topic.

    Mistakes that ``[argued]`` in proof.toml gives a reason for are left out. ``killers``: the properties that detect
    each mistake.
    """
    properties, reasons = Properties(technique), argued(technique)
    about = {edit.id: edit.about for edit in load_edits(technique)}
    beside: dict[str, list[str]] = {}
    for name in properties.names:
        if (topic := properties.topic(name)) is None:
            continue
        found = [mistake for mistake, by in killers.items() if name in by and about.get(mistake) != topic]
        if unexplained := [mistake for mistake in found if not reasons.get(name, {}).get(mistake)]:
            beside[name] = unexplained
    return beside


def _row(name: str, mistakes: Sequence[str]) -> str:
    whole = f"{name} = [{', '.join(map(_quoted, mistakes))}]\n"
    if len(whole) <= 120:
        return whole
    lines = textwrap.wrap(", ".join(map(_quoted, mistakes)) + ",", 116, break_on_hyphens=False, break_long_words=False)
    return f"{name} = [\n" + "".join(f"  {line}\n" for line in lines) + "]\n"


def _quoted(text: str) -> str:
    return f'"{text}"'
