"""Figures of the lesson on the key-value cache."""

from __future__ import annotations

from typing import Any

from groundup.core.figures import Drawing

PLACES, PROMPT, STEPS = 8, 3, 4


def growth(draw: Drawing) -> None:
    """One slot after the prefill and after each decoding step: written now, kept, reserved."""
    axes = _grid(draw, height=3.0)
    prompt, decode = draw.text("prefill", "预填充"), draw.text("decode", "解码")
    for step in range(STEPS + 1):
        filled, before = PROMPT + step, PROMPT + step - 1 if step else 0
        for place in range(PLACES):
            kind = 0 if before <= place < filled else 1 if place < before else 2
            _cell(axes, draw, place, step, kind)
        axes.text(-0.2, step + 0.5, f"{decode} {step}" if step else prompt, ha="right", va="center", fontsize=9)
    axes.text(PLACES / 2, -0.25, draw.text("places of one slot", "一个槽的位置"), ha="center", va="bottom", fontsize=9)
    kinds = (
        draw.text("computed and written", "计算并写入"),
        draw.text("kept and read", "保留并读取"),
        draw.text("reserved, empty", "预留，空"),
    )
    for number, said in enumerate(kinds):
        x, y = -1.9 + 3.9 * number, STEPS + 1.45
        _cell(axes, draw, x, y, number, size=0.42)
        axes.text(x + 0.56, y + 0.22, said, ha="left", va="center", fontsize=8)
    axes.set_xlim(-2.0, PLACES + 0.8)
    axes.set_ylim(STEPS + 2.1, -0.8)


def mask(draw: Drawing) -> None:
    """Three new queries over eight keys, five of them from the cache."""
    queries, keys = 3, 8
    axes = _grid(draw, height=2.2)
    for row in range(queries):
        for column in range(keys):
            seen = column <= row + keys - queries
            _cell(axes, draw, column, row, (1 if column < keys - queries else 0) if seen else 2)
            mark = "1" if seen else "0"
            axes.text(column + 0.5, row + 0.5, mark, ha="center", va="center", fontsize=9)
        axes.text(-0.2, row + 0.5, f"{draw.text('query', '查询')} {row}", ha="right", va="center", fontsize=9)
    for column in range(keys):
        axes.text(column + 0.5, queries + 0.35, str(column), ha="center", va="center", fontsize=8, color=draw.muted)
    old = keys - queries
    for start, stop, said in (
        (0, old, draw.text("keys from the cache", "缓存里的键")),
        (old, keys, draw.text("new keys", "新的键")),
    ):
        axes.plot([start + 0.1, stop - 0.1], [-0.2, -0.2], color=draw.muted, linewidth=1)
        axes.text((start + stop) / 2, -0.32, said, ha="center", va="bottom", fontsize=9)
    axes.text(-0.2, queries + 0.35, draw.text("key", "键"), ha="right", va="center", fontsize=8, color=draw.muted)
    axes.set_xlim(-2.0, keys + 0.1)
    axes.set_ylim(queries + 0.7, -1.0)


def _grid(draw: Drawing, height: float) -> Any:
    axes = draw.axes(height=height)
    axes.set_axis_off()
    axes.set_aspect("equal")
    return axes


def _cell(axes: Any, draw: Drawing, x: float, y: float, kind: int, size: float = 1.0) -> None:
    """Draw a cell: 0 written now, 1 kept, 2 empty."""
    from matplotlib.patches import Rectangle

    corner, side = (x + 0.06 * size, y + 0.06 * size), 0.88 * size
    if kind == 2:
        empty = Rectangle(corner, side, side, facecolor="none", edgecolor=draw.muted, linewidth=0.8, linestyle=":")
        axes.add_patch(empty)
        return
    colour, alpha = ((draw.colours[1], 0.35), (draw.colours[0], 0.2))[kind]
    axes.add_patch(Rectangle(corner, side, side, facecolor=colour, edgecolor="none", alpha=alpha))
    axes.add_patch(Rectangle(corner, side, side, facecolor="none", edgecolor=colour, linewidth=1))
