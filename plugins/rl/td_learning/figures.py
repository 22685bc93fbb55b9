"""Figures of the lesson on temporal-difference learning."""

from __future__ import annotations

from groundup.core.figures import Drawing

PASSES = 12


def cliff(draw: Drawing) -> None:
    """Draw the cliff: the shortest way beside it, a safer one above, and where a slip leads."""
    axes = draw.axes(height=2.4)
    axes.set_axis_off()
    axes.set_xlim(-0.1, 12.1)
    axes.set_ylim(-0.35, 4.45)
    for k in range(13):
        axes.plot([k, k], [0, 4], color=draw.muted, linewidth=0.5)
    for k in range(5):
        axes.plot([0, 12], [k, k], color=draw.muted, linewidth=0.5)
    axes.fill([1, 11, 11, 1], [0, 0, 1, 1], color=draw.colours[1], alpha=0.3)
    axes.text(6, 0.5, draw.text("cliff: -100, back to the start", "悬崖：-100，回到起点"), ha="center", va="center")
    axes.text(0.5, 0.42, draw.text("start", "起点"), ha="center", va="center", fontsize=8)
    axes.text(11.5, 0.42, draw.text("goal", "目标"), ha="center", va="center", fontsize=8)
    short, safe = draw.colours[0], draw.colours[2]
    axes.plot([0.65, 0.65, 11.35, 11.35], [0.75, 1.4, 1.4, 0.85], color=short, linewidth=1.8)
    axes.plot([0.35, 0.35, 11.65, 11.65], [0.75, 3.5, 3.5, 0.85], color=safe, linewidth=1.8)
    axes.text(
        6,
        1.6,
        draw.text("13 steps, one slip from the cliff", "13 步，一失足就掉下去"),
        ha="center",
        color=short,
        fontsize=8.5,
    )
    axes.text(6, 3.65, draw.text("17 steps, far from it", "17 步，离得远"), ha="center", color=safe, fontsize=8.5)


def passes(draw: Drawing) -> None:
    """Draw the two values of the worked example over passes, towards their true values."""
    axes = draw.axes(height=2.5)
    first, second, seen = 0.0, 0.0, [(0.0, 0.0)]
    for _ in range(PASSES):
        first += 0.5 * (0.5 * second - first)
        second += 0.5 * (4 - second)
        seen.append((first, second))
    names = (
        draw.text("state 1, true value 4", "状态 1，真实价值 4"),
        draw.text("state 0, true value 2", "状态 0，真实价值 2"),
    )
    for colour, index, name, true in zip(draw.colours, (1, 0), names, (4.0, 2.0), strict=False):
        axes.plot(range(PASSES + 1), [pair[index] for pair in seen], color=colour, marker="o", markersize=3)
        axes.plot([0, PASSES], [true, true], color=colour, linewidth=0.8, linestyle=":")
        axes.annotate(name, (7, true), (0, -13), textcoords="offset points", color=colour, fontsize=8.5)
    axes.set_xlim(0, PASSES)
    axes.set_ylim(0, 4.3)
    axes.grid()
    axes.set_xlabel(draw.text("passes over the two steps", "两步走了几遍"))
    axes.set_ylabel(draw.text("value", "价值"))
