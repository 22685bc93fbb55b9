"""Finds ``learn.toml``. A module of its own, so that a command knows its language before it imports more."""

from __future__ import annotations

from pathlib import Path

__all__ = ["SETTINGS_FILE", "settings_file"]

SETTINGS_FILE = "learn.toml"


def settings_file(start: Path) -> Path | None:
    """Return the nearest ``learn.toml``: in ``start``, in ``start/workspace``, then upwards; None if there is none."""
    for folder in (start, start / "workspace", *start.parents):
        if (folder / SETTINGS_FILE).is_file():
            return folder / SETTINGS_FILE
    return None
