"""Figures of the lesson on group-relative policy optimisation."""

from __future__ import annotations

from groundup.core.figures import Drawing
from groundup.core.group_lab import draw_token_weights


def token_weights(draw: Drawing) -> None:
    """Draw how strongly five rules move each token of the same two groups."""
    draw_token_weights(draw)
