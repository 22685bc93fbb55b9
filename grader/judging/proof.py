"""What is recorded of a technique's soundness: ``proof.toml``, which ``learn author check`` writes beside it."""

from __future__ import annotations

import tomllib

from groundup.core.technique import Technique

__all__ = ["matrix_of"]


def matrix_of(technique: Technique) -> dict[str, list[str]]:
    """Return which known mistakes each property finds; nothing where that is not recorded."""
    try:
        proof = tomllib.loads((technique.files.folder / "proof.toml").read_text(encoding="utf-8"))
        return {str(name): list(mistakes) for name, mistakes in proof.get("matrix", {}).items()}
    except (OSError, ValueError, AttributeError, TypeError):  # a damaged record only costs the order
        return {}
