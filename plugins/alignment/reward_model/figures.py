"""The figures of the lesson: each public function draws one, and the lesson shows it by its name."""

from __future__ import annotations

from groundup.core.figures import Drawing


def parts(draw: Drawing) -> None:
    """Draw the parts of the exercise in the order in which they are built."""
    axes = draw.axes(height=1.2)
    axes.set_axis_off()
    labels = [draw.text("given", "输入")]
    labels += [draw.text(f"part {number}", f"第 {number} 部分") for number in range(1, 1 + 1)]
    labels.append(draw.text("result", "结果"))
    for place, label in enumerate(labels):
        inside = 0 < place < len(labels) - 1
        edge = draw.colours[0] if inside else draw.grid
        box = {"boxstyle": "round,pad=0.6", "facecolor": draw.paper, "edgecolor": edge}
        axes.text(place, 0, label, ha="center", va="center", bbox=box)
        if place:
            arrow = {"arrowstyle": "->", "color": draw.muted}
            axes.annotate("", (place - 0.33, 0), (place - 0.67, 0), arrowprops=arrow)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.set_ylim(-1, 1)
