"""Figures of the lesson on actor-critic."""

from __future__ import annotations

from groundup.core.figures import Drawing

TRUE, SMOOTHED = (0.5, 1.0, 0.0), (0.5, 0.75, 0.25)  # the values of A, B and C in the A-split example


def split(draw: Drawing) -> None:
    """Draw the A-split example's two pairs of episodes as paths of values: the true ones, and the smoothed ones."""
    axes = draw.axes(height=2.6)
    kinds = (
        (TRUE, draw.colours[0], draw.text("true values", "真实价值"), "-"),
        (SMOOTHED, draw.colours[1], draw.text("least squared TD error", "TD 误差平方最小"), "--"),
    )
    for values, colour, name, style in kinds:
        for number, (end, earned) in enumerate(((1, 1.0), (2, 0.0))):
            path = (values[0], values[end], earned)
            label = name if number == 0 else None
            axes.plot((0, 1, 2), path, style, marker="o", markersize=4, color=colour, label=label)
    for y, text in ((0.93, "B"), (0.03, "C")):
        axes.text(1.04, y, text, va="center", fontsize=9, color=draw.ink)
    axes.set_xticks((0, 1, 2), ["A", draw.text("B or C", "B 或 C"), draw.text("reward", "奖励")])
    axes.set_xlim(-0.1, 2.15)
    axes.set_ylim(-0.08, 1.12)
    axes.grid()
    axes.legend(loc="upper left", fontsize=8, frameon=False)
    axes.set_ylabel(draw.text("value", "价值"))
