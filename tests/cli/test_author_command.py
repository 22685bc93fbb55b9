from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import groundup.core

pytestmark = pytest.mark.usefixtures("grading")

RULES = ["exercise", "stub", "solution", "budget", "misconceptions", "properties"]
ONLY = [word for rule in RULES for word in ("--rule", rule)]


def test_a_sound_technique_is_one_mark_a_rule(learn: Any, toy: Path) -> None:
    result = learn("author", "check", "scale", "--seeds", "1", *ONLY)
    lines = result.stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [["✓", "toys/scale", rule] for rule in RULES]
    assert result.exit_code == 0


def test_a_broken_rule_is_told_and_ends_with_3(learn: Any, toy: Path) -> None:
    (toy / "exercise.py").write_text("# stale\n")
    result = learn("author", "check", "scale", "--seeds", "1", "--rule", "exercise")
    assert result.exit_code == 3
    assert result.stdout.startswith("✗ toys/scale  exercise\n    ")
    assert "'learn author stubs scale' writes it" in " ".join(result.stdout.split())


def test_findings_as_data(learn: Any, toy: Path) -> None:
    (toy / "lesson.md").unlink()
    result = learn("author", "check", "scale", "--seeds", "1", "--rule", "lesson", "--rule", "stub", "--json")
    data = json.loads(result.stdout)
    assert (result.exit_code, data["sound"]) == (3, False)
    assert [(f["rule"], bool(f["problems"])) for f in data["findings"]] == [("stub", False), ("lesson", True)]
    assert data["findings"][1]["problems"] == [f"there is no lesson: expected it at {toy / 'lesson.md'}"]


@pytest.mark.parametrize("everything", [[], ["--all"]])
def test_none_named_is_all_of_them(learn: Any, toy: Path, everything: list[str]) -> None:
    from groundup.cli.context import registry

    result = learn("author", "check", *everything, "--rule", "exercise", "--json")
    assert [f["technique"] for f in json.loads(result.stdout)["findings"]] == list(registry().techniques)
    assert "toys/scale" in registry().techniques


def test_stubs_are_written_where_they_differ(learn: Any, toy: Path) -> None:
    exercise = toy / "exercise.py"
    sound = exercise.read_bytes()
    assert learn("author", "stubs", "scale").stdout == f"{exercise}: as it was\n"
    exercise.write_text("# stale\n")
    assert learn("author", "stubs", "scale").stdout == f"{exercise}: written\n"
    assert exercise.read_bytes() == sound
    exercise.unlink()
    learn("author", "stubs", "scale")
    assert exercise.read_bytes() == sound


def test_a_new_technique_says_what_to_do_next(learn: Any, here: Path) -> None:
    result = learn("author", "new", "brand-new", "--interface", "Optimizer")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "Wrote groundup-brand-new/: 15 files, the technique training/brand-new."
    assert lines[3].endswith(" -m pip install --editable groundup-brand-new")
    assert "  learn author check brand-new  prove it sound" in lines
    assert (here / "groundup-brand-new" / "groundup_brand_new" / "solution.py").is_file()


def test_a_new_technique_goes_where_it_is_told(learn: Any, here: Path) -> None:
    result = learn("author", "new", "brand-new", "--into", "elsewhere/mine")
    assert result.stdout.startswith("Wrote elsewhere/mine/: ")
    assert (here / "elsewhere" / "mine" / "pyproject.toml").is_file()
    again = learn("author", "new", "brand-new", "--into", "elsewhere/mine")
    assert (again.exit_code, again.stdout) == (2, "")
    assert "elsewhere/mine is there already, and nothing is overwritten" in again.stderr


def test_a_new_built_in_says_what_is_left(learn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "setup.py").write_text("")
    monkeypatch.setattr(groundup.core, "__file__", str(tmp_path / "core" / "__init__.py"))
    result = learn("author", "new", "brand-new", "--builtin", "data")
    assert (tmp_path / "plugins" / "data" / "brand_new" / "lesson.md").is_file()
    told = " ".join(result.stdout.split())
    assert "data/brand-new is in English. What comes with Groundup is in Chinese too: lesson.zh.md" in told
    assert "learn author check brand-new" in told


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "scael"], "Did you mean 'toys/scale'?"),
        (["check", "scale", "--all"], "Name techniques, or give --all: not both 'scale' and --all."),
        (["check", "scale", "--rule", "stubs"], "No rule 'stubs'. Did you mean 'stub'?"),
        (["check", "scale", "--seeds", "0"], "'0' is not a whole number from 1 to"),
        (["new", "gae"], "The name 'gae' is taken, by rl/gae"),
        (["new", "brand-new", "--interface", "Optimiser"], "No interface 'Optimiser'. Did you mean 'Optimizer'?"),
        (["new", "brand-new", "--into", "a", "--builtin", "rl"], "give one of them"),
        (["chekc"], "No such command 'chekc'"),
    ],
)
def test_what_is_not_understood_ends_with_2(learn: Any, toy: Path, arguments: list[str], says: str) -> None:
    result = learn("author", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
