"""Reads the soundness record of a technique: ``proof.toml``, which ``learn author check`` writes in its folder."""

from __future__ import annotations

import tomllib
from typing import Any

from groundup.core.technique import Technique

__all__ = ["argued", "matrix_of", "shows_from"]


def matrix_of(technique: Technique) -> dict[str, list[str]]:
    """Return the known mistakes that each property detects; empty if they are not recorded."""
    return {name: found for name, found in _table(technique, "matrix").items() if isinstance(found, list)}


def shows_from(technique: Technique) -> dict[str, int]:
    """Return the known mistakes that show only once a later hole than their own is filled, with that hole's number."""
    return {name: hole for name, hole in _table(technique, "shows_from").items() if isinstance(hole, int)}


def argued(technique: Technique) -> dict[str, dict[str, str]]:
    """Return why a property may detect a mistake outside its claim: a reason by property and mistake."""
    return {name: reasons for name, reasons in _table(technique, "argued").items() if isinstance(reasons, dict)}


def _table(technique: Technique, name: str) -> dict[str, Any]:
    """Return a table of the record; empty if it is missing or damaged, which affects only the order of results."""
    try:
        proof = tomllib.loads((technique.files.folder / "proof.toml").read_text(encoding="utf-8"))
        return dict(proof.get(name, {}))
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
