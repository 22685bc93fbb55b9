"""``learn run``."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

from groundup.cli import run
from groundup.cli.layout import width
from groundup.cli.main import cli
from groundup.cli.run import MARKERS, _estimate, _key, _plot
from groundup.cli.words import speak
from groundup.core.errors import EXIT_FELL_SHORT
from groundup.core.lab import Figure, Foil, Lab, Mark, Outcome
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.learner import lab as labs
from groundup.grader.learner import picture
from groundup.grader.learner.lab import LabRun, load_lab
from groundup.grader.learner.state import State


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


FOIL = Foil(
    technique="rl/gae",
    name={"en": "without the recursion", "zh": "去掉递归"},
    misconception="one-step-errors-alone",
)


def declare(monkeypatch: pytest.MonkeyPatch, foil: Foil | None, seconds: float | None = None) -> None:
    """Have every lab declare this foil and this time."""
    loaded = load_lab

    def declaring(technique: Technique) -> tuple[Lab, object]:
        lab, loop = loaded(technique)
        return lab.model_copy(update={"foil": foil, "seconds": seconds}), loop

    monkeypatch.setattr(labs, "load_lab", declaring)


def pretend(monkeypatch: pytest.MonkeyPatch, **reached: bool | str) -> None:
    """Have runs of labs end at once, with a mark reached or missed, or stopped, by contestant."""

    def run(technique: Technique, registry: Registry, server: object, used: object, **settings: object) -> LabRun:
        who = "foil" if isinstance(used, str) else "yours" if used else "reference"
        ended = reached[who]
        outcome = Outcome(
            figures=(Figure(name={"en": "error", "zh": "误差"}, value=len(who) / 2, unit="%"),),
            mark=Mark(says={"en": f"{len(who)} is enough.", "zh": f"{len(who)} 足够。"}, reached=bool(ended)),
        )
        return LabRun(
            technique=technique.id, contestant=who, name=FOIL.name if who == "foil" else None, seed=0,
            quick=bool(settings["quick"]), implementations={}, points={"bias": [(0.0, 1.0), (1.0, 2.0)]},
            outcome=Outcome(figures=()) if isinstance(ended, str) else outcome,
            stopped=ended if isinstance(ended, str) else None,
        )  # fmt: skip

    monkeypatch.setattr(labs, "run_lab", run)
    monkeypatch.setattr(labs, "run_foil", run)


def attempt(tmp_path: Path) -> None:
    """Put the solution of gae into a workspace as the learner's attempt."""
    assert CliRunner().invoke(cli, ["start", "gae"]).exit_code == 0
    shutil.copy(Registry().technique("gae").files.solution, tmp_path / "workspace" / "rl" / "gae.py")


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


def test_yours_is_measured_beside_the_reference_and_the_foil_and_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(monkeypatch, FOIL)
    attempt(tmp_path)
    result = CliRunner().invoke(cli, ["run", "gae", "--quick", "--json"])
    assert result.exit_code == 0, result.output
    runs = json.loads(result.stdout)
    assert [r["contestant"] for r in runs] == ["yours", "reference", "foil"]
    assert len(runs[0]["implementations"]["rl/gae"]) == 64
    assert runs[1]["implementations"] == {"rl/gae": "reference"}
    assert (runs[2]["implementations"], runs[2]["name"], runs[2]["stopped"]) == ({"rl/gae": "foil"}, FOIL.name, None)
    assert runs[0]["outcome"]["figures"] == runs[1]["outcome"]["figures"] != runs[2]["outcome"]["figures"]
    assert runs[2]["cpu_seconds"] > 0
    brief = json.loads(CliRunner().invoke(cli, ["brief", "--json"]).stdout)
    (proof,) = [proof for proof in brief["proofs"] if proof["technique"] == "rl/gae"]
    assert proof["lab"]["foil"] == "without the recursion"
    assert [figure["foil"] for figure in proof["lab"]["figures"]] == [f["value"] for f in runs[2]["outcome"]["figures"]]
    with State(tmp_path / "workspace" / ".learn" / "learn.db") as state:
        drawn = state.latest_picture("rl/gae")
    assert drawn == (tmp_path / "workspace" / "runs" / "gae-1.png").read_bytes()


def test_a_lab_without_a_foil_runs_with_yours_and_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(monkeypatch, None)
    attempt(tmp_path)
    pretend(monkeypatch, yours=True, reference=True)
    result = CliRunner().invoke(cli, ["run", "gae", "--json"])
    assert [r["contestant"] for r in json.loads(result.stdout)] == ["yours", "reference"]


