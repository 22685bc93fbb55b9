"""Reads the soundness record of a technique: ``proof.toml``, which ``learn author check`` writes in its folder."""

from __future__ import annotations

import tomllib
from typing import Any

from groundup.core.technique import Technique

__all__ = ["argued", "found_by", "shares_of", "shows_from", "table"]


def shares_of(technique: Technique) -> dict[str, dict[str, float]]:
    """Return, by known mistake, the share of its draws in which each property finds it; empty if not recorded."""
    matrix = table(technique, "matrix")
    try:
        rows = {name: list(row) for name, row in matrix["percent"].items()}
        return {
            mistake: {name: row[place] / 100 for name, row in rows.items() if row[place]}
            for place, mistake in enumerate(matrix["mistakes"])
        }
    except (KeyError, IndexError, AttributeError, TypeError):
        return {}


def found_by(technique: Technique) -> dict[str, int]:
    """Return how many known mistakes each property finds; empty if they are not recorded."""
    counts: dict[str, int] = {}
    for found in shares_of(technique).values():
        for name in found:
            counts[name] = counts.get(name, 0) + 1
    return counts


def shows_from(technique: Technique) -> dict[str, int]:
    """Return the known mistakes that show only once a later hole than their own is filled, with that hole's number."""
    return {name: hole for name, hole in table(technique, "shows_from").items() if isinstance(hole, int)}


def argued(technique: Technique) -> dict[str, dict[str, str]]:
    """Return why a property may detect a mistake outside its claim: a reason by property and mistake."""
    return {name: reasons for name, reasons in table(technique, "argued").items() if isinstance(reasons, dict)}


def table(technique: Technique, name: str) -> dict[str, Any]:
    """Return a table of the record; empty if it is missing or damaged, which affects only the order of results."""
    try:
        proof = tomllib.loads((technique.files.folder / "proof.toml").read_text(encoding="utf-8"))
        return dict(proof.get(name, {}))
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
