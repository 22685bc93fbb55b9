"""Figures of the lesson on AdamW."""

from __future__ import annotations

import math

from groundup.core.figures import Drawing

__all__ = ["corrections", "fates"]

BETA1, BETA2 = 0.9, 0.999


def corrections(draw: Drawing) -> None:
    """Length of a step over the first steps, for a steady gradient, with and without each correction."""
    steps = sorted({round(10 ** (place / 40)) for place in range(133)})
    mean, root = [1 - BETA1**t for t in steps], [math.sqrt(1 - BETA2**t) for t in steps]
    axes = draw.axes(height=2.9)
    curves = (
        (draw.text("both corrected", "两个都修正"), [1.0] * len(steps), "-"),
        (draw.text("neither", "都不修正"), [m / v for m, v in zip(mean, root, strict=True)], "--"),
        (draw.text("only m", "只修正 m"), [1 / v for v in root], "-."),
        (draw.text("only v", "只修正 v"), mean, ":"),
    )
    for colour, (label, lengths, style) in zip(draw.colours, curves, strict=False):
        axes.plot(steps, lengths, style, color=colour, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_yticks([0.1, 1, 10], ["0.1", "1", "10"])
    axes.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    axes.minorticks_off()
    axes.set_xlabel(draw.text("step t", "第 t 步"))
    axes.set_ylabel(draw.text("length of the step / lr", "步长 / lr"))
    axes.legend()


def fates(draw: Drawing) -> None:
    """Four weights with alternating gradients of four sizes: the decay in the gradient, and beside it."""
    left, right = draw.axes(height=2.9, columns=2, sharey=True)
    sizes, styles = (10.0, 1.0, 0.1, 0.0), ("-", "--", "-.", ":")
    for colour, style, size in zip(draw.colours, styles, sizes, strict=False):
        for axes, decoupled in ((left, False), (right, True)):
            axes.plot(_path(size, decoupled), style, color=colour, label=f"±{size:g}" if size else "0")
    left.set_title(draw.text("in the gradient (L2)", "放进梯度（L2）"))
    right.set_title(draw.text("beside it (AdamW)", "单独减去（AdamW）"))
    for axes in (left, right):
        axes.set_xlabel(draw.text("steps", "步数"))
        axes.set_ylim(-0.06, 1.06)
    left.set_ylabel(draw.text("weight", "权重"))
    right.legend(title=draw.text("gradient", "梯度"))


def _path(size: float, decoupled: bool) -> list[float]:
    """Return a weight over 300 steps of lr 0.01 and decay 0.5, without momentum, after many steps of the gradient."""
    rate, decay, steps = 0.01, 0.5, 300
    weight, square = 1.0, size**2 if decoupled else size**2 + (decay * 1.0) ** 2
    path = [weight]
    for step in range(steps):
        gradient = size * (-1) ** step
        seen = gradient if decoupled else gradient + decay * weight
        square = 0.9 * square + 0.1 * seen**2
        update = seen / (math.sqrt(square) + 1e-8)
        weight -= rate * (update + (decay * weight if decoupled else 0.0))
        path.append(weight)
    return path
