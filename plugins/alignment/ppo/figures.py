"""Figures of the lesson on proximal policy optimisation."""

from __future__ import annotations

import math

from groundup.core.figures import Drawing

CLIP = 0.2
LOW, HIGH = 1 - CLIP, 1 + CLIP


def clipped_loss(draw: Drawing) -> None:
    """Draw the loss of a token over its ratio, for both signs of the advantage, and where it has no gradient."""
    both = draw.axes(height=2.9, columns=2)
    ratios = [step / 100 for step in range(0, 201)]
    for axes, advantage, height in zip(both, (1, -1), (-0.92, 1.08), strict=True):
        plain = [-advantage * ratio for ratio in ratios]
        loss = [max(-advantage * r, -advantage * min(max(r, LOW), HIGH)) for r in ratios]
        flat = (HIGH, 2.0) if advantage > 0 else (0.0, LOW)
        axes.axvspan(*flat, color=draw.grid, alpha=0.6, linewidth=0)
        axes.plot(ratios, plain, "--", color=draw.muted, linewidth=1.3, label=draw.text("never clipped", "不裁剪"))
        axes.plot(ratios, loss, color=draw.colours[0], label=draw.text("the larger", "取较大的"))
        axes.plot([1], [-advantage], "o", color=draw.ink, markersize=5)
        middle = sum(flat) / 2
        axes.text(middle, height, draw.text("gradient\n0", "梯度\n为 0"), ha="center", va="center", fontsize=8.5)
        axes.set_title(f"A = {advantage}" if advantage > 0 else "A = −1")
        axes.set_xlim(0, 2)
        axes.set_xticks([0, LOW, 1, HIGH, 2], ["0", "0.8", "1", "1.2", "2"])
        axes.set_xlabel(draw.text("ratio", "比率"))
    both[0].set_ylabel(draw.text("loss of the token", "词元的损失"))
    both[0].set_ylim(-2.1, 0.35)
    both[1].set_ylim(-0.1, 2.1)
    both[1].legend(loc="lower right", fontsize=8)


def estimators(draw: Drawing) -> None:
    """Draw the three estimates of the KL of one token over the difference of the log-probabilities."""
    axes = draw.axes(height=2.6)
    distances = [step / 50 for step in range(-100, 101)]
    shapes = (
        ("k1 = −d", [-d for d in distances]),
        ("k2 = d²/2", [d * d / 2 for d in distances]),
        ("k3 = exp(d) − d − 1", [math.exp(d) - d - 1 for d in distances]),
    )
    axes.axhline(0, color=draw.muted, linewidth=0.8)
    for colour, style, (name, values) in zip(draw.colours, ("--", "-.", "-"), shapes, strict=False):
        axes.plot(distances, values, style, color=colour, label=name)
    axes.set_xlim(-2, 2)
    axes.set_ylim(-2.1, 4.5)
    axes.grid()
    axes.set_xlabel(draw.text("d = log π_ref − log π of the token", "词元的 d = log π_ref − log π"))
    axes.set_ylabel(draw.text("estimate, nats", "估计值（nat）"))
    axes.legend(loc="upper center")
