"""Figures of lessons: a technique's ``figures.py`` has a public function for each, and a lesson shows it by its name.

::

    def weights(draw: Drawing) -> None:
        \"""Weight of an error over its distance, for three values of lambda.\"""
        axes = draw.axes(height=2.6)
        for colour, lam in zip(draw.colours, (0.5, 0.9, 0.95)):
            axes.plot(range(20), [lam**k for k in range(20)], color=colour, label=f"λ = {lam}")
        axes.set_xlabel(draw.text("steps between", "相隔的步数"))
        axes.legend()

The lesson contains ``![Caption.](figure:weights)`` in a paragraph of its own. A figure is SVG with its text kept as
text; its colours become those of the page, light or dark. The same function gives the same bytes each time, so it uses
no chance and no clock. Imports matplotlib only when it draws.
"""

from __future__ import annotations

import html
import inspect
import io
import re
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["Drawing", "drawn", "figures_of"]
__contract__ = ("Drawing",)

WIDTH = 5.2  # inches: at 390 pixels of a phone, text of 9 points is still read
FONTS = "'DejaVu Sans', Verdana, 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif"


class Drawing:
    """What a figure is drawn on. Use its colours and no others: a page replaces them in its dark theme."""

    ink = "#1f2328"
    """Text, axes and outlines."""
    muted = "#6b7580"
    """What stands back: guides, secondary text."""
    grid = "#d3dae1"
    """Grid lines, and fills of empty cells."""
    paper = "#fefefe"
    """The page: text on a filled area, gaps between areas."""
    colours = ("#0a6ebd", "#d1570c", "#1a8f5f", "#a8549a", "#b8860b", "#4aa3c7")
    """The colours of curves and areas, told apart by colour-blind readers too. For a light fill give ``alpha=0.2``."""

    def __init__(self, lang: str = "en") -> None:
        self.lang = lang
        self.figure: Any = None
        """The matplotlib figure, once :meth:`axes` has made it."""

    def text(self, en: str, zh: str) -> str:
        """Return the label in the language of the page."""
        return zh if self.lang == "zh" else en

    def axes(self, width: float = WIDTH, height: float = 2.8, rows: int = 1, columns: int = 1, **options: Any) -> Any:
        """Return the axes to draw on, or an array of them; sizes in inches. ``options`` go to ``Figure.subplots``."""
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(width, height), layout="constrained")
        return self.figure.subplots(rows, columns, **options)


def figures_of(module: ModuleType) -> dict[str, Callable[[Drawing], None]]:
    """Return the functions of ``figures.py`` by the name that a lesson shows them by."""
    return {
        name: found
        for name, found in vars(module).items()
        if inspect.isfunction(found) and found.__module__ == module.__name__ and not name.startswith("_")
    }


def drawn(function: Callable[[Drawing], None], lang: str, said: str = "") -> str:
    """Return the figure as an ``<svg>`` element to put into a page. ``said`` describes it to those who cannot see it.

    Raises whatever the function raises, and ValueError if it draws nothing.
    """
    import matplotlib

    name = function.__name__
    drawing, out = Drawing(lang), io.StringIO()
    with matplotlib.rc_context(_style(f"{function.__module__}.{name}.{lang}")), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the reader's font has Chinese
        function(drawing)
        if drawing.figure is None:
            raise ValueError(f"{name}() draws nothing: it begins with draw.axes()")
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        drawing.figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    return _as_part_of_a_page(out.getvalue(), f"{name.replace('_', '-')}-{lang}", said)


def _style(salt: str) -> Any:
    ink, grid = Drawing.ink, Drawing.grid
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "font.family": ["DejaVu Sans"],  # comes with matplotlib: the same layout on every machine
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.labelsize": 9,
        "legend.fontsize": 8.5,
        "axes.prop_cycle": _cycle(),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
        "grid.color": grid,
        "patch.edgecolor": ink,
        **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), ink),
    }


def _cycle() -> Any:
    from cycler import cycler

    return cycler(color=Drawing.colours)


def _as_part_of_a_page(svg: str, prefix: str, said: str) -> str:
    """Return matplotlib's file as an element: its size from the page, its colours variables, its ids its own."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}-', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}-", svg)
    svg = svg.replace("'DejaVu Sans'", FONTS)
    names = {Drawing.ink: "ink", Drawing.muted: "muted", Drawing.grid: "grid", Drawing.paper: "paper"}
    names |= {colour: f"colour-{number}" for number, colour in enumerate(Drawing.colours, start=1)}
    for colour, variable in names.items():
        svg = svg.replace(f": {colour}", f": var(--{variable}, {colour})")
    label = f' role="img" aria-label="{html.escape(said)}"' if said else ' role="img"'
    head, end, rest = svg.partition(">")
    return re.sub(r' (width|height)="[^"]*"', "", head).replace("<svg", f"<svg{label}", 1) + end + rest
