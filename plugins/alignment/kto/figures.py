"""Figures of the lesson on Kahneman-Tversky optimisation."""

from __future__ import annotations

import math

from groundup.core.figures import Drawing
from groundup.core.preference_lab import draw_gradient_weights


def costs(draw: Drawing) -> None:
    """Draw what a good and a bad answer cost over their distance from the reference point, and DPO's cost."""
    axes = draw.axes(height=2.8)
    places = [step / 20 for step in range(-120, 121)]
    axes.plot(places, [_sigmoid(-u) for u in places], color=draw.colours[0], label=draw.text("good answer", "好的回答"))
    axes.plot(
        places, [_sigmoid(u) for u in places], "--", color=draw.colours[1], label=draw.text("bad answer", "坏的回答")
    )
    logistic = [math.log1p(math.exp(-u)) for u in places]
    axes.plot(places, logistic, ":", color=draw.muted, label=draw.text("DPO, for comparison", "DPO（对照）"))
    axes.plot([0], [0.5], "o", color=draw.ink, markersize=5)
    axes.set_xlim(-6, 6)
    axes.set_ylim(-0.05, 2.1)
    axes.grid()
    axes.set_xlabel(draw.text("β (log-ratio − reference point)", "β（对数比率 − 参考点）"))
    axes.set_ylabel(draw.text("cost, weight 1", "代价（权重为 1）"))
    axes.legend(loc="upper right")


def gradient_weights(draw: Drawing) -> None:
    """Draw how strongly each rule of the family still pulls a pair apart."""
    draw_gradient_weights(draw)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
