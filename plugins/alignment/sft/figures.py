"""Figures of the lesson on supervised fine-tuning."""

from __future__ import annotations

from groundup.core.figures import Drawing

TOKENS = ("5", "6", "1", "2", "7", "3", "2", "·")
EXAMPLE = (0, 0, 0, 0, 1, 1, 1, 2)  # of each token; 2 is padding


def shift(draw: Drawing) -> None:
    """Draw which output is asked for which token: answers are learnt, prompts are not."""
    axes = draw.axes(height=1.9)
    axes.set_axis_off()
    axes.set_xlim(-1.3, 4.1)
    axes.set_ylim(-0.3, 2.4)
    asked = draw.text("prompt", "提示词")
    words = (asked, asked, draw.text("answer", "回答"), draw.text("end", "结束"))
    for t, word in enumerate(words):
        learnt = t > 1
        colour = draw.colours[0] if learnt else draw.muted
        for y in (0.0, 1.5):
            axes.fill([t + 0.06, t + 0.94, t + 0.94, t + 0.06], [y, y, y + 0.6, y + 0.6], color=colour, alpha=0.2)
        axes.text(t + 0.5, 0.3, word, ha="center", va="center", fontsize=8.5)
        axes.text(t + 0.5, 1.8, word if learnt else "−100", ha="center", va="center", fontsize=8.5)
        if t < 3:
            style = "-" if t > 0 else ":"
            arrow = {"arrowstyle": "->", "color": draw.colours[0] if t > 0 else draw.muted, "linestyle": style}
            axes.annotate("", (t + 1.45, 1.45), (t + 0.55, 0.65), arrowprops=arrow)
    axes.text(-0.1, 0.3, draw.text("input", "输入"), ha="right", va="center")
    axes.text(-0.1, 1.8, draw.text("labels", "标签"), ha="right", va="center")


def packing(draw: Drawing) -> None:
    """Draw the mask of a packed row: a triangle for each example, a single cell for padding."""
    axes = draw.axes(width=3.6, height=3.2)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    for i in range(8):
        for j in range(8):
            sees = EXAMPLE[i] == EXAMPLE[j] and j <= i
            colour = draw.grid if not sees else draw.muted if EXAMPLE[i] == 2 else draw.colours[EXAMPLE[i]]
            x, y = [j + 0.06, j + 0.94, j + 0.94, j + 0.06], [i + 0.06, i + 0.06, i + 0.94, i + 0.94]
            axes.fill(x, y, color=colour, alpha=0.8 if sees else 0.35, linewidth=0)
    axes.set_xticks([k + 0.5 for k in range(8)], TOKENS)
    axes.set_yticks([k + 0.5 for k in range(8)], TOKENS)
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel(draw.text("token that is seen", "被看到的词元"))
    axes.set_ylabel(draw.text("token that looks", "在看的词元"))
