"""What is recorded of a technique's soundness: ``proof.toml``, which ``learn author check`` writes beside it."""

from __future__ import annotations

import tomllib
from typing import Any

from groundup.core.technique import Technique

__all__ = ["argued", "matrix_of", "shows_from"]


def matrix_of(technique: Technique) -> dict[str, list[str]]:
    """Return which known mistakes each property finds; nothing where that is not recorded."""
    return {name: found for name, found in _table(technique, "matrix").items() if isinstance(found, list)}


def shows_from(technique: Technique) -> dict[str, int]:
    """Return the known mistakes that show only once a later hole than theirs is filled, and which."""
    return {name: hole for name, hole in _table(technique, "shows_from").items() if isinstance(hole, int)}


def argued(technique: Technique) -> dict[str, dict[str, str]]:
    """Return why a property may find a mistake of which its claim does not speak, by property and mistake."""
    return {name: reasons for name, reasons in _table(technique, "argued").items() if isinstance(reasons, dict)}


def _table(technique: Technique, name: str) -> dict[str, Any]:
    """Return a table of the record, empty where there is none; a damaged one costs the order of what is shown."""
    try:
        proof = tomllib.loads((technique.files.folder / "proof.toml").read_text(encoding="utf-8"))
        return dict(proof.get(name, {}))
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
