"""The figure of the lesson."""

from __future__ import annotations

from groundup.core.figures import Drawing


def shares(draw: Drawing) -> None:
    """Draw the share of the first token over the position."""
    positions = range(16)
    axes = draw.axes(height=2.4)
    axes.bar(positions, [1 / (t + 1) for t in positions], color=draw.colours[0])
    axes.set_xlabel(draw.text("position", "位置"))
    axes.set_ylabel(draw.text("share of the first token", "第一个词元的份额"))
