from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from groundup.cli import context
from groundup.cli.context import registry_in
from groundup.cli.layout import width
from groundup.core.registry import Registry
from groundup.grader.judging.verdict import Attempt, HoleState, PropertyResult, Verdict
from groundup.grader.learner.state import State

pytestmark = pytest.mark.usefixtures("toy", "grading")

TECHNIQUES = Registry().techniques
DAYS = Registry().roadmap("fourteen-days").days
FIRST = next(day.name for day in DAYS if any(i in TECHNIQUES for i in day.techniques))


@pytest.fixture
def attempt(learn: Any, here: Path) -> Path:
    learn("start", "scale")
    return here / "workspace" / "toys" / "scale.py"


def row(text: str, name: str) -> str:
    """Return the rest of the line after ``name``."""
    return next(line.split(name, 1)[1] for line in click.unstyle(text).splitlines() if name in line).strip()


def test_all_days_are_named_by_status_and_by_list(learn: Any, attempt: Path) -> None:
    for command in ("status", "list"):
        text = learn(command).stdout
        for day in DAYS:
            assert row(text, f"{day.name} ").startswith(day.title["en"])
    assert "day-4   广义优势估计" in learn("status", "--lang", "zh").stdout
    assert "day-4   广义优势估计" in learn("list", "--lang", "zh").stdout


def test_what_is_not_written_is_shown_as_such(learn: Any, attempt: Path) -> None:
    status, listed = learn("status").stdout, learn("list", "--all").stdout
    for day in DAYS:
        written = [i in TECHNIQUES for i in day.techniques]
        assert row(status, f"{day.name} ").endswith("(not written yet)") == (written != [] and not any(written))
        for identity in day.techniques:
            assert row(listed + f"{identity} \n", f"{identity} ") == (
                "" if identity in TECHNIQUES else "not written yet"
            )


def test_what_cannot_be_loaded_and_a_stub_are_started_rather_than_at_nought_percent(learn: Any, attempt: Path) -> None:
    assert row(learn("status").stdout, "toys/scale") == "started"
    learn("grade", "scale")
    assert row(learn("status").stdout, "toys/scale") == "started"
    attempt.write_text("def scale(x, by:\n")
    assert learn("grade", "scale").exit_code == 1
    assert row(learn("status").stdout, "toys/scale") == "started · 2 of 2 holes filled"


def test_a_standing_follows_the_verdicts_that_count(learn: Any, attempt: Path, toy: Path) -> None:
    right = (toy / "solution.py").read_text()
    stub = attempt.read_text()
    for source, says in (
        (right.replace("x * factor", "x * factor * factor"), "33% · 2 of 2 holes filled · graded once"),
        (right, "passed · graded 2 times"),
        ("no Python", "passed · graded 2 times"),
        (stub, "passed · graded 2 times"),
        (right.replace("x * factor", "x + factor"), "passed; the latest 0% · graded 3 times"),
    ):
        attempt.write_text(source)
        learn("grade", "scale")
        assert row(learn("status").stdout, "toys/scale") == says
    assert "1 of" in learn("status").stdout.splitlines()[0]


def test_the_hole_that_holds_comes_from_the_latest_verdict(learn: Any, attempt: Path, here: Path) -> None:
    attempt.write_text(attempt.read_text().replace('raise NotImplementedError("hole 1/2: the factor")', "factor = by"))
    assert row(learn("status").stdout, "toys/scale") == "started · 1 of 2 holes filled"
    parts = {"passed": False, "outcome": "fell_short", "score": 0.5}
    holes = tuple(HoleState(number=n, title="", filled=n == 1) for n in (1, 2))
    properties = tuple(
        PropertyResult(id=f"p{n}", claim="", status="held" if n == 1 else "not_started", hole=n) for n in (1, 2)
    )
    verdict = a_pass("toys/scale", **parts).model_copy(update={"holes": holes, "properties": properties})
    with State(here / "workspace" / ".learn" / "learn.db") as state:
        state.record(verdict, "", {})
    says = "50% · 1 of 2 holes filled, hole 1 holds · graded once"
    assert row(learn("status").stdout, "toys/scale") == says
    assert of_toy(learn("status", "--json").stdout)["holes"] == {"total": 2, "filled": 1, "hold": 1}


