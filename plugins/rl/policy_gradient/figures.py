"""Figures of the lesson on the policy gradient."""

from __future__ import annotations

from groundup.core.figures import Drawing

LEFT, PAYS = 0.25, (3.0, 1.0)  # how likely the left door is, and what the two doors pay


def doors(draw: Drawing) -> None:
    """Draw the variance of the two-doors gradient over the baseline, with three baselines marked."""
    axes = draw.axes(height=2.7)
    baselines = [step / 20 for step in range(121)]
    axes.plot(baselines, [_variance(b) for b in baselines], color=draw.colours[0])
    axes.plot([0, 6], [_variance(0), _variance(0)], color=draw.muted, linewidth=1, linestyle=":")
    marks = (
        (0.0, draw.text("none", "无基线"), (8, 6)),
        (1.5, "V = 1.5", (9, 4)),
        (2.5, draw.text("best: 2.5", "最优：2.5"), (-6, 9)),
        (6.0, "6", (-14, -2)),
    )
    for at, name, offset in marks:
        axes.plot([at], [_variance(at)], "o", color=draw.colours[1])
        axes.annotate(name, (at, _variance(at)), offset, textcoords="offset points", fontsize=9, color=draw.ink)
    axes.set_xlim(-0.15, 6.2)
    axes.set_ylim(-0.08, 2.5)
    axes.grid()
    axes.set_xlabel(draw.text("baseline", "基线"))
    axes.set_ylabel(draw.text("variance of one gradient", "单个梯度的方差"))


def _variance(baseline: float) -> float:
    """Return the variance of (reward - baseline) times the score; the score is 3/4 on the left, -1/4 on the right."""
    left, right = (PAYS[0] - baseline) * (1 - LEFT), -(PAYS[1] - baseline) * LEFT
    mean = LEFT * left + (1 - LEFT) * right
    return LEFT * left**2 + (1 - LEFT) * right**2 - mean**2
