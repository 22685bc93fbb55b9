"""Figures of the lesson: the ring's steps on 4 ranks, and the time of three algorithms over the size of the tensor."""

from __future__ import annotations

import math
from typing import Any

from groundup.core.figures import Drawing

__all__ = ["cost", "steps"]

RANKS = 4
ALPHA, LINK = 14e-6, 50e9  # seconds a message, NCCL's table for a network; bytes a second, 400 Gb/s
MANY = 64


def steps(draw: Drawing) -> None:
    """Who holds whose parts of which chunk, after each step of the two halves."""
    axes = draw.axes(height=3.5)
    axes.set_axis_off()
    axes.set_xlim(-1.6, 21.7)
    axes.set_ylim(13.6, -2.0)
    axes.set_aspect("equal")
    begin = draw.text("at the start", "开始时")
    for number in range(4):
        step = draw.text(f"after step {number}", f"第 {number} 步之后")
        _panel(draw, axes, 5.6 * number, 0.0, step if number else begin, _reducing(number))
    for number in range(1, 4):
        step = draw.text(f"after step {number + 3}", f"第 {number + 3} 步之后")
        _panel(draw, axes, 5.6 * (number - 1), 6.6, step, _gathering(number))
    axes.text(-0.2, -1.55, "reduce-scatter", fontsize=9, fontweight="bold", va="center")
    axes.text(-0.2, 5.05, "all-gather", fontsize=9, fontweight="bold", va="center")
    axes.text(16.8, 6.35, draw.text("part of", "谁的部分"), fontsize=8.5, va="center")
    for rank in range(RANKS):
        _cell(draw, axes, 16.8, 7.0 + 1.1 * rank, {rank})
        axes.text(18.1, 7.5 + 1.1 * rank, f"rank {rank}", fontsize=8.5, va="center")
    below = draw.text(
        "Rows are ranks, columns chunks. Framed: what a rank sends next to the\nrank below; rank 3 sends to rank 0.",
        "行是 rank，列是块。带框的是该 rank 下一步要发的，\n发给它下面的 rank；rank 3 发给 rank 0。",
    )
    axes.text(-0.2, 12.75, below, fontsize=8.5, va="center", color=draw.muted)


def cost(draw: Drawing) -> None:
    """Time of one all-reduce over 64 ranks: all to rank 0 and back, two trees and the ring."""
    axes = draw.axes(height=3.0)
    sizes = [10 ** (3 + step / 20) for step in range(161)]
    depth = math.log2(MANY)
    curves = {
        draw.text("all to rank 0 and back", "全部发给 rank 0 再发回"): [
            2 * (MANY - 1) * (ALPHA + size / LINK) for size in sizes
        ],
        draw.text("tree, whole tensors", "树，整个张量"): [2 * depth * (ALPHA + size / LINK) for size in sizes],
        draw.text("ring", "环"): [2 * (MANY - 1) * (ALPHA + size / MANY / LINK) for size in sizes],
        draw.text("tree in perfect pieces", "树，理想的流水"): [2 * depth * ALPHA + 2 * size / LINK for size in sizes],
    }
    styles: list[Any] = ["-", "-", "-", (0, (4, 2))]
    for colour, style, (name, seconds) in zip((3, 1, 0, 2), styles, curves.items(), strict=True):
        axes.plot(sizes, [1000 * second for second in seconds], color=draw.colours[colour], linestyle=style, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([1e3, 1e5, 1e7, 1e9, 1e11], ["1 kB", "100 kB", "10 MB", "1 GB", "100 GB"])
    axes.set_yticks([0.1, 1, 10, 100, 1000, 1e4, 1e5], ["0.1", "1", "10", "100", "1000", "10⁴", "10⁵"])
    axes.minorticks_off()
    axes.set_xlabel(draw.text("size of the tensor", "张量大小"))
    axes.set_ylabel(draw.text("milliseconds", "毫秒"))
    axes.grid(alpha=0.6)
    axes.legend(loc="upper left")


def _reducing(step: int) -> list[tuple[dict[int, set[int]], int]]:
    """For each rank the parts it holds of each chunk, and the chunk that it sends next."""
    held = []
    for rank in range(RANKS):
        chunks = {chunk: {rank} for chunk in range(RANKS)}
        travelling = (rank - 1 - step) % RANKS
        chunks[travelling] = {(rank - back) % RANKS for back in range(step + 1)}
        held.append((chunks, travelling))
    return held


def _gathering(step: int) -> list[tuple[dict[int, set[int]], int]]:
    everyone = set(range(RANKS))
    return [
        ({(rank - back) % RANKS: everyone for back in range(step + 1)}, (rank - step) % RANKS if step < 3 else -1)
        for rank in range(RANKS)
    ]


def _panel(
    draw: Drawing, axes: Any, left: float, top: float, title: str, held: list[tuple[dict[int, set[int]], int]]
) -> None:
    axes.text(left + 2.2, top - 0.55, title, fontsize=8.5, ha="center", va="center")
    done = all(len(parts) == RANKS for chunks, _ in held for parts in chunks.values())
    for rank, (chunks, next_one) in enumerate(held):
        if left == 0:
            axes.text(left - 0.25, top + 1.1 * rank + 0.5, str(rank), fontsize=8.5, ha="right", va="center")
        for chunk in range(RANKS):
            parts, travels = chunks.get(chunk, set()), chunk == next_one
            _cell(draw, axes, left + 1.1 * chunk, top + 1.1 * rank, parts, travels, 1.0 if travels or done else 0.4)


def _cell(
    draw: Drawing, axes: Any, left: float, top: float, parts: set[int], framed: bool = False, alpha: float = 1.0
) -> None:
    from matplotlib.patches import Rectangle

    for part in sorted(parts):
        place = (left + part / RANKS, top)
        stripe = Rectangle(place, 1 / RANKS, 1, facecolor=draw.colours[part], edgecolor="none", alpha=alpha)
        axes.add_patch(stripe)
    colour, width, order = (draw.ink, 1.5, 3) if framed else (draw.grid, 0.8, 2)
    axes.add_patch(Rectangle((left, top), 1, 1, facecolor="none", edgecolor=colour, linewidth=width, zorder=order))
