"""Figures of the lesson on odds-ratio preference optimisation."""

from __future__ import annotations

import math

from groundup.core.figures import Drawing
from groundup.core.preference_lab import draw_gradient_weights


def digits(draw: Drawing) -> None:
    """Draw log(1 - exp(x)) near 0 in float32: with expm1, and as it is written, rounded to steps of 2^-24 below 1."""
    axes = draw.axes(height=2.7)
    powers = [step / 100 for step in range(600, 871)]  # x = -10^-power
    exact = [math.log(-math.expm1(-(10**-power))) for power in powers]
    naive = [_rounded(-(10**-power)) for power in powers]
    axes.plot(powers, exact, "-", color=draw.colours[0], label="log(-expm1(x))")
    shown = [(power, value) for power, value in zip(powers, naive, strict=True) if value is not None]
    axes.plot(*zip(*shown, strict=True), "--", color=draw.colours[1], label="log(1 - exp(x))")
    axes.axvline(shown[-1][0], color=draw.muted, linewidth=0.8)
    axes.text(shown[-1][0] + 0.04, -14.2, draw.text("from here on −inf", "从这里起是 −inf"), fontsize=8.5)
    axes.set_xlim(6, 8.7)
    axes.set_ylim(-20.2, -13.5)
    axes.grid()
    axes.set_xlabel(draw.text("n, where the mean is x = −10⁻ⁿ nats", "n，其中平均 x = −10⁻ⁿ nat"))
    axes.set_ylabel("log(1 − P)")
    axes.legend(loc="lower left")


def gradient_weights(draw: Drawing) -> None:
    """Draw how strongly each rule over preferences still pulls a pair apart, over its margin."""
    draw_gradient_weights(draw)


def _rounded(x: float) -> float | None:
    """Return log(1 - exp(x)) with exp(x) rounded to float32, None where that is 1."""
    rest = round((1 - math.exp(x)) * 2**24) / 2**24
    return math.log(rest) if rest else None
