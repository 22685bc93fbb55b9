"""Figures of the lesson on generalised advantage estimation."""

from __future__ import annotations

from groundup.core.figures import Drawing

SHOWN = ((0.5, "0.5"), (0.9, "0.9"), (0.95, "0.95"), (1.0, "1"))
GAMMA, FURTHEST = 0.99, 40


def weights(draw: Drawing) -> None:
    """Draw the weight of a one-step error over its distance, for four values of lambda, at gamma 0.99."""
    axes = draw.axes(height=2.7)
    for colour, (lam, name) in zip(draw.colours, SHOWN, strict=False):
        axes.plot(range(FURTHEST + 1), [(GAMMA * lam) ** k for k in range(FURTHEST + 1)], color=colour)
        at = {"0.5": 2, "0.9": 16, "0.95": 17, "1": 30}[name]
        axes.annotate(
            f"λ = {name}", (at, (GAMMA * lam) ** at), (6, 5), textcoords="offset points", color=colour, fontsize=9
        )
    axes.set_xlim(0, FURTHEST)
    axes.set_ylim(0, 1.04)
    axes.grid()
    axes.set_xlabel(draw.text("steps between the action and the error, l", "动作与误差之间相隔的步数 l"))
    axes.set_ylabel(draw.text("weight, (γλ)ˡ", "权重 (γλ)ˡ"))


def rollout(draw: Drawing) -> None:
    """Draw the arrays of a row that holds the end of an episode: what an error may look at, and what it may not."""
    axes = draw.axes(height=2.5)
    axes.set_axis_off()
    axes.set_xlim(-1.55, 5.05)
    axes.set_ylim(-0.62, 3.35)
    first, second, barred = draw.colours[0], draw.colours[2], draw.colours[1]
    names = ("value", "reward", "done")
    cells = (
        ("V(s₀)", "V(s₁)", "V(s′₀)", "V(s′₁)", "V(s′₂)"),
        ("r₀", "r₁", "r′₀", "r′₁"),
        ("False", "True", "False", "False"),
    )
    for name, row, y in zip(names, cells, (2.0, 1.0, 0.0), strict=True):
        axes.text(-0.2, y + 0.36, name, ha="right", va="center", family="monospace")
        for t, cell in enumerate(row):
            colour = first if t < 2 else second
            axes.fill([t + 0.04, t + 0.96, t + 0.96, t + 0.04], [y, y, y + 0.72, y + 0.72], color=colour, alpha=0.2)
            axes.text(t + 0.5, y + 0.36, cell, ha="center", va="center", fontsize=8.5)
    for t in range(4):
        axes.text(t + 0.5, -0.3, f"t = {t}", ha="center", va="center", fontsize=8, color=draw.muted)
    for t in (0, 2, 3):
        _arrow(axes, t, first if t < 2 else second)
    _arrow(axes, 1, barred, "--")
    axes.text(2.0, 2.99, "×", ha="center", va="center", fontsize=14, color=barred)
    axes.plot([2, 2], [-0.1, 2.8], color=draw.ink, linewidth=1.2, linestyle=":")
    axes.text(0.95, 3.2, draw.text("one episode", "一个回合"), ha="center", color=first)
    axes.text(3.5, 3.2, draw.text("the next one", "下一个回合"), ha="center", color=second)


def _arrow(axes: object, t: int, colour: str, style: str = "-") -> None:
    """Draw the next value going back into the error of step t."""
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    axes.annotate(
        "", (t + 1.42, 2.76), (t + 0.58, 2.76),
        arrowprops={"arrowstyle": "<-", "color": colour, "linestyle": style, "connectionstyle": "arc3,rad=-0.35"},
    )  # fmt: skip
