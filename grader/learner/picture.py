"""The picture of a lab: curves with bars below, labelled in the learner's language if a font supports it.

A curve has the same colour in every run; the line says whose it is: yours is solid, the reference dashed, the foil
dotted.
"""

from __future__ import annotations

import contextlib
import functools
import io
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from groundup.core.lab import Lab
from groundup.core.messages import Message
from groundup.core.technique import say
from groundup.grader.learner.lab import LabRun, Points

Told = Callable[[str], str]

__all__ = ["WHOSE", "Curve", "chinese_font", "contestant", "curves", "picture"]

WHOSE = {"yours": Message("yours"), "reference": Message("reference"), "foil": Message("foil")}
# The learner's curve is broad and pale, so that the reference's shows on it where both are the same.
LINES: dict[str, dict[str, Any]] = {
    "yours": {"linestyle": "-", "linewidth": 3.6, "alpha": 0.4},
    "reference": {"linestyle": (0, (4, 1.6)), "linewidth": 1.5},
    "foil": {"linestyle": (0, (1, 1.2)), "linewidth": 1.8},
}
MARKERS = {"yours": "o", "reference": "x", "foil": "^"}
# Font families with simplified Chinese, by matplotlib's names; of a font collection it may see only the first face.
CHINESE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans SC", "Noto Sans CJK JP", "Source Han Sans SC", "Source Han Sans CN",
    "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "PingFang SC", "PingFang HK", "Hiragino Sans GB", "Heiti SC", "STHeiti",
    "Microsoft YaHei", "SimHei", "SimSun", "Arial Unicode MS",
)  # fmt: skip


class Curve(NamedTuple):
    """One series of one contestant."""

    contestant: str
    series: int
    """The number of the series, the same for all contestants: it decides the colour."""
    name: str
    """What the series is called."""
    points: list[tuple[float, float]]


def picture(lab: Lab, runs: list[LabRun], lang: str = "en", told: Told = str) -> bytes:
    """Return the curves of the runs, with their bars below, as a PNG; in English if no font supports the language.

    ``told`` translates English text to ``lang``.
    """
    import logging

    import matplotlib

    matplotlib.use("agg")
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # no warnings about fonts with one weight
    from matplotlib.figure import Figure

    fonts = ["DejaVu Sans"]  # matplotlib's own; missing glyphs come from the next font
    if lang == "zh":
        found = chinese_font()
        lang, told, fonts = ("zh", told, [*fonts, found]) if found else ("en", str, fonts)
    with matplotlib.rc_context({"font.family": fonts}):
        rows = list(dict.fromkeys((run.contestant, row) for run in runs for row, *_ in run.bars))
        heights = [4.2, 1.0 + 0.28 * len(rows)] if rows else [4.2]
        drawing = Figure(figsize=(7.2, sum(heights)), dpi=150, layout="constrained")
        axes = drawing.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        _draw_curves(axes[0], lab, runs, lang, told)
        if rows:
            _draw_bars(axes[1], lab, runs, rows, lang, told)
        data = io.BytesIO()
        drawing.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()


def contestant(lab: Lab, who: str, lang: str, told: Told = str) -> str:
    """Return what a contestant is called: yours, reference, or the foil's own name."""
    return say(lab.foil.name, lang) if who == "foil" and lab.foil else told(WHOSE[who])


def curves(lab: Lab, made: Sequence[tuple[str, Points]], lang: str) -> Iterator[Curve]:
    """Yield every contestant's curves, of the points that are finite. A series has one number in all of them."""
    series = list(dict.fromkeys(name for _, points in made for name in points))
    for who, points in made:
        for name, pairs in points.items():
            finite = [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]
            yield Curve(who, series.index(name), _name(lab, name, lang), finite)


@functools.cache
def chinese_font() -> str | None:
    """Return a family in CHINESE_FONTS that is installed, None if there is none."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    if not {font.name for font in manager.ttflist}.intersection(CHINESE_FONTS):
        # Matplotlib caches the fonts of its first run; a font may have been installed since then.
        for path in {*font_manager.findSystemFonts()} - {font.fname for font in manager.ttflist}:
            with contextlib.suppress(Exception):  # not a font file
                manager.addfont(path)
    known = {font.name for font in manager.ttflist}
    return next((family for family in CHINESE_FONTS if family in known), None)


def _draw_curves(axes: Any, lab: Lab, runs: list[LabRun], lang: str, told: Told) -> None:
    from matplotlib.lines import Line2D

    drawn = list(curves(lab, [(run.contestant, run.points) for run in runs], lang))
    for curve in drawn:
        x, y = [x for x, _ in curve.points], [y for _, y in curve.points]
        alone = {"marker": MARKERS[curve.contestant], "markersize": 8} if len(x) == 1 else {}  # a point is no line
        axes.plot(x, y, color=f"C{curve.series}", **LINES[curve.contestant], **alone)
    axes.set_title(say(lab.title, lang), pad=26)
    axes.set_xlabel(say(lab.x, lang))
    axes.set_ylabel(say(lab.y, lang))
    if lab.logarithmic:
        axes.set_yscale("log")
    axes.grid(alpha=0.3)
    names = {curve.series: curve.name for curve in drawn}
    colour = "C0" if len(names) == 1 else "0.25"
    whose = [
        Line2D([], [], color=colour, label=contestant(lab, run.contestant, lang, told), **LINES[run.contestant])
        for run in runs
    ]
    above = axes.legend(
        handles=whose, frameon=False, ncols=len(whose), loc="lower center", bbox_to_anchor=(0.5, 1.0),
        fontsize="small", handlelength=3.2,
    )  # fmt: skip
    if len(names) > 1:
        axes.add_artist(above)
        axes.legend(
            handles=[Line2D([], [], color=f"C{n}", label=name, linewidth=3) for n, name in sorted(names.items())],
            frameon=False, ncols=min(3, len(names)), loc="upper center", bbox_to_anchor=(0.5, -0.15), fontsize="small",
            handlelength=1.2,
        )  # fmt: skip


def _draw_bars(axes: Any, lab: Lab, runs: list[LabRun], rows: list[tuple[str, str]], lang: str, told: Told) -> None:
    """Draw the bars of the runs, with one line for each of ``rows``, top down."""
    kinds = list(dict.fromkeys(kind for run in runs for *_, kind in run.bars))
    for number, kind in enumerate(kinds):
        found = [(b, (r.contestant, b[0])) for r in runs for b in r.bars if b[3] == kind]
        axes.barh(
            [rows.index(row) for _, row in found], [end - start for (_, start, end, _), _ in found],
            left=[start for (_, start, _, _), _ in found], height=0.8, color=f"C{number}", label=_name(lab, kind, lang),
            edgecolor="white", linewidth=0.3,
        )  # fmt: skip
    alone = len({who for who, _ in rows}) == 1
    labels = [_name(lab, row, lang) if alone else _label(lab, whose, row, lang, told) for whose, row in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.invert_yaxis()
    axes.legend(frameon=False, ncols=len(kinds), loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize="small")
    axes.set_xlabel(say(lab.bars or {"en": ""}, lang))


def _label(lab: Lab, who: str, name: str, lang: str, told: Told) -> str:
    return told(Message("{whose}: {name}", whose=contestant(lab, who, lang, told), name=_name(lab, name, lang)))


def _name(lab: Lab, name: str, lang: str) -> str:
    return say(lab.names.get(name, {"en": name}), lang)
