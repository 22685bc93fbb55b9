"""Figures of the lesson on batch-constrained Q-learning."""

from __future__ import annotations

from groundup.core.figures import Drawing

PROBABILITIES = (6, 3, 2, 1)  # in twelfths
VALUES = (-3.0, -1.0, -2.0, 4.0)
THRESHOLD = 0.3


def filtered(draw: Drawing) -> None:
    """Draw the filter of one state: the probabilities with the edge, and the values of the actions that are left."""
    left, right = draw.axes(height=2.8, columns=2)
    names = [str(action) for action in range(4)]
    edge = THRESHOLD * max(PROBABILITIES) / 12
    for action, (part, value) in enumerate(zip(PROBABILITIES, VALUES, strict=True)):
        passes = part / 12 >= edge
        colour = draw.colours[0] if passes else draw.muted
        left.bar([action], [part / 12], color=colour, width=0.6)
        right.bar([action], [value], color=colour, width=0.6, alpha=1.0 if passes else 0.45)
    left.axhline(edge, color=draw.colours[1], linestyle="--", linewidth=1.3)
    left.annotate(draw.text("0.3 of the largest", "最大者的 0.3"), (3.4, edge), (0, 14), ha="right",
                  textcoords="offset points", fontsize=8.5, color=draw.colours[1])  # fmt: skip
    right.axhline(0, color=draw.ink, linewidth=0.8)
    right.annotate(
        draw.text("selected", "选中"), (1, -1), (0, -14), ha="center", textcoords="offset points", fontsize=8.5
    )
    right.annotate(
        draw.text("not allowed", "不允许"), (3, 4), (0, 4), ha="center", textcoords="offset points", fontsize=8.5
    )
    right.set_ylim(-3.8, 5.2)
    for axes in (left, right):
        axes.set_xticks(range(4), names)
        axes.set_xlabel(draw.text("action in s′", "s′ 中的动作"))
    left.set_title(draw.text("behaviour model", "行为模型"))
    right.set_title("Q(s′, ·)")
