"""What pages look like, of a brief and of a class: their templates, and their texts in every language."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2

__all__ = ["TEMPLATES", "environment"]

TEMPLATES = Path(__file__).parent


def environment(finalize: Callable[[Any], Any]) -> jinja2.Environment:
    """Return what makes pages: all they print is escaped, after ``finalize``, and what is missing is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalize,
    )
