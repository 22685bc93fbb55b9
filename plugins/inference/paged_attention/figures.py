"""Figures of the lesson on PagedAttention."""

from __future__ import annotations

from typing import Any

from groundup.core.figures import Drawing

__all__ = ["fork", "waste"]

# For each call of the worked example that is drawn: its name, the tables of 7 and 5, and what each block holds.
STATES: tuple[tuple[str, str, tuple[int, ...], tuple[int, ...], dict[int, str]], ...] = (
    ("append(7, 3)", "", (3, 2), (), {3: "ab", 2: "c"}),
    ("fork(7, 5)", "", (3, 2), (3, 2), {3: "ab", 2: "c"}),
    ("append(5, 1)", "copy", (3, 2), (3, 1), {3: "ab", 2: "c", 1: "cd"}),
    ("append(7, 1)", "", (3, 2), (3, 1), {3: "ab", 2: "ce", 1: "cd"}),
    ("free(7)", "", (), (3, 1), {3: "ab", 1: "cd"}),
)


def fork(draw: Drawing) -> None:
    """Block tables, blocks with their references and the free ones, through a fork and a copy-on-write."""
    axes = draw.axes(height=4.6)
    axes.set_axis_off()
    axes.set_xlim(0, 10.4)
    axes.set_ylim(-0.15, 2 * len(STATES) + 0.75)
    small = {"fontsize": 8, "ha": "center", "va": "center"}
    top = 2 * len(STATES) + 0.35
    for x, text in (
        (2.1, draw.text("tables", "块表")),
        (6.0, draw.text("blocks, and how many tables list them", "块，以及列着它的表的数目")),
        (9.6, draw.text("free", "空闲")),
    ):
        axes.text(x, top, text, color=draw.muted, **small)
    for number, (call, copied, of_7, of_5, blocks) in enumerate(STATES):
        y = 2 * (len(STATES) - 1 - number)
        axes.text(0, y + 1.55, call, fontsize=8, family="monospace", va="center")
        for row, (name, table) in enumerate((("7", of_7), ("5", of_5))):
            axes.text(1.2, y + 0.95 - 0.62 * row, name, color=draw.colours[row], **small)
            for entry, block in enumerate(table):
                _cell(axes, draw, 1.5 + 0.7 * entry, y + 0.68 - 0.62 * row, 0.7, str(block), draw.colours[row])
        for block in range(4):
            owners = (block in of_7) + (block in of_5)
            x, held = 3.6 + 1.28 * block, blocks.get(block, "")
            colour = {0: draw.grid, 1: draw.colours[0 if block in of_7 else 1], 2: draw.colours[2]}[owners]
            for place in range(2):
                _cell(axes, draw, x + 0.55 * place, y + 0.35, 0.55, held[place : place + 1], colour)
            said = draw.text(f"block {block}: {owners}", f"块 {block}：{owners}")
            axes.text(x + 0.55, y + 0.1, said, color=draw.ink if owners else draw.muted, **small)
        if copied:
            axes.annotate(
                "", (5.43, y + 0.95), (6.71, y + 0.95),
                arrowprops={"arrowstyle": "->", "color": draw.ink, "connectionstyle": "arc3,rad=0.35"},
            )  # fmt: skip
            axes.text(6.07, y + 1.42, draw.text("copied, then written", "先复制，再写入"), **small)
        free = ", ".join(str(block) for block in range(4) if block not in of_7 + of_5)
        axes.text(9.6, y + 0.6, free, **small)


def waste(draw: Drawing) -> None:
    """The same memory of 40 places: requests with reserved pieces of 16, and requests in blocks of 4."""
    held = (7, 5, 10, 3, 6)
    pieces, blocks = draw.axes(height=2.3, rows=2)
    for axes, size, title in (
        (pieces, 16, draw.text("16 places reserved for each: 2 requests", "每个请求预留 16 个位置：2 个请求")),
        (blocks, 4, draw.text("blocks of 4 places: 5 requests", "每块 4 个位置：5 个请求")),
    ):
        axes.set_axis_off()
        axes.set_xlim(-0.3, 40.3)
        axes.set_ylim(-0.1, 1.5)
        axes.set_title(title, fontsize=9, loc="left")
        start = 0
        for number, tokens in enumerate(held):
            taken = 16 if size == 16 else -(-tokens // size) * size
            if start + taken > 40:
                break
            for place in range(taken):
                colour = draw.colours[number] if place < tokens else draw.paper
                _place(axes, draw, start + place, colour)
            for edge in range(start, start + taken + 1, size):
                axes.plot([edge, edge], [-0.08, 1.08], color=draw.ink, linewidth=1.6, solid_capstyle="butt")
            axes.text(
                start + taken / 2, 1.32, draw.text(f"{tokens} tokens", f"{tokens} 个"), fontsize=8, ha="center",
                va="center", color=draw.colours[number],
            )  # fmt: skip
            start += taken
        for place in range(start, 40):
            _place(axes, draw, place, draw.grid)


def _cell(axes: Any, draw: Drawing, x: float, y: float, width: float, text: str, colour: str) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x, y), width, 0.55, facecolor=colour, alpha=0.22, edgecolor="none"))
    axes.add_patch(Rectangle((x, y), width, 0.55, facecolor="none", edgecolor=draw.ink, linewidth=0.8))
    axes.text(x + width / 2, y + 0.26, text, fontsize=8, ha="center", va="center")


def _place(axes: Any, draw: Drawing, place: int, colour: str) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((place, 0), 1, 1, facecolor=colour, edgecolor=draw.muted, linewidth=0.5))
