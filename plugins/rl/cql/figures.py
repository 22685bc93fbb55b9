"""Figures of the lesson on conservative Q-learning."""

from __future__ import annotations

import math

from groundup.core.figures import Drawing

STEPS = 50


def two_actions(draw: Drawing) -> None:
    """Draw how two values move, of an action in the data and of one that is not, with the penalty and without it."""
    both = draw.axes(height=2.8, columns=2)
    titles = (draw.text("naive, alpha 0", "朴素，alpha 为 0"), draw.text("CQL, alpha 1", "CQL，alpha 为 1"))
    for axes, alpha, title in zip(both, (0.0, 1.0), titles, strict=True):
        seen, unseen = _descend(alpha)
        steps = range(len(seen))
        axes.axhline(1, color=draw.muted, linewidth=0.8, linestyle=":")
        axes.plot(steps, unseen, "--", color=draw.colours[1], label=draw.text("not in the data", "数据中没有"))
        axes.plot(steps, seen, color=draw.colours[0], label=draw.text("in the data", "数据中有"))
        axes.set_title(title)
        axes.set_xlim(0, STEPS)
        axes.set_ylim(-3.2, 5.6)
        axes.set_xlabel(draw.text("steps", "步数"))
        axes.grid()
    both[0].set_ylabel(draw.text("Q of the action", "动作的 Q"))
    both[1].legend(loc="upper right", fontsize=8)


def _descend(alpha: float) -> tuple[list[float], list[float]]:
    """Return both values after each step; the action in the data earns 1, and the episode ends."""
    seen, unseen = [0.0], [5.0]
    for _ in range(STEPS):
        share = 1 / (1 + math.exp(unseen[-1] - seen[-1]))  # softmax of the action in the data
        slope = seen[-1] - 1 + alpha * (share - 1)
        unseen.append(unseen[-1] - alpha * (1 - share))
        seen.append(seen[-1] - slope)
    return seen, unseen


def soft_maximum(draw: Drawing) -> None:
    """Draw the gap of one state with two actions over the difference of their values, and what it approaches."""
    axes = draw.axes(height=2.6)
    differences = [step / 20 for step in range(-100, 101)]
    axes.plot(
        differences, [math.log1p(math.exp(d)) for d in differences], color=draw.colours[0], label="logsumexp Q − Q(a)"
    )
    axes.plot(differences, [max(d, 0) for d in differences], "--", color=draw.colours[1], label="max Q − Q(a)")
    axes.plot([0], [math.log(2)], "o", color=draw.ink, markersize=5)
    axes.annotate("log 2", (0, math.log(2)), (-30, 8), textcoords="offset points", fontsize=9)
    axes.set_xlim(-5, 5)
    axes.set_ylim(-0.2, 5.2)
    axes.grid()
    axes.set_xlabel(draw.text("Q of the other action − Q of the action in the data", "另一个动作的 Q − 数据中动作的 Q"))
    axes.set_ylabel(draw.text("gap", "差距"))
    axes.legend(loc="upper left", fontsize=8)