def test_a_report_has_a_column_and_a_mark_for_each_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monkeypatch, FOIL, seconds=12)
    attempt(tmp_path)
    pretend(monkeypatch, yours=True, reference=True, foil=False)
    result = CliRunner().invoke(cli, ["run", "gae"], color=True)
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "about 36 s: three runs of about 12 s" in lines
    assert lines.index("without the") + 1 == lines.index("yours reference recursion")
    assert "error 2.5 4.5 2 %" in lines
    assert "yours: \x1b[32m✓ reached\x1b[0m 5 is enough." in lines
    assert "reference: \x1b[32m✓ reached\x1b[0m 9 is enough." in lines
    assert "without the recursion: ✗ missed, as it should: 4 is enough." in lines
    assert result.exit_code == 0
    chinese = CliRunner().invoke(cli, ["run", "gae", "--lang", "zh"]).stdout
    assert "大约需要 36 秒：共三次运行，每次约 12 秒" in chinese
    assert "去掉递归：✗ 未达标，符合预期：4 足够。" in chinese
    only = CliRunner().invoke(cli, ["run", "gae", "--reference"]).stdout
    assert "about 24 s: two runs of about 12 s" in only
    assert "yours" not in only.partition("Next")[0]


@pytest.mark.parametrize(
    ("arguments", "reached", "code"),
    [
        ([], {"yours": True, "reference": False, "foil": False}, 0),
        ([], {"yours": False, "reference": True, "foil": True}, EXIT_FELL_SHORT),
        (["--reference"], {"reference": True, "foil": False}, 0),
        (["--reference"], {"reference": False, "foil": True}, EXIT_FELL_SHORT),
        (["--quick"], {"yours": False, "reference": True, "foil": True}, 0),
    ],
)
def test_the_exit_code_depends_on_the_first_run_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reached: dict[str, bool], code: int
) -> None:
    declare(monkeypatch, FOIL)
    attempt(tmp_path)
    pretend(monkeypatch, **reached)
    result = CliRunner().invoke(cli, ["run", "gae", *arguments])
    assert result.exit_code == code
    told_neutrally = "without the recursion: with this seed, it reached the mark too: 4 is enough."
    assert (told_neutrally in " ".join(result.stdout.split())) == (reached["foil"] and "--quick" not in arguments)


def test_a_quick_run_judges_no_mark_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monkeypatch, FOIL, seconds=12)
    pretend(monkeypatch, reference=True, foil=False)
    english = CliRunner().invoke(cli, ["run", "gae", "--reference", "--quick"]).stdout
    assert "A quick run: mark not judged." in english
    assert "is enough" not in english
    assert "about" not in english.partition("error")[0]  # an estimate is of full runs
    assert "不判断是否达标" in CliRunner().invoke(cli, ["run", "gae", "--reference", "--quick", "--lang", "zh"]).stdout


def test_a_foil_that_stops_does_not_spoil_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monkeypatch, FOIL)
    attempt(tmp_path)
    pretend(monkeypatch, yours=True, reference=True, foil="ValueError: no number")
    result = CliRunner().invoke(cli, ["run", "gae"])
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "error 2.5 4.5 – %" in lines
    assert "without the recursion: it did not get to its end: ValueError: no number" in lines


@pytest.mark.parametrize(
    ("seconds", "count", "told"), [(0.2, 1, "about 1 s"), (50, 3, "about 2 min: three runs of about 50 s")]
)
def test_an_estimate_is_in_seconds_or_minutes(seconds: float, count: int, told: str) -> None:
    speak("en")
    assert _estimate(seconds, count) == told


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
    def lab_of(technique: Technique) -> ModuleType:
        raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn")

    monkeypatch.setattr(labs, "lab_of", lab_of)
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
    points["bias_wrong"].append((2.0, float("nan")))
    speak(lang)
    before = LabRun(
        technique="rl/gae", contestant="reference", seed=0, quick=True, implementations={}, points=points,
        outcome=Outcome(figures=()),
    )  # fmt: skip
    plot = _plot(lab, "foil", [before], points, 80, lang)
    assert {width(line) for line in plot.splitlines()} == {80}
    assert click.unstyle(plot).count("标准差" if lang == "zh" else "standard deviation") == 1
    coloured = [re.findall(r"\x1b\[38;5;(\d+)m[^\x1b]*" + mark, plot) for mark in (MARKERS["foil"], "•")]
    assert set(coloured[0]) <= {"1", "4"} >= set(coloured[1])  # a series has its colour in both runs
    assert coloured[0]


def test_a_line_below_the_plot_says_whose_marks_are_whose() -> None:
    speak("en")
    lab = load_lab(Registry().technique("gae"))[0].model_copy(update={"foil": FOIL})
    key = _key(lab, ["yours", "reference", "foil"], "en")
    assert key.split("   ") == ["  ⠒⠒⠒ yours", "••• reference", "xxx without the recursion"]
