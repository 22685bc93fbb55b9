"""Figures of the lesson on reward models."""

from __future__ import annotations

import math

from groundup.core.figures import Drawing


def columns(draw: Drawing) -> None:
    """Draw the rows of a batch, and the columns that three rules read."""
    axes = draw.axes(height=2.5)
    rows = ("1111111", "1111000", "0001111", "1101100")
    for row, mask in enumerate(rows):
        for column, real in enumerate(mask):
            fill = {"facecolor": draw.colours[0], "alpha": 0.25} if real == "1" else {"facecolor": draw.grid}
            axes.bar(column, 0.8, width=0.92, bottom=row - 0.4, linewidth=0, **fill)
    places = range(len(rows))
    last = [mask.rindex("1") for mask in rows]
    counted = [mask.count("1") - 1 for mask in rows]
    hollow = {"markerfacecolor": "none", "markeredgewidth": 1.8}
    read = draw.text("last real", "最后的真实词元")
    axes.plot(last, places, "o", color=draw.colours[0], markersize=13, label=read, **hollow)
    axes.plot(counted, places, "x", color=draw.colours[1], markersize=8, label=draw.text("count - 1", "个数 - 1"))
    axes.plot([6] * 4, places, "|", color=draw.colours[3], markersize=17, label=draw.text("last column", "最后一列"))
    axes.set_yticks(list(places), draw.text("full,right,left,between", "无填充,右,左,中间").split(","))
    axes.set_ylim(3.6, -1.3)
    axes.set_xlabel(draw.text("column; grey: padding", "列；灰色：填充"))
    axes.legend(loc="upper center", ncols=3)


def cost(draw: Drawing) -> None:
    """Draw what a pair costs over the difference of its scores, for three margins."""
    axes = draw.axes(height=2.6)
    difference = [step / 10 for step in range(-40, 61)]
    for colour, style, margin in zip(draw.colours, ("-", "--", ":"), (0, 1, 3), strict=False):
        price = [math.log1p(math.exp(margin - d)) for d in difference]
        axes.plot(difference, price, style, color=colour, label=draw.text(f"margin {margin}", f"间隔 {margin}"))
    axes.axhline(math.log(2), color=draw.muted, linewidth=0.8)
    axes.set_xlim(-4, 6)
    axes.set_ylim(0, 5)
    axes.grid()
    axes.set_xlabel(draw.text("chosen score - rejected score", "优选分数 - 劣选分数"))
    axes.set_ylabel(draw.text("cost of the pair", "一对的代价"))
    axes.legend()
