"""Figures of the lesson: buckets against the backward pass, and the time of a step over the size of the buckets."""

from __future__ import annotations

from typing import Any

from groundup.core.figures import Drawing

__all__ = ["bucket_size", "timeline"]

LAYERS, BACKWARD, TRANSFER = 4, 10, 8  # layers, and milliseconds of each: its backward pass, its gradients on the link

GRADIENTS = 14e9  # bytes: 7 billion numbers in bfloat16
RANKS, NODES = 64, 8
LINK = 400e9  # bytes a second that a rank's share of all rings carries
LATENCY = 1e-6 * (2 * (RANKS - NODES) * 3.4 + 2 * (NODES - 1) * 14.0)  # seconds a call: NCCL's table of hops
PEAK, SHARE = 989.5e12, 0.5  # FLOP a second of an H100 in bfloat16, and the share of them that is reached
TOKENS = (4096, 2048)  # per rank and step


def timeline(draw: Drawing) -> None:
    """One bucket, two buckets and four: when the link works, and how long the rank waits."""
    axes = draw.axes(height=3.0)
    axes.set_axis_off()
    axes.set_xlim(-17.5, 75)
    axes.set_ylim(12.6, -0.9)
    titles = {
        1: draw.text("one bucket", "一个桶"),
        2: draw.text("two buckets", "两个桶"),
        4: draw.text("four buckets", "四个桶"),
    }
    for row, (count, title) in enumerate(titles.items()):
        _schedule(draw, axes, 4.0 * row, count, title)
    axes.plot([40, 40], [-0.2, 11.6], color=draw.muted, linewidth=1, linestyle=(0, (3, 2)))
    end = draw.text("the backward pass ends: 40 ms", "反向传播结束：40 毫秒")
    axes.text(40, 12.2, end, fontsize=8.5, ha="center", va="center", color=draw.muted)


def bucket_size(draw: Drawing) -> None:
    """Time of a backward pass with its all-reduces, over the size of the buckets."""
    axes = draw.axes(height=2.8)
    counts = sorted({round(10 ** (step / 40)) for step in range(167)})
    for colour, tokens in zip(draw.colours, TOKENS, strict=False):
        backward = 4 * tokens * GRADIENTS / 2 / (PEAK * SHARE)
        label = draw.text(f"{tokens:,} tokens a rank", f"每个 rank {tokens:,} 个词元")
        finished = [1000 * _finished(count, backward) for count in counts]
        axes.plot([GRADIENTS / count for count in counts], finished, color=colour, label=label)
        axes.axhline(1000 * backward, color=colour, linewidth=1, linestyle=(0, (3, 2)))
    axes.axvline(25 * 2**20, color=draw.muted, linewidth=1)
    axes.text(25 * 2**20 * 1.1, 20, "25 MiB", fontsize=8.5, color=draw.muted)
    axes.set_xscale("log")
    axes.set_xticks([1e7, 1e8, 1e9, 1e10], ["10 MB", "100 MB", "1 GB", "10 GB"])
    axes.minorticks_off()
    axes.set_xlim(5e6, 2e10)
    axes.set_ylim(0, 600)
    axes.set_xlabel(draw.text("size of a bucket", "桶的大小"))
    axes.set_ylabel(draw.text("milliseconds", "毫秒"))
    axes.legend(loc="upper right")


def _finished(count: int, backward: float) -> float:
    """Return when the last of ``count`` equal all-reduces ends, if gradients come at a steady rate."""
    each = LATENCY + 2 * (RANKS - 1) / RANKS * GRADIENTS / count / LINK
    free = 0.0
    for bucket in range(1, count + 1):
        free = max(free, backward * bucket / count) + each
    return free


def _schedule(draw: Drawing, axes: Any, top: float, buckets: int, title: str) -> None:
    axes.text(-1, top - 0.55, title, fontsize=9, fontweight="bold", va="center", ha="right")
    axes.text(-1, top + 0.55, draw.text("computes", "计算"), fontsize=8.5, va="center", ha="right")
    axes.text(-1, top + 1.75, draw.text("link", "链路"), fontsize=8.5, va="center", ha="right")
    for layer in range(LAYERS):
        name = draw.text("layer", "层") + f" {LAYERS - layer}"
        _bar(draw, axes, BACKWARD * layer, BACKWARD, top, draw.colours[0], name)
    free, each = 0, LAYERS // buckets
    for bucket in range(buckets):
        begin = max(free, BACKWARD * each * (bucket + 1))
        free = begin + TRANSFER * each
        first = LAYERS - bucket * each
        name = str(first) if each == 1 else f"{first}–{first - each + 1}"
        _bar(draw, axes, begin, free - begin, top + 1.2, draw.colours[1], name)
    waits = draw.text("waits", "等待")
    idle = free - BACKWARD * LAYERS
    _bar(draw, axes, BACKWARD * LAYERS, idle, top, draw.grid, waits if idle > TRANSFER else "", draw.ink)
    axes.text(free + 0.8, top + 1.2, f"{free} ms", fontsize=8.5, va="center")


def _bar(
    draw: Drawing, axes: Any, left: float, width: float, top: float, colour: str, name: str, ink: str = ""
) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((left, top), width, 1, facecolor=colour, edgecolor=draw.paper, linewidth=1.2))
    axes.text(left + width / 2, top + 0.52, name, fontsize=8, color=ink or draw.paper, ha="center", va="center")
