"""Figures of the lesson on identity preference optimisation."""

from __future__ import annotations

import math

from groundup.core.figures import Drawing
from groundup.core.preference_lab import draw_gradient_weights

BETA = 0.1


def targets(draw: Drawing) -> None:
    """Draw the difference at which each loss has its minimum, over the share of votes for the chosen answer."""
    axes = draw.axes(height=2.8)
    shares = [0.5 + step / 2000 for step in range(1000)]
    axes.plot(shares, [math.log(p / (1 - p)) / BETA for p in shares], color=draw.colours[1], label="DPO")
    axes.plot([*shares, 1.0], [(2 * p - 1) / (2 * BETA) for p in [*shares, 1.0]], color=draw.colours[0], label="IPO")
    axes.plot([1], [1 / (2 * BETA)], "o", color=draw.colours[0], markersize=5)
    axes.axvline(1, color=draw.muted, linewidth=0.8, linestyle=":")
    axes.set_xlim(0.5, 1.02)
    axes.set_ylim(0, 60)
    axes.grid()
    axes.set_xlabel(draw.text("share of votes for one of the two answers", "投给其中一段回答的票的比例"))
    axes.set_ylabel(draw.text("best difference, nats", "最佳差值（nat）"))
    axes.legend(loc="upper left")


def gradient_weights(draw: Drawing) -> None:
    """Draw how strongly each rule of the family still pulls a pair apart."""
    draw_gradient_weights(draw)
