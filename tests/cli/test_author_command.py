from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import groundup.core
from groundup.cli import context
from groundup.grader.authoring.proof import Proved, write_proof
from groundup.grader.authoring.rules import RULES as EVERY

pytestmark = pytest.mark.usefixtures("grading")

RULES = ["exercise", "stub", "solution", "budget", "misconceptions", "properties"]
ONLY = [word for rule in RULES for word in ("--rule", rule)]


def test_a_sound_technique_is_one_mark_a_rule(learn: Any, toy: Path) -> None:
    result = learn("author", "check", "scale", "--seeds", "1", *ONLY)
    *lines, last = result.stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [["✓", "toys/scale", rule] for rule in RULES]
    assert re.fullmatch(r"  toys/scale: \d+ s, \d+ s of CPU time", last)
    assert result.exit_code == 0
    assert not (toy / "proof.toml").exists()  # these are not all rules


def test_the_help_names_every_rule_as_it_is(learn: Any) -> None:
    told = " ".join(learn("author", "check", "--help").stdout.split())
    for name, rule in EVERY.items():
        assert f"{name} {rule.says}" in told


@pytest.fixture
def proved(toy: Path) -> Path:
    """The toy with a proof of what it is now."""
    technique = context.registry().technique("scale")
    return write_proof(technique, Proved({"forgets": {"equals_the_reference": 1.0}}, range(1), 25, {"mutants": 2}))


def test_changed_tries_what_reads_a_changed_file(learn: Any, toy: Path, proved: Path) -> None:
    before = proved.read_text()
    told = learn("author", "check", "scale", "--changed", "--cores", "1").stdout
    assert (told, proved.read_text()) == ("- toys/scale  nothing has changed since it was proved\n", before)
    (toy / "lesson.md").write_text((toy / "lesson.md").read_text() + "\nMore.\n")
    result = learn("author", "check", "scale", "--changed", "--json", "--cores", "1")
    rules = [f["rule"] for f in json.loads(result.stdout)["findings"]]
    assert rules == [name for name, rule in EVERY.items() if "lesson" in rule.reads]
    assert "misconceptions" not in rules


def test_a_check_of_what_changed_is_never_a_thorough_proof(learn: Any, toy: Path, proved: Path) -> None:
    (toy / "reviewed.toml").write_text("[read]\n")
    result = learn("author", "check", "scale", "--changed", "--thorough", "--cores", "1")
    assert (result.exit_code, result.stdout.splitlines()[-1].rpartition("/")[2]) == (0, "proof.toml: written")
    assert "[thorough]" not in proved.read_text()


def test_properties_that_are_no_python_are_findings(learn: Any, toy: Path) -> None:
    (toy / "properties.py").write_text("def test_(:\n")
    result = learn("author", "check", "scale", "--rule", "stub", "--cores", "1")
    assert result.exit_code == 3
    assert "properties.py cannot be loaded" in " ".join(result.stdout.split())


def test_a_proof_is_valid_until_a_file_changes(learn: Any, toy: Path, proved: Path) -> None:
    result = learn("author", "check", "scale", "--proof")
    assert (result.stdout, result.exit_code) == ("✓ toys/scale  proof                     as it was proved\n", 0)
    (toy / "solution.py").write_text((toy / "solution.py").read_text() + "\n# changed\n")
    result = learn("author", "check", "scale", "--proof")
    assert result.exit_code == 3
    told = " ".join(result.stdout.split())
    assert "solution.py changed since: 'learn author check scale' proves it anew" in told


def test_a_check_of_several_cores_finds_the_same(learn: Any, toy: Path) -> None:
    (toy / "exercise.py").write_text("# stale\n")
    one, two = (
        json.loads(learn("author", "check", "scale", "--seeds", "1", *ONLY, "--json", "--cores", n).stdout)["findings"]
        for n in ("1", "2")
    )
    assert [f["rule"] for f in one if f["problems"]] == ["exercise"]
    for finding in (*one, *two):
        del finding["seconds"]
    assert [f for f in one if f["rule"] != "budget"] == [f for f in two if f["rule"] != "budget"]


