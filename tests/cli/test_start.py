from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from groundup.cli.layout import width
from groundup.core.registry import Registry
from groundup.core.technique import Day
from groundup.grader.judging.verdict import Attempt, Verdict
from groundup.grader.learner.state import State

TECHNIQUES = Registry().techniques
DAYS = Registry().roadmap("fourteen-days").days
UNWRITTEN = [(day, [i for i in day.techniques if i not in TECHNIQUES]) for day in DAYS]
NOTHING_THERE = [day for day, lacking in UNWRITTEN if lacking and len(lacking) == len(day.techniques)]
"""Days of which nothing is written yet."""
FIRST = next(day for day in DAYS if any(i in TECHNIQUES for i in day.techniques))


def absent(day: str) -> list[str]:
    """Return the techniques of a day that are not written yet."""
    return next(lacking for found, lacking in UNWRITTEN if found.name == day)


def files(folder: Path) -> list[str]:
    """Return the Python files below ``folder``."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*.py"))


def pass_(here: Path, technique: str) -> None:
    """Record a pass in the workspace."""
    verdict = Verdict(
        technique=technique,
        version=1,
        passed=True,
        outcome="passed",
        score=1.0,
        seed=0,
        examples=25,
        seconds=0.1,
        containment="process",
        attempt=Attempt(path="x.py", sha256="0" * 64),
        holes=(),
        properties=(),
    )
    with State(here / "workspace" / ".learn" / "learn.db") as state:
        state.record(verdict, "", {})


def test_a_first_start_makes_the_workspace_and_says_so(learn: Any, here: Path, toy: Path) -> None:
    result = learn("start", "scale")
    assert result.exit_code == 0
    assert result.stdout == (
        "Made a workspace in workspace/: open that folder in your editor.\n"
        "\n"
        "  toys/scale  workspace/toys/scale.py  new\n"
        "\n"
        "Next\n"
        "  learn read scale   the lesson\n"
        "  learn grade scale  what holds; fill the 2 holes in workspace/toys/scale.py first\n"
    )
    assert (here / "workspace" / "learn.toml").is_file()


def test_the_stub_is_the_exercise_byte_for_byte(learn: Any, here: Path) -> None:
    learn("start", "gae")
    put = here / "workspace" / "rl" / "gae.py"
    assert put.read_bytes() == TECHNIQUES["rl/gae"].files.exercise.read_bytes()


def test_a_days_techniques_come_with_what_they_build_on(learn: Any, here: Path) -> None:
    result = learn("start", "day-7")
    assert result.exit_code == 0
    assert files(here / "workspace") == ["alignment/ppo.py", "rl/gae.py"]
    lines = result.stdout.splitlines()
    gae, ppo = (TECHNIQUES[i] for i in ("rl/gae", "alignment/ppo"))
    effort = [f"level {t.level} of 5, {t.minutes} minutes" for t in (gae, ppo)]
    for identity in absent("day-7"):
        assert [identity, "not", "written", "yet"] in [line.split() for line in lines]
    assert f"  rl/gae                workspace/rl/gae.py         new; ppo builds on it; {effort[0]}" in lines
    assert f"  alignment/ppo         workspace/alignment/ppo.py  new; {effort[1]}" in lines
    assert "  learn read gae   the lesson" in lines  # gae comes before ppo, which builds on it


def test_what_is_passed_does_not_come_along(learn: Any, here: Path) -> None:
    learn("start", "gae")
    (here / "workspace" / "rl" / "gae.py").unlink()
    pass_(here, "rl/gae")
    result = learn("start", "day-7")
    assert files(here / "workspace") == ["alignment/ppo.py"]
    assert "  learn read ppo   the lesson" in result.stdout.splitlines()


@pytest.mark.parametrize(
    "day", [day for day in DAYS if set(day.elective) & TECHNIQUES.keys()], ids=lambda day: day.name
)
def test_an_elective_is_named_and_comes_when_asked_for(learn: Any, here: Path, day: Day) -> None:
    result = learn("start", day.name)
    first, *others = (TECHNIQUES[i].name for i in day.elective)
    names = first if not others else f"{', '.join([first, *others[:-1]])} and {others[-1]}"
    assert f"  Elective: {names}. 'learn start {first}' puts it there." in result.stdout.splitlines()
    path = here / "workspace" / TECHNIQUES[day.elective[0]].file
    assert not path.exists()
    learn("start", first)
    assert path.is_file()


def test_what_is_passed_comes_back_when_asked_for(learn: Any, here: Path) -> None:
    learn("start", "gae")
    pass_(here, "rl/gae")
    assert "rl/gae  workspace/rl/gae.py  passed already" in learn("start", "gae").stdout


def test_a_technique_asked_for_by_name_comes_alone_and_says_what_it_builds_on(learn: Any, here: Path) -> None:
    says = "  It builds on {}: 'learn start {}' begins there."
    assert says.format("td-learning and advantage", "td-learning") in learn("start", "gae").stdout.splitlines()
    assert files(here / "workspace") == ["rl/gae.py"]
    pass_(here, "rl/td-learning")
    assert says.format("advantage", "advantage") in learn("start", "gae").stdout.splitlines()
    pass_(here, "rl/advantage")
    assert "builds on" not in learn("start", "gae").stdout


def test_an_attempt_is_never_written_over(learn: Any, here: Path) -> None:
    learn("start", "day-7")
    attempts = dict.fromkeys((here / "workspace").rglob("*.py"), b"# mine\r\n")
    for path, text in attempts.items():
        path.write_bytes(text)
    for name in ("day-7", "ppo", "alignment/ppo", "gae"):
        result = learn("start", name)
        assert result.exit_code == 0
        assert "there already, left as it is" in result.stdout
    assert {p: p.read_bytes() for p in (here / "workspace").rglob("*.py")} == attempts
    assert len(attempts) == 2


def test_a_start_is_remembered_once(learn: Any, here: Path, toy: Path) -> None:
    learn("start", "scale")
    learn("start", "scale")
    with State(here / "workspace" / ".learn" / "learn.db") as state:
        assert [e.kind for e in state.events("toys/scale")] == ["started"]


@pytest.mark.parametrize("name", ["day-14", *(day.name for day in NOTHING_THERE)])
def test_a_day_that_brings_nothing_makes_no_workspace(learn: Any, here: Path, name: str) -> None:
    result = learn("start", name)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{name}  ")
    assert re.search(r"\n\nNext\n  learn start day-\d+ +\S.*\n  learn list +what there is\n$", result.stdout)
    assert list(here.iterdir()) == []


def test_after_the_last_day_the_first_is_offered(learn: Any) -> None:
    assert f"  learn start {FIRST.name}  {FIRST.title['en']}\n" in learn("start", "day-14").stdout


@pytest.mark.parametrize("day", NOTHING_THERE, ids=lambda day: day.name)
def test_a_day_of_which_nothing_is_written_names_what_lacks(learn: Any, day: Day) -> None:
    told = " ".join(learn("start", day.name).stdout.split())
    names = ", ".join(i.partition("/")[2] for i in day.techniques)
    assert f"Nothing of this day can be begun yet. Not written yet: {names}. Next" in told


def test_of_a_complete_day_no_such_thing_is_said(learn: Any) -> None:
    assert "complete" not in learn("start", "day-4").stdout


@pytest.mark.parametrize("columns", ["60", "80"])
def test_a_day_fits_a_narrow_terminal(learn: Any, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for lang in ("en", "zh"):
        lines = learn("start", "day-13", "--lang", lang).stdout.splitlines()
        assert max(map(width, lines)) <= int(columns)
    at = lines.index("  inference/kv-cache")
    assert lines[at + 1] == "      workspace/inference/kv_cache.py"


def test_a_new_workspace_speaks_the_language_of_its_first_start(learn: Any, here: Path) -> None:
    learn("start", "gae", "--lang", "zh")
    assert 'lang = "zh"' in (here / "workspace" / "learn.toml").read_text(encoding="utf-8")
    assert "你不可以" in (here / "workspace" / "AGENTS.md").read_text(encoding="utf-8")
    assert "接下来" in learn("status").stdout


def test_a_workspace_that_is_there_gets_no_note_to_assistants(learn: Any, here: Path) -> None:
    learn("start", "gae")
    note = here / "workspace" / "AGENTS.md"
    assert "You must not" in note.read_text(encoding="utf-8")
    note.unlink()
    learn("start", "ppo")
    assert not note.exists()


def test_the_last_day_looks_back(learn: Any, toy: Path) -> None:
    learn("start", "scale")
    result = learn("start", "day-14")
    assert "This day brings no new technique." in result.stdout
    assert "  learn grade --all  everything that you have started\n" in result.stdout


@pytest.mark.parametrize("day", DAYS, ids=lambda day: day.name)
def test_what_is_not_written_is_shown_as_such(learn: Any, day: Day) -> None:
    assert re.findall(r"  (\S+)\s+not written yet", learn("start", day.name).stdout) == absent(day.name)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("day-15", "Roadmap 'fourteen-days' has 14 days, day-1 to day-14; no 'day-15'."),
        ("day-0", "Roadmap 'fourteen-days' has 14 days, day-1 to day-14; no 'day-0'."),
        ("7", "No day or technique '7'. Did you mean 'day-7'?"),
        ("day7", "No day or technique 'day7'. Did you mean 'day-7'?"),
        ("Day-7", "No day or technique 'Day-7'. Did you mean 'day-7'?"),
        ("PPO", "No day or technique 'PPO'. Did you mean 'alignment/ppo'?"),
        ("trainig/adamw", "No day or technique 'trainig/adamw'. Did you mean 'training/adamw'?"),
        ("rl_gae", "No day or technique 'rl_gae'. Did you mean 'rl/gae'?"),
        *(
            (i, f"Technique {i!r} ({day.name} of fourteen-days) is not written yet. 'learn list' shows what there is.")
            for day, lacking in UNWRITTEN
            for i in lacking[:1]
        ),
        ("tokenizer", "No day or technique 'tokenizer'. 'learn list' shows what there is."),
        ("", "No day or technique ''. 'learn list' shows what there is."),
    ],
)
def test_a_name_that_is_none_gets_the_next_step_and_makes_nothing(learn: Any, here: Path, name: str, says: str) -> None:
    result = learn("start", name)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"learn: {says}\n")
    assert list(here.iterdir()) == []


def test_the_workspace_is_found_from_inside_it(
    learn: Any, here: Path, monkeypatch: pytest.MonkeyPatch, toy: Path
) -> None:
    learn("start", "gae")
    monkeypatch.chdir(here / "workspace" / "rl")
    result = learn("start", "scale")
    assert "Made a workspace" not in result.stdout
    assert files(here / "workspace") == ["rl/gae.py", "toys/scale.py"]
    assert not (here / "workspace" / "rl" / "workspace").exists()


def test_titles_come_in_the_language_asked_for(learn: Any) -> None:
    assert learn("start", "day-7").stdout.splitlines()[2] == "day-7  Proximal policy optimisation"
    assert learn("start", "day-7", "--lang", "zh").stdout.splitlines()[0] == "day-7  近端策略优化"


def test_a_roadmap_of_another_name_is_told_with_its_file(learn: Any, here: Path, toy: Path) -> None:
    learn("start", "scale")
    settings = here / "workspace" / "learn.toml"
    settings.write_text('roadmap = "fourteen-day"\n')
    for command in (["start", "scale"], ["status"]):
        result = learn(*command)
        assert result.exit_code == 2
        says = f"learn: {settings}: No roadmap 'fourteen-day'. Did you mean 'fourteen-days'?\n"
        assert result.stderr == says


def test_a_technique_without_its_exercise_is_the_plugins_fault(learn: Any, toy: Path) -> None:
    (toy / "exercise.py").unlink()
    result = learn("start", "scale")
    assert result.exit_code == 3
    assert "'learn author stubs scale' writes it." in result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(learn: Any, here: Path, toy: Path) -> None:
    here.chmod(0o500)
    result = learn("start", "scale")
    here.chmod(0o700)
    assert result.exit_code == 3
    assert result.stderr.startswith(f"learn: Cannot write {here / 'workspace'}: Permission denied")


def test_columns_align_however_long_the_names(learn: Any) -> None:
    lines = learn("start", "day-7").stdout.splitlines()
    rows = [line for line in lines if line.startswith(("  rl/gae ", "  alignment/ppo "))]
    assert len(rows) == 2
    assert rows[0].index("workspace/") == rows[1].index("workspace/")
    assert rows[0].index("new") == rows[1].index("new")


@pytest.mark.usefixtures("toy")
def test_json_says_what_was_put_where(learn: Any, here: Path) -> None:
    told = json.loads(learn("start", "scale", "--json").stdout)
    path = here / "workspace" / "toys" / "scale.py"
    there = {"technique": "toys/scale", "path": str(path), "new": True, "passed": False}
    assert told == {"workspace": str(here / "workspace"), "day": None, "attempts": [there], "absent": []}
    assert json.loads(learn("start", "scale", "--json").stdout)["attempts"] == [{**there, "new": False}]


def test_json_of_a_day_names_what_is_not_written_yet(learn: Any, here: Path) -> None:
    told = json.loads(learn("start", "day-7", "--json").stdout)
    assert told["day"] == "day-7"
    assert {a["technique"] for a in told["attempts"]} == {"rl/gae", "alignment/ppo"}
    assert told["absent"] == absent("day-7")
