"""Figures of the lesson on simple preference optimisation."""

from __future__ import annotations

from groundup.core.figures import Drawing
from groundup.core.preference_lab import draw_gradient_weights


def length(draw: Drawing) -> None:
    """Draw the reward of an answer over its length: each token has -0.75 nats; the first alone would have -1.2."""
    axes = draw.axes(height=2.6)
    tokens = list(range(1, 25))
    total = [-1.2 - 0.75 * (count - 1) for count in tokens]
    mean = [whole / count for whole, count in zip(total, tokens, strict=True)]
    axes.plot(tokens, mean, "-", color=draw.colours[0], label=draw.text("mean", "平均"))
    axes.plot(tokens, total, "--", color=draw.colours[1], label=draw.text("sum", "求和"))
    axes.axhline(-0.75, color=draw.muted, linewidth=0.8)
    axes.set_xlim(1, 24)
    axes.set_ylim(-19, 0.5)
    axes.grid()
    axes.set_xlabel(draw.text("tokens of the answer", "回答的词元数"))
    axes.set_ylabel(draw.text("log-probability, nats", "对数概率（nat）"))
    axes.legend(loc="lower left")


def gradient_weights(draw: Drawing) -> None:
    """Draw how strongly each rule over preferences still pulls a pair apart, over its margin."""
    draw_gradient_weights(draw)