def test_what_is_owed_is_told_and_is_no_failure(learn: Any, toy: Path) -> None:
    (toy / "exercise.py").write_text("# stale\n")
    (toy / "proof.toml").write_text("[owed]\nexercise = 'It is rewritten next week.'\n")
    result = learn("author", "check", "scale", "--rule", "exercise")
    assert result.exit_code == 0
    assert result.stdout.startswith("– toys/scale  exercise                  owed: It is rewritten next week.\n")


def test_a_matrix_tells_shares_of_draws(learn: Any, toy: Path) -> None:
    data = json.loads(learn("author", "matrix", "scale", "--json").stdout)
    assert data["properties"]
    assert all(0 < share <= 1 for by in data["shares"].values() for share in by.values())
    assert "%" in learn("author", "matrix", "scale").stdout


def test_a_page_on_soundness_is_made_from_the_proof(learn: Any, toy: Path, proved: Path) -> None:
    page = learn("author", "soundness", "scale").stdout
    assert "| forgets | equals_the_reference | 100% | 1 |" in page
    assert "2 mutants" in page


def test_a_second_reader_is_asked_and_what_was_read_is_kept(learn: Any, toy: Path) -> None:
    before = learn("author", "review", "scale", "--count").stdout
    assert " source" in before
    result = learn("author", "review", "scale", "--kind", "source", "--most", "1", input="n\n")
    assert "Is the page there" in result.stdout
    assert "left unread, to be mended: source https://" in result.stdout
    result = learn("author", "review", "scale", "--kind", "source", "--most", "1", input="y\n")
    assert "1 read: " in result.stdout
    assert "[read]" in (toy / "reviewed.toml").read_text()
    assert learn("author", "review", "scale", "--count").stdout != before


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
    assert lines[0] == "Wrote groundup-brand-new/: 16 files, the technique training/brand-new."
    assert lines[3].endswith(" -m pip install --editable groundup-brand-new")
    assert "  learn author check brand-new  prove it sound" in lines
    assert (here / "groundup-brand-new" / "groundup_brand_new" / "solution.py").is_file()


def test_a_learning_rule_takes_the_batch_that_is_named(learn: Any, here: Path) -> None:
    result = learn("author", "new", "brand-new", "--interface", "RLAlgorithm", "--batch", "TransitionBatch")
    assert result.exit_code == 0
    assert result.stdout.startswith("Wrote groundup-brand-new/: 16 files, the technique rl/brand-new.")
    solution = here / "groundup-brand-new" / "groundup_brand_new" / "solution.py"
    assert "RLAlgorithm[TransitionBatch]" in solution.read_text(encoding="utf-8")


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
    assert "In Chinese: technique.zh.toml is translated;" in told
    assert "each passage that is marked '待译：' is still English" in told
    assert "quiz_answers.py a function for each that is computed" in told
    assert "brand-new also needs, in the same folder, an examples.toml" in told
    assert "a reviewed.toml by somebody who did not write the texts" in told
    assert (tmp_path / "plugins" / "data" / "brand_new" / "lesson.zh.md").is_file()
    assert "learn author check brand-new" in told


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "scale", "--proof", "--changed"], "--proof tries no rule"),
        (["check", "scael"], "Did you mean 'toys/scale'?"),
        (["check", "scale", "--all"], "Name techniques, or give --all: not both 'scale' and --all."),
        (["check", "scale", "--rule", "stubs"], "No rule 'stubs'. Did you mean 'stub'?"),
        (["check", "scale", "--seeds", "0"], "'0' is not a whole number from 1 to"),
        (["new", "gae"], "The name 'gae' is taken, by rl/gae"),
        (["new", "brand-new", "--interface", "Optimiser"], "No interface 'Optimiser'. Did you mean 'Optimizer'?"),
        (["new", "brand-new", "--into", "a", "--builtin", "rl"], "give one of them"),
        (["new", "brand-new", "--batch", "GroupBatch"], "The interface function takes no batch: leave out --batch"),
        (["new", "brand-new", "--interface", "RLAlgorithm", "--batch", "Grupbatch"], "Did you mean 'GroupBatch'?"),
        (["chekc"], "No such command 'chekc'"),
    ],
)
def test_what_is_not_understood_ends_with_2(learn: Any, toy: Path, arguments: list[str], says: str) -> None:
    result = learn("author", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
