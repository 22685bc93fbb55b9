"""Figures of the lesson on advantages."""

from __future__ import annotations

from groundup.core.figures import Drawing

RETURNS = (5.0, 2.0, 2.0, -1.0)
COUNTED = (5.0, 1.0, 1.0, 1.0)
WIDEST = 24


def baselines(draw: Drawing) -> None:
    """Draw the returns of a group, and over each the group's mean and the mean of the others."""
    axes = draw.axes(height=2.5)
    mean = sum(RETURNS) / len(RETURNS)
    for k, own in enumerate(RETURNS):
        others = (sum(RETURNS) - own) / (len(RETURNS) - 1)
        axes.bar(k, own, width=0.5, color=draw.colours[0], alpha=0.35)
        axes.plot([k - 0.36, k + 0.36], [others, others], color=draw.colours[1], linewidth=2.2)
        axes.annotate(
            f"{own - others:+.0f}".replace("+0", "0"),
            (k, max(own, others)),
            (0, 4),
            textcoords="offset points",
            ha="center",
        )
    axes.axhline(mean, color=draw.colours[2], linestyle="--", linewidth=1.2)
    axes.axhline(0, color=draw.ink, linewidth=0.8)
    axes.text(3.42, mean + 0.2, draw.text("mean", "均值"), color=draw.colours[2], fontsize=9)
    axes.text(-0.42, 1.2, draw.text("mean of the others", "其余的均值"), color=draw.colours[1], fontsize=9, va="bottom")
    axes.set_xlim(-0.6, 3.95)
    axes.set_ylim(-1.6, 6.4)
    axes.set_xticks(range(4), [f"{own:g}" for own in RETURNS])
    axes.set_xlabel(draw.text("return of each sample of the group", "组内每个样本的回报"))


def padding(draw: Drawing) -> None:
    """Draw how far the best and the worst of four numbers are from the mean, over the width, padding counted or not."""
    axes = draw.axes(height=2.7)
    widths = list(range(len(COUNTED), WIDEST + 1))
    best, worst, masked = max(COUNTED), min(COUNTED), sum(COUNTED) / len(COUNTED)
    for colour, number in ((draw.colours[0], best), (draw.colours[1], worst)):
        axes.plot(widths, [number - sum(COUNTED) / width for width in widths], color=colour, linestyle=":")
        axes.plot(widths, [number - masked] * len(widths), color=colour)
    axes.axhline(0, color=draw.ink, linewidth=0.8)
    labels = (
        (13, 3.1, draw.colours[0], draw.text("the 5, masked", "5，用掩码")),
        (9, 4.5, draw.colours[0], draw.text("the 5, padding counted", "5，计入填充")),
        (17, 0.68, draw.colours[1], draw.text("a 1, padding counted", "1，计入填充")),
        (13, -0.95, draw.colours[1], draw.text("a 1, masked", "1，用掩码")),
    )
    for x, y, colour, label in labels:
        axes.text(x, y, label, color=colour, fontsize=9, va="bottom", ha="center")
    axes.set_xlim(len(COUNTED), WIDEST)
    axes.set_xticks(range(len(COUNTED), WIDEST + 1, 4))
    axes.set_ylim(-1.5, 5.4)
    axes.set_xlabel(draw.text("places in the batch, of which 4 count", "批里的位置数，其中 4 个计入"))
    axes.set_ylabel(draw.text("number less mean", "数减去均值"))
