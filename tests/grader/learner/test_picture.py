"""The picture of a lab, and the language of its labels."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib.axes
import pytest
from matplotlib import font_manager

from groundup.core.lab import Foil, Lab, Outcome
from groundup.grader.learner import picture as module
from groundup.grader.learner.lab import LabRun
from groundup.grader.learner.picture import CHINESE_FONTS, WHOSE, chinese_font, contestant, curves, picture

LAB = Lab(
    title={"en": "Loss over steps", "zh": "损失随步数的变化"},
    uses=("toys/scale",),
    x={"en": "steps", "zh": "步数"},
    y={"en": "loss", "zh": "损失"},
    bars={"en": "milliseconds", "zh": "毫秒"},
    names={"bias": {"en": "the bias", "zh": "偏差"}, "forward": {"en": "forward", "zh": "前向"}},
    foil=Foil(technique="toys/scale", name={"en": "without a factor", "zh": "不乘系数"}, misconception="adds"),
)
needs_a_font = pytest.mark.skipif(chinese_font() is None, reason="no font with Chinese characters is installed")


def run(contestant: str = "yours", **points: list[tuple[float, float]]) -> LabRun:
    return LabRun(
        technique="toys/scale", contestant=contestant, seed=0, quick=True, implementations={},
        points=points or {"loss": [(0.0, 1.0), (1.0, 0.5)]},
        bars=[("rank 0", 0.0, 1.0, "forward"), ("rank 1", 1.0, 2.0, "forward")], outcome=Outcome(figures=()),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def _looked_for_anew() -> Iterator[None]:
    chinese_font.cache_clear()
    yield
    chinese_font.cache_clear()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Return the texts on the axes."""
    texts: dict[str, list[str]] = {}
    for name in ("set_title", "set_xlabel", "set_ylabel"):
        original = getattr(matplotlib.axes.Axes, name)

        def noting(self: Any, text: str, *rest: Any, name: str = name, original: Any = original, **more: Any) -> Any:
            texts.setdefault(name, []).append(text)
            return original(self, text, *rest, **more)

        monkeypatch.setattr(matplotlib.axes.Axes, name, noting)
    return texts


@needs_a_font
def test_a_picture_in_chinese_has_every_character(written: dict[str, list[str]]) -> None:
    drawn = picture(LAB, [run(bias=[(0, 1)], other=[(0, 2)]), run("reference")], "zh")  # a warning would fail the test
    assert drawn.startswith(b"\x89PNG")
    assert written == {"set_title": ["损失随步数的变化"], "set_xlabel": ["步数", "毫秒"], "set_ylabel": ["损失"]}


def test_without_a_font_for_it_the_picture_is_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "chinese_font", lambda: None)
    assert picture(LAB, [run()], "zh") == picture(LAB, [run()])


def test_in_another_language_the_picture_is_in_english(written: dict[str, list[str]]) -> None:
    picture(LAB, [run()], "tlh")
    assert written["set_title"] == ["Loss over steps"]


def test_a_series_has_one_name_and_one_number_in_all_runs() -> None:
    made = [
        ("yours", {"bias": [(0.0, 1.0)], "other": [(0.0, 2.0)]}),
        ("foil", {"other": [(0.0, 2.0)], "bias": [(0.0, float("nan")), (1.0, 2.0)], "third": []}),
    ]
    assert list(curves(LAB, made, "zh")) == [
        ("yours", 0, "偏差", [(0.0, 1.0)]),
        ("yours", 1, "other", [(0.0, 2.0)]),
        ("foil", 1, "other", [(0.0, 2.0)]),
        ("foil", 0, "偏差", [(1.0, 2.0)]),  # a number that is none is not drawn
        ("foil", 2, "third", []),
    ]


def test_the_foil_is_called_by_its_own_name(chinese: Callable[[str], str]) -> None:
    assert [contestant(LAB, who, "en") for who in WHOSE] == ["yours", "reference", "without a factor"]
    assert [contestant(LAB, who, "zh", chinese) for who in WHOSE] == ["你的实现", "参考实现", "不乘系数"]


def test_a_curve_has_one_colour_and_three_styles(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, legends = [], []
    plot, legend = matplotlib.axes.Axes.plot, matplotlib.axes.Axes.legend

    def plotting(self: Any, *points: Any, **style: Any) -> Any:
        drawn.extend(lines := plot(self, *points, **style))
        return lines

    def listing(self: Any, *rest: Any, **more: Any) -> Any:
        made = legend(self, *rest, **more)
        legends.append([text.get_text() for text in made.get_texts()])
        return made

    monkeypatch.setattr(matplotlib.axes.Axes, "plot", plotting)
    monkeypatch.setattr(matplotlib.axes.Axes, "legend", listing)
    runs = [run(who, bias=[(0, 1), (1, 2)], other=[(0, 2), (1, 1)]) for who in ("yours", "reference", "foil")]
    assert picture(LAB, runs).startswith(b"\x89PNG")
    assert [line.get_color() for line in drawn] == ["C0", "C1"] * 3
    assert len({str(line.get_linestyle()) + str(line._unscaled_dash_pattern) for line in drawn}) == 3
    assert legends == [["yours", "reference", "without a factor"], ["the bias", "other"], ["forward"]]
    legends.clear()
    picture(LAB, [run("reference"), run("foil")])  # a single series needs no legend of colours
    assert legends[0] == ["reference", "without a factor"]
    assert len(legends) == 2


def test_a_curve_of_one_point_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    plot = matplotlib.axes.Axes.plot
    monkeypatch.setattr(matplotlib.axes.Axes, "plot", lambda *a, **k: drawn.extend(lines := plot(*a, **k)) or lines)
    picture(LAB, [run(who, loss=[(3, 1), (4, math.nan)], bias=[(0, 1), (1, 2)]) for who in ("yours", "foil")])
    assert [line.get_marker() for line in drawn] == ["o", "None", "^", "None"]


# Fonts


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """matplotlib's font list has no font with Chinese characters."""
    manager = copy.copy(font_manager.fontManager)
    files = {font.fname for font in manager.ttflist if font.name in CHINESE_FONTS}  # all faces of a font collection
    manager.ttflist = [font for font in manager.ttflist if font.fname not in files]
    monkeypatch.setattr(font_manager, "fontManager", manager)


@needs_a_font
@pytest.mark.usefixtures("forgetful")
def test_a_font_is_found_that_was_installed_after_matplotlib_first_ran() -> None:
    assert chinese_font() in CHINESE_FONTS


@pytest.mark.usefixtures("forgetful")
def test_where_there_is_no_font_none_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(broken), str(tmp_path / "gone.ttf")])
    assert chinese_font() is None
