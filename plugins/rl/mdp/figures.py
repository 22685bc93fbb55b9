"""Figures of the lesson on Markov decision processes."""

from __future__ import annotations

from typing import Any

from groundup.core.figures import Drawing

SWEEPS = 12
GAMMA, FOOT, TOP = 0.8, 1.25, 2.5


def task(draw: Drawing) -> None:
    """Draw the worked example: two states, an end, and what each action leads to."""
    axes = draw.axes(height=2.7)
    axes.set_axis_off()
    axes.set_xlim(-0.3, 6.3)
    axes.set_ylim(-0.75, 2.6)
    places = {
        draw.text("foot", "山脚"): (0.8, 0.5),
        draw.text("top", "山顶"): (3.1, 0.5),
        draw.text("end", "终点"): (5.4, 0.5),
    }
    for number, (name, (x, y)) in enumerate(places.items()):
        colour = draw.muted if number == 2 else draw.colours[0]
        axes.text(x, y, name, ha="center", va="center", fontsize=10, color=colour)
        across, up = zip(*(_corner(x, y, k) for k in range(9)), strict=True)
        axes.plot(across, up, color=colour, linewidth=1.4)
    climb, stop = draw.colours[2], draw.colours[1]
    _arrow(axes, (1.25, 0.62), (2.65, 0.62), climb, "arc3,rad=-0.25")
    axes.text(1.95, 1.05, draw.text("climb: 1/2", "登山：1/2"), ha="center", fontsize=8.5, color=climb)
    _arrow(axes, (0.6, 0.85), (1.0, 0.85), climb, "arc3,rad=-1.6")
    axes.text(0.15, 1.45, draw.text("climb: 1/2", "登山：1/2"), ha="left", fontsize=8.5, color=climb)
    _arrow(axes, (2.65, 0.38), (1.25, 0.38), climb, "arc3,rad=-0.25")
    axes.text(1.95, -0.22, draw.text("climb: slides down", "登山：滑回山脚"), ha="center", fontsize=8.5, color=climb)
    _arrow(axes, (3.55, 0.5), (4.95, 0.5), stop, "arc3,rad=0")
    axes.text(4.2, 0.68, draw.text("stop: earns 4", "停下：得 4"), ha="center", fontsize=8.5, color=stop)
    _arrow(axes, (1.0, 0.9), (5.25, 0.9), stop, "arc3,rad=-0.38")
    axes.text(3.3, 1.92, draw.text("stop: earns 1", "停下：得 1"), ha="center", fontsize=8.5, color=stop)


def errors(draw: Drawing) -> None:
    """Draw the largest error over sweeps of the worked example, beside what gamma alone promises."""
    axes = draw.axes(height=2.7)
    half, best = _half(), _best()
    bound = [best[0] * GAMMA**k for k in range(SWEEPS + 1)]
    for colour, numbers, style, name, at in (
        (draw.colours[1], bound, "--", draw.text("bound: times 0.8 a sweep", "上界：每次乘以 0.8"), 8),
        (draw.colours[0], half, "-", draw.text("half and half", "各占一半的策略"), 4),
        (draw.colours[2], best, "-", draw.text("value iteration", "价值迭代"), 9),
    ):
        axes.plot(range(SWEEPS + 1), numbers, style, color=colour, marker="o", markersize=3)
        offset = (4, 6) if style == "--" or at == 9 else (-78, -14)
        axes.annotate(name, (at, numbers[at]), offset, textcoords="offset points", color=colour, fontsize=8.5)
    axes.set_yscale("log")
    axes.set_xlim(0, SWEEPS)
    axes.grid()
    axes.set_xlabel(draw.text("sweeps", "扫描次数"))
    axes.set_ylabel(draw.text("largest error", "最大误差"))


def _half() -> list[float]:
    foot = top = 0.0
    found = []
    for _ in range(SWEEPS + 1):
        found.append(max(abs(foot - FOOT), abs(top - TOP)))
        foot, top = 0.5 + 0.5 * GAMMA * (foot + top) / 2, 2 + 0.5 * GAMMA * foot
    return found


def _best() -> list[float]:
    foot = top = 0.0
    found = []
    for _ in range(SWEEPS + 1):
        found.append(max(abs(foot - 8 / 3), abs(top - 4)))
        foot, top = max(1.0, GAMMA * (foot + top) / 2), max(4.0, GAMMA * foot)
    return found


def _corner(x: float, y: float, k: int) -> tuple[float, float]:
    """Return a corner of the box round a state."""
    across, up = ((-0.42, 0.42, 0.42, -0.42)[k % 4], (-0.3, -0.3, 0.3, 0.3)[k % 4])
    return x + across, y + up


def _arrow(axes: Any, start: tuple[float, float], end: tuple[float, float], colour: str, bend: str) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": colour, "connectionstyle": bend})