def test_labs_quizzes_and_hints_are_shown_where_there_are_any(learn: Any, attempt: Path, here: Path) -> None:
    learn("hint", "scale")
    with State(here / "workspace" / ".learn" / "learn.db") as state:
        lab(state, "toys/scale", quick=True)
        state.begin_quiz("toys/scale", 1, "0" * 64, 3)
    assert row(learn("status").stdout, "toys/scale").startswith(
        "started · lab run quickly · quiz begun, 0 of 3 answered · 1 hint"
    )
    learn("hint", "scale")
    with State(here / "workspace" / ".learn" / "learn.db") as state:
        state.record_quiz("toys/scale", 1, "0" * 64, 3, {"a": ("A", True)})
        lab(state, "toys/scale", reached=False)
    assert row(learn("status").stdout, "toys/scale") == "started · lab: mark missed · quiz 1 of 3 · 2 hints"
    with State(here / "workspace" / ".learn" / "learn.db") as state:
        lab(state, "toys/scale", reached=True)
        state.record_lab("toys/scale", [{"contestant": "reference"}], b"")  # not with the learner's own code
    data = of_toy(learn("status", "--json").stdout)
    assert "lab: mark reached" in learn("status").stdout
    quiz = {"status": "finished", "right": 1, "answered": 1, "questions": 3}
    assert (data["hints"], data["labs"], data["mark_reached"], data["quiz"]) == (2, 3, True, quiz)


def lab(state: State, technique: str, *, quick: bool = False, reached: bool = False) -> None:
    """Record a lab result, as ``learn run`` does."""
    mark = {"says": {"en": "It is."}, "reached": reached}
    run = {"contestant": "yours", "quick": quick, "outcome": {"figures": [], "mark": mark}}
    state.record_lab(technique, [run, run | {"contestant": "reference"}], b"")


def test_a_bar_shows_how_much_of_what_is_written_is_passed(learn: Any, here: Path) -> None:
    learn("start", "day-7")
    total = len(Registry().techniques)
    for passed in (0, 1, 2):
        head, bar, *_ = click.unstyle(learn("status").stdout).splitlines()
        assert head == f"workspace: {passed} of {total} techniques passed"
        assert bar == "█" * (60 * passed // total) + "░" * (60 - 60 * passed // total)
        with State(here / "workspace" / ".learn" / "learn.db") as state:
            state.record(a_pass(("rl/gae", "alignment/ppo")[passed % 2]), "", {})


def a_pass(technique: str, **other: Any) -> Verdict:
    parts = {"version": 1, "passed": True, "outcome": "passed", "score": 1.0} | other
    return Verdict(
        technique=technique, seed=0, examples=25, seconds=0.1, containment="process", holes=(),
        properties=(), attempt=Attempt(path="x.py", sha256="0" * 64), **parts,
    )  # fmt: skip


# With many techniques


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch, learn: Any, here: Path) -> list[str]:
    """120 techniques, those of the days and others."""
    real = context.registry()
    gae = real.techniques["rl/gae"]
    named = [i for day in DAYS for i in day.techniques]
    extra = iter(f"parallelism/a-rather-long-name-{n}" for n in range(120))
    days = [day.model_copy(update={"techniques": (*day.techniques, *(next(extra) for _ in range(5)))}) for day in DAYS]
    ids = list(dict.fromkeys([*named, *real.techniques, *(i for day in days for i in day.techniques)]))
    ids += [next(extra) for _ in range(120 - len(ids))]
    learn("start", "gae")
    monkeypatch.setattr(
        real, "techniques", {i: real.techniques.get(i, gae.model_copy(update={"id": i, "requires": ()})) for i in ids}
    )
    roadmap = real.roadmaps["fourteen-days"].model_copy(update={"days": tuple(days)})
    monkeypatch.setattr(real, "roadmaps", {"fourteen-days": roadmap})
    return ids


@pytest.mark.parametrize("columns", ["60", "80"])
@pytest.mark.parametrize("begun", ["little", "half", "everything", "everything passed"])
def test_with_120_techniques_status_takes_less_than_60_lines(
    learn: Any, many: list[str], here: Path, monkeypatch: pytest.MonkeyPatch, columns: str, begun: str
) -> None:
    assert len(many) == 120
    monkeypatch.setenv("COLUMNS", columns)
    last = {"little": 5, "half": 60}.get(begun, 120)
    with State(here / "workspace" / ".learn" / "learn.db") as state:
        for number, identity in enumerate(many[:last]):
            short = {} if begun == "everything passed" or number % 2 else {"passed": False, "outcome": "fell_short"}
            state.record(a_pass(identity, version=context.registry().techniques[identity].version, **short), "", {})
            state.note(identity, "hint", "1.1")
    for lang in ("en", "zh"):
        lines = click.unstyle(learn("status", "--lang", lang).stdout).splitlines()
        assert len(lines) < 60
        assert max(map(width, lines)) <= int(columns)
    whole = learn("status", "--all").stdout
    assert all(re.search(rf"^ +{re.escape(i)}( |$)", whole, re.MULTILINE) for i in many[:last])
    if begun == "half":
        assert "in short here; 'learn status --all' shows all" in learn("status").stdout


