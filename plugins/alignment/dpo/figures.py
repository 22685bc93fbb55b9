"""Figures of the lesson on direct preference optimisation."""

from __future__ import annotations

import math

from groundup.core.figures import Drawing
from groundup.core.preference_lab import draw_gradient_weights


def smoothed(draw: Drawing) -> None:
    """Draw what a pair costs over m, without smoothing and with two values of it, and where the minimum is."""
    axes = draw.axes(height=2.7)
    margins = [step / 20 for step in range(-80, 161)]
    for colour, style, wrong in zip(draw.colours, ("-", "--", "-."), (0.0, 0.1, 0.25), strict=False):
        costs = [(1 - wrong) * _softplus(-m) + wrong * _softplus(m) for m in margins]
        axes.plot(margins, costs, style, color=colour, label=f"e = {wrong:g}")
        if wrong:
            least = math.log((1 - wrong) / wrong)
            axes.plot([least], [(1 - wrong) * _softplus(-least) + wrong * _softplus(least)], "o", color=colour)
    axes.plot([0], [math.log(2)], "o", color=draw.ink, markersize=5)
    axes.annotate("log 2", (0, math.log(2)), (7, 5), textcoords="offset points", fontsize=9, color=draw.ink)
    axes.set_xlim(-4, 8)
    axes.set_ylim(0, 4.2)
    axes.grid()
    axes.set_xlabel(
        draw.text("m = β (log-ratio chosen − log-ratio rejected)", "m = β（优选的对数比率 − 劣选的对数比率）")
    )
    axes.set_ylabel(draw.text("cost of the pair", "一对的代价"))
    axes.legend(loc="upper center")


def gradient_weights(draw: Drawing) -> None:
    """Draw how strongly each rule of the family still pulls a pair apart."""
    draw_gradient_weights(draw)


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))
