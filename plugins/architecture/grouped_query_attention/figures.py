"""Figures of the lesson on grouped-query attention."""

from __future__ import annotations

from groundup.core.figures import Drawing

HEADS = 8
OPERATIONS, BANDWIDTH = 312.0, 2.039  # of an A100 80 GB SXM: 1e12 operations and bytes a second, by its data sheet


def heads(draw: Drawing) -> None:
    """Which key/value head each of 8 query heads reads, for 8, 4 and 1 key/value heads."""
    from matplotlib.patches import Circle, Rectangle

    axes = draw.axes(height=1.4)
    axes.set_axis_off()
    axes.set_aspect("equal")
    width, gap = HEADS, 2.0
    kinds = (
        (8, draw.text("multi-head", "多头")),
        (4, draw.text("grouped", "分组")),
        (1, draw.text("multi-query", "多查询")),
    )
    for number, (groups, name) in enumerate(kinds):
        left, share = number * (width + gap), HEADS // groups
        for head in range(HEADS):
            group = head // share
            colour = draw.colours[group % 2 if groups > 1 else 0]
            x, target = left + head + 0.5, left + (group + 0.5) * share
            axes.plot([x, target], [3.6, 1.0], color=colour, linewidth=1)
            axes.add_patch(Circle((x, 4.0), 0.38, facecolor=draw.paper, edgecolor=colour, linewidth=1.2))
        for group in range(groups):
            colour = draw.colours[group % 2 if groups > 1 else 0]
            centre = left + (group + 0.5) * share
            axes.add_patch(Rectangle((centre - 0.4, 0.2), 0.8, 0.8, facecolor=colour, edgecolor="none", alpha=0.35))
            axes.add_patch(Rectangle((centre - 0.4, 0.2), 0.8, 0.8, facecolor="none", edgecolor=colour, linewidth=1.2))
        axes.text(left + width / 2, 6.0, name, ha="center", va="bottom", fontsize=9)
        axes.text(left + width / 2, 5.0, f"G = {groups}", ha="center", va="bottom", fontsize=8, color=draw.muted)
    axes.text(-0.4, 4.0, draw.text("query", "查询"), ha="right", va="center", fontsize=8)
    axes.text(-0.4, 0.6, draw.text("key/value", "键值"), ha="right", va="center", fontsize=8)
    axes.set_xlim(-4.4, 3 * width + 2 * gap + 0.2)
    axes.set_ylim(-0.2, 7.4)


def roofline(draw: Drawing) -> None:
    """The roofline of an A100, and attention of one decoding step with 64 query heads."""
    axes = draw.axes(height=2.7)
    ridge = OPERATIONS / BANDWIDTH
    axes.plot([0.5, ridge, 1000], [0.5 * BANDWIDTH, OPERATIONS, OPERATIONS], color=draw.muted)
    axes.plot([ridge, ridge], [0.7, OPERATIONS], color=draw.grid, linewidth=1, linestyle="--")
    axes.text(ridge * 1.08, 0.85, f"{ridge:.0f}", ha="left", va="bottom", fontsize=8, color=draw.muted)
    for colour, name, groups in zip(draw.colours, ("MHA", "GQA", "MQA"), (64, 8, 1), strict=False):
        intensity = 64 / groups
        axes.plot([intensity], [intensity * BANDWIDTH], "o", color=colour, markersize=7)
        label = f"{name}, G = {groups}"
        axes.text(intensity * 1.25, intensity * BANDWIDTH * 0.8, label, ha="left", va="top", fontsize=8.5)
    axes.text(
        1000,
        OPERATIONS * 1.15,
        draw.text("arithmetic is the limit", "受限于算力"),
        ha="right",
        va="bottom",
        fontsize=8.5,
    )
    axes.text(0.7, 60, draw.text("memory is the limit", "受限于显存带宽"), ha="left", va="bottom", fontsize=8.5)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(0.5, 1100)
    axes.set_ylim(0.7, 900)
    axes.set_xlabel(draw.text("operations a byte, bfloat16", "每字节的运算次数（bfloat16）"))
    axes.set_ylabel(draw.text("1e12 operations a second", "每秒运算次数（1e12）"))