def test_the_day_that_was_touched_last_stays_in_full(learn: Any, many: list[str], here: Path) -> None:
    with State(here / "workspace" / ".learn" / "learn.db") as state:
        for identity in [*many, "alignment/dpo"]:
            state.record(a_pass(identity, passed=False, outcome="fell_short", score=0.5), "", {})
    shown = [line for line in learn("status").stdout.splitlines() if line.startswith("      ")]
    assert "alignment/dpo" in {line.split()[0] for line in shown}


def test_what_is_beside_the_roadmap_has_its_own_heading(learn: Any, attempt: Path) -> None:
    lines = learn("status").stdout.splitlines()
    assert lines[lines.index("    beside the roadmap") + 1].split() == ["toys/scale", "started"]


def test_the_next_step_is_what_was_begun_else_the_next_day(learn: Any, attempt: Path, toy: Path) -> None:
    assert learn("status").stdout.endswith(
        "Next\n  learn read scale   the lesson\n  learn grade scale  what holds of your attempt\n"
    )
    attempt.write_text((toy / "solution.py").read_text())
    learn("grade", "scale")
    assert learn("status").stdout.endswith(f"Next\n  learn start {FIRST}  the stubs of the next day\n")


def test_status_as_data(learn: Any, attempt: Path, here: Path) -> None:
    attempt.write_text("x = 1")
    learn("grade", "scale")
    learn("hint", "scale")
    data = json.loads(learn("status", "--json").stdout)
    assert data["workspace"] == str(here / "workspace")
    assert next(t for t in data["techniques"] if t["id"] == "toys/scale") == {
        "id": "toys/scale",
        "installed": True,
        "started": True,
        "passed": False,
        "passed_version": None,
        "version": 1,
        "older": False,
        "score": None,
        "outcome": None,
        "graded": 0,
        "graded_version": None,
        "broken": False,
        "changed": "",
        "holes": {"total": 2, "filled": 2, "hold": 0},
        "hints": 1,
        "labs": 0,
        "mark_reached": None,
        "quiz": None,
    }


@pytest.mark.soak
def test_a_pass_of_an_older_version_is_marked_and_not_dropped(learn: Any, attempt: Path, toy: Path) -> None:
    attempt.write_text((toy / "solution.py").read_text())
    learn("grade", "scale")
    edit_manifest(toy, 'id="toys/scale",', 'id="toys/scale", version=2,')
    words = " ".join(learn("status").stdout.split())
    assert "toys/scale passed, of the older version 1: grade it again · graded once" in words
    data = of_toy(learn("status", "--json").stdout)
    assert (data["passed"], data["older"], data["passed_version"], data["version"]) == (True, True, 1, 2)
    learn("grade", "scale")
    assert row(learn("status").stdout, "toys/scale") == "passed · graded 2 times"
    assert not of_toy(learn("status", "--json").stdout)["older"]


CHANGES = """changes=(
    {"version": 2, "text": {"en": "Factors may be negative.", "zh": "系数可以为负。"}},
    {"version": 3, "text": {"en": "The dtype is that of x.", "zh": "类型与 x 相同。"}},
), """


def test_who_has_a_verdict_of_an_older_version_is_told_what_changed_and_loses_nothing(
    learn: Any, attempt: Path, toy: Path
) -> None:
    attempt.write_text((toy / "solution.py").read_text())
    learn("grade", "scale")
    before = of_toy(learn("status", "--json").stdout)
    edit_manifest(toy, 'id="toys/scale",', f'id="toys/scale", version=3, {CHANGES}')
    told = "graded against version 1; what changed: Factors may be negative. The dtype is that of x."
    words = " ".join(learn("status").stdout.split())
    assert f"toys/scale passed, of the older version 1: grade it again · graded once · {told}" in words
    zh = "".join(learn("status", "--lang", "zh").stdout.split())
    assert "按第1版评判；此后的变化：系数可以为负。类型与x相同。" in zh
    after = of_toy(learn("status", "--json").stdout)
    assert after == before | {"version": 3, "older": True, "changed": told}
    brief = learn("brief").stdout
    assert (
        "since then it has become version 3, and an attempt may now get another verdict. What changed: Factors" in brief
    )
    assert attempt.read_text() == (toy / "solution.py").read_text()

    words = " ".join(learn("grade", "scale").stdout.split())
    assert f"The verdict before this one was {told}" in words
    assert "what changed" not in learn("grade", "scale").stdout + learn("status").stdout  # it is shown only once
    data = of_toy(learn("status", "--json").stdout)
    assert (data["graded"], data["passed_version"], data["changed"]) == (3, 3, "")


