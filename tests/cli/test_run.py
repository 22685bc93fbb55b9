"""``learn run``."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from groundup.cli import run
from groundup.cli.layout import width
from groundup.cli.main import cli
from groundup.cli.run import _plot
from groundup.cli.words import speak
from groundup.core.registry import Registry
from groundup.grader.learner import picture
from groundup.grader.learner.lab import load_lab


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_an_attempt_it_offers_the_reference() -> None:
    result = CliRunner().invoke(cli, ["run", "gae"])
    assert result.exit_code == 2
    assert "learn run gae --reference" in result.output


@pytest.mark.soak
def test_all_labs_run_quickly_and_leave_pictures(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["run", "--all", "--quick", "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    names = {t.name for t in Registry().techniques.values()}
    assert {p.name for p in (tmp_path / "out").iterdir()} == {f"{name}-1.png" for name in names}


def test_yours_is_measured_beside_the_reference_and_recorded(tmp_path: Path) -> None:
    assert CliRunner().invoke(cli, ["start", "gae"]).exit_code == 0
    shutil.copy(Registry().technique("gae").files.solution, tmp_path / "workspace" / "rl" / "gae.py")
    result = CliRunner().invoke(cli, ["run", "gae", "--quick", "--json"])
    assert result.exit_code == 0, result.output
    runs = json.loads(result.stdout)
    assert [r["contestant"] for r in runs] == ["yours", "reference"]
    assert len(runs[0]["implementations"]["rl/gae"]) == 64
    assert runs[1]["implementations"] == {"rl/gae": "reference"}
    brief = json.loads(CliRunner().invoke(cli, ["brief", "--json"]).stdout)
    assert "gae" in json.dumps(brief)
    assert (tmp_path / "workspace" / "runs" / "gae-1.png").is_file()


def test_without_a_terminal_lines_say_how_far_a_run_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "LINE_SECONDS", 0.0)
    result = CliRunner().invoke(cli, ["run", "gae", "--reference", "--quick"])
    assert re.search(r"^  reference: \d+%, about \d+ s left$", result.stderr, re.MULTILINE)
    assert "s left" not in result.stdout
    monkeypatch.setattr(run, "LINE_SECONDS", 3600.0)
    assert CliRunner().invoke(cli, ["run", "gae", "--reference", "--quick"]).stderr == ""


def test_a_picture_is_never_written_over(tmp_path: Path) -> None:
    for number in (1, 2):
        CliRunner().invoke(cli, ["run", "gae", "--reference", "--quick", "--out", "pictures"])
        assert (tmp_path / "pictures" / f"gae-{number}.png").is_file()


def test_the_stub_ends_the_lab_with_its_hole_and_exit_code_1() -> None:
    CliRunner().invoke(cli, ["start", "gae"])
    result = CliRunner().invoke(cli, ["run", "gae", "--quick"])
    assert result.exit_code == 1
    assert "hole 1/2" in result.output


@pytest.mark.parametrize(("lang", "told"), [("en", "needs sklearn"), ("zh", "需要 sklearn")])
def test_what_a_lab_lacks_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch, lang: str, told: str) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "groundup.plugins.training.adamw.lab", raising=False)
    result = CliRunner().invoke(cli, ["run", "adamw", "--quick", "--reference", "--lang", lang])
    assert result.exit_code == 3
    assert told in result.output.replace("\n", " ")
    assert "python -m pip install 'groundup[labs]'" in result.output.replace("\n  ", " ").replace("\n", " ")
    assert "Traceback" not in result.output


@pytest.mark.parametrize(("font", "told"), [(None, 1), ("SimHei", 0)])
def test_who_speaks_chinese_is_told_once_of_a_missing_font(
    monkeypatch: pytest.MonkeyPatch, font: str | None, told: int
) -> None:
    monkeypatch.setattr(picture, "chinese_font", lambda: font)
    monkeypatch.setattr(picture, "picture", lambda lab, runs, lang, told: b"drawn")
    arguments = ["run", "gae", "--reference", "--quick"]
    result = CliRunner().invoke(cli, [*arguments, "--lang", "zh"])
    assert result.output.replace("\n  ", "").count("没有中文字体：请安装一种（Debian 上为 fonts-wqy-zenhei") == told
    assert "font" not in CliRunner().invoke(cli, [*arguments, "--lang", "en"]).output


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_line_of_a_plot_on_the_terminal_is_as_wide_as_it_should_be(lang: str) -> None:
    lab, _ = load_lab(Registry().technique("gae"))
    points = {series: [(0.0, 1.0), (1.0, float(n))] for n, series in enumerate(("bias_wrong", "spread_wrong"))}
    speak(lang)
    plot = _plot(lab, "yours", [], points, 80, lang)
    assert {width(line) for line in plot.splitlines()} == {80}
    assert ("你的实现：标准差，不准的 Critic" if lang == "zh" else "yours: standard deviation, wrong critic") in plot
