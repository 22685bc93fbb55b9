"""``learn grade-many`` grades a class, whatever is submitted and whatever interrupts it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundup.grader.batch import local, seeds
from groundup.grader.process import sandbox

SECRET = "a horse that nobody knows"


@pytest.fixture
def handed_in(here: Path, toy: Path) -> Path:
    """Submissions to the toy: a right one, a wrong one, one that ends its judge, an empty one."""
    properties = toy / "properties.py"
    text = properties.read_text(encoding="utf-8")
    text = text.replace(
        "def check(got, expected):\n", "def check(got, expected):\n    if (got == 12345).all():\n        os._exit(7)\n"
    )
    properties.write_text("import os\n" + text, encoding="utf-8")
    right = (toy / "solution.py").read_text(encoding="utf-8")
    wrong = right.replace("x * factor", "x * factor * factor")
    killer = "import torch\n\ndef scale(x, by):\n    return torch.full_like(x, 12345)\n"
    for name, source in (("anna", right), ("bob's own", wrong), ("eve", killer), ("zoe", "")):
        (here / "class" / name).mkdir(parents=True)
        (here / "class" / name / "scale.py").write_text(source, encoding="utf-8")
    return here / "class"


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()]


def descendants(pid: int) -> list[int]:
    """Return all descendants of a process."""
    children = [int(c) for f in Path(f"/proc/{pid}/task").glob("*/children") for c in f.read_text().split()]
    return children + [d for c in children for d in descendants(c)]


def test_a_class_is_graded_by_judges_of_their_own(learn: Any, handed_in: Path, here: Path) -> None:
    """A submission that ends its judge is tried twice, is reported as not gradable, and stops no other."""
    (handed_in / "notes.txt").write_text("")
    result = learn("grade-many", "class", "--technique", "scale", "--jobs", "1", "--seed", "7")
    assert result.exit_code == 3
    assert result.stdout.splitlines()[:6] == [
        "toys/scale  4 submissions",
        "  1  passed",
        "  1  fell short",
        "  1  not gradable: not their fault; the same command tries them again",
        "  1  nothing to grade: summary.html says why",
        "  left out, because they are in no learner's folder: notes.txt",
    ]
    found = {row["name"]: row for row in rows(here / "results")}
    assert {name: row["outcome"] for name, row in found.items()} == {
        "anna": "passed", "bob's own": "fell_short", "eve": "not_gradable", "zoe": "nothing_to_grade",
    }  # fmt: skip
    assert found["eve"]["problem"] == "its judge ended with exit code 7, 2 times in a row"
    mistakes = [d["id"] for d in found["bob's own"]["verdict"]["diagnosis"]]
    assert mistakes == ["squares"]

    # The command in a row gives the same verdict.
    program, *arguments = shlex.split(found["bob's own"]["command"])
    assert program == "learn"
    again = json.loads(learn(*arguments, "--json").stdout)
    kept = found["bob's own"]["verdict"]
    for result in kept["properties"]:
        result.pop("templates", None)  # what its texts are made of: for other languages
    for field in ("properties", "score", "outcome", "seed", "diagnosis", "examples"):
        assert again[field] == kept[field]


def test_known_mistakes_that_are_broken_are_told_once_and_keep_nobody_from_a_row(
    learn: Any, handed_in: Path, toy: Path
) -> None:
    mistakes = toy / "misconceptions.toml"
    mistakes.write_text(mistakes.read_text(encoding="utf-8").replace("x * factor", "x ** factor"), encoding="utf-8")
    chosen = ("--only", "bob's own", "--only", "anna")
    result = learn("grade-many", "class", "--technique", "scale", "--jobs", "1", "--seed", "7", *chosen)
    assert result.exit_code == 0
    (told,) = [line for line in result.stderr.splitlines() if "left out" not in line]
    assert told.startswith("learn: No known mistake can be looked for: misconception ")


def test_the_result_is_also_data_and_in_chinese(learn: Any, handed_in: Path, here: Path) -> None:
    arguments = ("grade-many", "class", "--technique", "scale", "--only", "zoe", "--only", "anna", "--jobs", "1")
    result = learn(*arguments, "--json", "--lang", "zh")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "technique": "toys/scale", "results": "results", "round": 1, "submissions": 2,
        "outcomes": {"passed": 1, "nothing_to_grade": 1}, "mean_score": 0.5, "median_score": 0.5,
        "by_hand": {"zoe": "文件是空的"}, "left_out": [], "changed": [], "moved": None,
    }  # fmt: skip
    told = json.loads((here / "results" / "gradescope" / "zoe" / "results.json").read_text(encoding="utf-8"))
    assert told["output"] == "没有可评判的内容：文件是空的。"
    told = json.loads((here / "results" / "gradescope" / "anna" / "results.json").read_text(encoding="utf-8"))
    assert told["tests"][0]["name"] == "乘以一不变。"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["class"], "Name the technique to grade, as in 'learn grade-many class/ --technique ppo'."),
        (["--technique", "scale"], "Name the folder of submissions, as in 'learn grade-many class/ --technique ppo'."),
        (["class", "--technique", "scael"], "No technique 'scael'. Did you mean 'toys/scale'?"),
        (["clas", "--technique", "scale"], "clas does not exist: name the folder that holds one folder"),
        (["class", "--technique", "scale", "--out", "class/results"], "class/results lies inside class: name a folder"),
        (
            ["class", "--technique", "scale", "--seed", "1", "--seed-file", "x"],
            "--seed and --seed-file both give the seed",
        ),
        (["class", "--technique", "scale", "--seed-file", "x"], "The secret seed x cannot be read"),
        (["class", "--technique", "scale", "--points", "x"], "The points x cannot be read"),
        (["class", "--technique", "scale", "--only", "ana"], "No submission 'ana'. Did you mean 'anna'?"),
        (["class", "--technique", "scale", "--database", "x.db"], "--database 'x.db' is not an SQLAlchemy URL"),
        (["class", "--technique", "scale", "--require-containment", "iron"], "No containment 'iron'"),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_as_asked_is_told(
    learn: Any, handed_in: Path, here: Path, arguments: list[str], says: str
) -> None:
    result = learn("grade-many", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert not (here / "results" / "results.csv").exists()
    chinese = learn("grade-many", *arguments, "--lang", "zh").stderr
    assert any("\u4e00" <= c <= "\u9fff" for c in chinese)


def test_settings_can_be_checked_before_there_is_a_submission(learn: Any, toy: Path, here: Path) -> None:
    (here / "points.toml").write_text("[points]\ntest_equals_the_reference = 3\n")
    arguments = ("grade-many", "--technique", "scale", "--points", "points.toml", "--check")
    result = learn(*arguments)
    assert (result.exit_code, result.stdout) == (0, "toys/scale: 3 properties, 5 points.\n")
    (here / "points.toml").write_text("[points]\ntest_equals_the_referense = 3\n")
    result = learn(*arguments)
    assert result.exit_code == 2
    assert "Did you mean 'test_equals_the_reference'?" in result.stderr
    assert not (here / "results").exists()


def test_nothing_is_run_behind_weaker_walls_than_demanded(
    learn: Any, handed_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(sandbox.ASKED_BY, "process")
    result = learn("grade-many", "class", "--technique", "scale")
    assert result.exit_code == 3
    assert "Containment 'strong' is demanded" in result.stderr


def test_ray_that_is_not_installed_is_told_with_what_installs_it(
    learn: Any, handed_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    result = learn("grade-many", "class", "--technique", "scale", "--engine", "ray")
    assert result.exit_code == 3
    assert "python -m pip install 'groundup[ray]' installs it" in result.stderr


def test_the_secret_of_the_environment_gives_the_seed(
    learn: Any, handed_in: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(seeds.ASKED_BY, SECRET)
    (here / "points.toml").write_text("[points]\ntest_equals_the_reference = 3\n")
    arguments = ("grade-many", "class", "--technique", "scale", "--only", "zoe", "--points", "points.toml")
    assert learn(*arguments).exit_code == 0
    (row,) = rows(here / "results")
    assert row["out_of"] == 5.0
    told = json.loads((here / "results" / "run.json").read_text())["rounds"][0]
    assert told["seed_from"] == "secret"
    monkeypatch.setenv(seeds.ASKED_BY, SECRET + "!")
    refused = learn(*arguments)
    assert refused.exit_code == 2
    assert "was graded with something else (the seed)" in refused.stderr


@pytest.mark.soak
def test_a_judge_that_hangs_is_ended_and_one_that_has_done_much_is_replaced(
    learn: Any, handed_in: Path, toy: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    properties = toy / "properties.py"
    text = properties.read_text(encoding="utf-8").replace("os._exit(7)", "__import__('time').sleep(1000)")
    properties.write_text(text, encoding="utf-8")
    monkeypatch.setattr(local, "GRADING_SECONDS", 20.0)
    monkeypatch.setattr(local, "JOBS_A_JUDGE", 1)
    assert learn("grade-many", "class", "--technique", "scale", "--jobs", "1").exit_code == 3
    found = {row["name"]: row for row in rows(here / "results")}
    assert found["eve"]["problem"] == "its judge did not answer within 20 s, 2 times in a row"
    assert (found["anna"]["outcome"], found["bob's own"]["outcome"]) == ("passed", "fell_short")


@pytest.mark.soak
def test_a_kill_loses_nothing_and_grades_nothing_twice(
    command: Callable[..., subprocess.Popen[str]], handed_in: Path, here: Path
) -> None:
    """The same command resumes after a kill at any moment; its judges do not outlive it."""
    for number in range(12):
        folder = handed_in / f"more-{number}"
        folder.mkdir()
        (folder / "scale.py").write_bytes((handed_in / ("anna", "bob's own")[number % 2] / "scale.py").read_bytes())
    arguments = ("grade-many", "class", "--technique", "scale", "--jobs", "2")
    file = here / "results" / "results.jsonl"
    seen: list[bytes] = []
    for wanted in (3, 7):
        running = command(*arguments)
        deadline = time.monotonic() + 120
        while (file.read_bytes().count(b"\n") if file.exists() else 0) < wanted:
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        judges = descendants(running.pid)
        running.send_signal(signal.SIGKILL)
        running.communicate()
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{pid}").exists() for pid in judges):
            assert time.monotonic() < deadline, "a judge has outlived the command"
            time.sleep(0.1)
        with file.open("ab") as torn:
            torn.write(b'{"name": "bob')
        lines = file.read_bytes().splitlines()[:-1]
        assert lines[: len(seen)] == seen
        seen = lines
    last = command(*arguments)
    last.communicate()
    assert last.returncode == 3  # eve ends her judge
    assert file.read_bytes().splitlines()[: len(seen)] == seen
    found = rows(here / "results")
    graded = [row["name"] for row in found if row["outcome"] != "not_gradable"]
    assert sorted(graded) == sorted(p.name for p in handed_in.iterdir() if p.name != "eve")
    assert len({row["verdict"]["seed"] for row in found if row["verdict"]}) == 1


@pytest.mark.soak
def test_an_interrupted_class_leaves_no_judge(command: Callable[..., subprocess.Popen[str]], handed_in: Path) -> None:
    running = command("grade-many", "class", "--technique", "scale", "--jobs", "2")
    deadline = time.monotonic() + 60
    while len(judges := descendants(running.pid)) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(running.pid, signal.SIGINT)
    assert running.communicate(timeout=60)[1].endswith("learn: stopped.\n")
    assert running.returncode == 130
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in judges):
        assert time.monotonic() < deadline, "a judge has outlived the command"
        time.sleep(0.1)