@pytest.mark.soak
def test_a_pass_of_an_older_version_beside_a_newer_score_is_told_what_changed(
    learn: Any, attempt: Path, toy: Path
) -> None:
    attempt.write_text((toy / "solution.py").read_text())
    learn("grade", "scale")
    edit_manifest(toy, 'id="toys/scale",', f'id="toys/scale", version=3, {CHANGES}')
    attempt.write_text((toy / "solution.py").read_text().replace("x * factor", "x * factor * factor"))
    learn("grade", "scale")
    words = " ".join(learn("status").stdout.split())
    assert (
        "passed, of the older version 1; the latest 33% · graded 2 times · graded against version 1; what changed: "
        in words
    )


def test_a_technique_that_is_no_longer_installed_keeps_its_standing(learn: Any, attempt: Path, toy: Path) -> None:
    attempt.write_text((toy / "solution.py").read_text().replace("x * factor", "x * factor * factor"))
    learn("grade", "scale")
    edit_manifest(toy, 'id="toys/scale"', 'id="toys/other"')
    lines = learn("status").stdout.splitlines()
    assert lines[lines.index("    no plugin that is installed here declares these") + 1].split() == [
        "toys/scale", "33%,", "version", "1", "·", "graded", "once",
    ]  # fmt: skip
    assert of_toy(learn("status", "--json").stdout) == {
        "id": "toys/scale",
        "installed": False,
        "started": False,
        "passed": False,
        "passed_version": None,
        "version": None,
        "older": False,
        "score": 0.3333,
        "outcome": "fell_short",
        "graded": 1,
        "graded_version": 1,
        "broken": False,
        "changed": "",
        "holes": None,
        "hints": 0,
        "labs": 0,
        "mark_reached": None,
        "quiz": None,
    }


def of_toy(printed: str) -> dict[str, Any]:
    return next(t for t in json.loads(printed)["techniques"] if t["id"] == "toys/scale")


def edit_manifest(folder: Path, old: str, new: str) -> None:
    """Change the manifest; the next call of the command reads it."""
    manifest = folder / "__init__.py"
    manifest.write_text(manifest.read_text().replace(old, new))
    del sys.modules[folder.name]
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    registry_in.cache_clear()


def test_status_as_data_without_a_workspace(learn: Any) -> None:
    assert json.loads(learn("status", "--json").stdout) == {"workspace": None, "techniques": []}


def test_a_workspace_that_cannot_be_read_is_told_with_its_file(learn: Any, attempt: Path, here: Path) -> None:
    (here / "workspace" / "learn.toml").write_text('lnag = "zh"\n')
    result = learn("status")
    assert result.exit_code == 2
    assert "learn.toml: no setting 'lnag'. Did you mean 'lang'?" in result.stderr


# list


def test_every_technique_is_listed_by_its_track_with_its_summary(learn: Any) -> None:
    text = learn("list", "--all").stdout
    tracks = text[text.index("\ntracks\n") :]
    assert "\n  toys\n      scale  Numbers times a factor.\n" in tracks
    assert re.search(r"\n  rl\n(      .*\n)*      gae", tracks)


def test_list_needs_no_workspace_and_makes_none(learn: Any, here: Path) -> None:
    assert learn("list").exit_code == 0
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("columns", ["60", "80", "100"])
@pytest.mark.parametrize("asked", [[], ["rl"], ["--all"]])
def test_the_list_fits_the_terminal(
    learn: Any, monkeypatch: pytest.MonkeyPatch, lang: str, columns: str, asked: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert max(map(width, learn("list", *asked, "--lang", lang).stdout.splitlines())) <= int(columns)


def test_list_shows_where_you_stand(learn: Any, here: Path) -> None:
    learn("start", "gae")
    assert row(learn("list", "--all").stdout, "rl/gae ") == "started"
    assert "\n          gae (started)" in learn("list").stdout
    assert row(learn("list", "rl").stdout, "gae ").startswith("started ")


def test_list_as_data(learn: Any) -> None:
    data = json.loads(learn("list", "--json", "--lang", "zh").stdout)
    (roadmap,) = data["roadmaps"]
    assert [day["name"] for day in roadmap["days"]] == [f"day-{n}" for n in range(1, 15)]
    assert [day["techniques"] for day in roadmap["days"]] == [
        [{"id": i, "written": i in TECHNIQUES, "broken": False} for i in day.techniques] for day in DAYS
    ]
    assert data["tracks"]["toys"] == [
        {"id": "toys/scale", "version": 1, "title": "缩放", "summary": "数乘以系数。", "level": None, "minutes": None}
    ]
