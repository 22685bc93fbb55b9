"""The autograder of examples/gradescope works as documented, in folders laid out like Gradescope's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from groundup.core.registry import Registry
from groundup.grader.batch import seeds
from groundup.grader.batch.grading import properties
from groundup.grader.batch.points import read_points
from groundup.grader.process import sandbox

EXAMPLE = Path(__file__).parents[2] / "examples" / "gradescope"
SECRET = "a horse that nobody knows"
LANDLOCK = pytest.mark.skipif("landlock" in sandbox.offer().lacks, reason="this kernel has no Landlock")


class Autograder:
    """A folder laid out like Gradescope's ``/autograder``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(EXAMPLE, root / "source")
        shutil.copy(EXAMPLE / "run_autograder", root / "run_autograder")
        (root / "source" / "points.toml").unlink()
        (root / "submission").mkdir()
        (root / "results").mkdir()
        (root / "submission_metadata.json").write_text("{}")

    def assignment(self, technique: str, points: str = "", secret: str = "") -> None:
        settings = self.root / "source" / "settings.sh"
        settings.write_text(settings.read_text().replace("TECHNIQUE=ppo", f"TECHNIQUE={technique}"))
        for name, text in (("points.toml", points), ("secret_seed", secret)):
            if text:
                (self.root / "source" / name).write_text(text)

    def run(self, **environment: str) -> subprocess.CompletedProcess[str]:
        learn = str(Path(sys.executable).with_name("learn"))
        return subprocess.run(
            [str(self.root / "run_autograder")],
            env={**os.environ, "AUTOGRADER": str(self.root), "LEARN": learn, **environment},
            cwd=self.root, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    @property
    def results(self) -> Path:
        return self.root / "results" / "results.json"


@pytest.fixture
def autograder(tmp_path: Path) -> Autograder:
    return Autograder(tmp_path / "autograder")


def hand_in(autograder: Autograder, technique: str, old: str = "", new: str = "") -> None:
    text = Registry().technique(technique).files.solution.read_text(encoding="utf-8")
    assert not old or old in text
    file = autograder.root / "submission" / Registry().technique(technique).file
    file.parent.mkdir()
    file.write_text(text.replace(old, new) if old else text, encoding="utf-8")


@LANDLOCK
@pytest.mark.soak
def test_a_submission_is_scored_without_namespaces_and_without_telling_the_seed(autograder: Autograder) -> None:
    autograder.assignment("gae", "[points]\ntest_lambda_zero_is_the_one_step_error = 3\n", SECRET)
    hand_in(autograder, "gae", "gamma * next_non_terminal * value", "gamma * value")
    done = autograder.run(LEARN_CONTAINMENT="landlock")
    assert done.returncode == 0, done.stderr
    text = autograder.results.read_text(encoding="utf-8")
    told = json.loads(text)
    tests = {test["name"]: test for test in told["tests"]}
    assert len(tests) == 13
    assert told["score"] == sum(test["score"] for test in tests.values())
    assert sum(test["max_score"] for test in tests.values()) == 15
    assert "bootstraps-through-done" in told["output"]
    seed = str(seeds.derived(SECRET.encode(), Registry().technique("gae")))
    assert seed in done.stdout  # Gradescope shows stdout to instructors only
    assert seed not in text
    assert SECRET not in text + done.stdout + done.stderr


@LANDLOCK
@pytest.mark.soak
def test_a_distributed_technique_is_scored_too(autograder: Autograder) -> None:
    autograder.assignment("ring-all-reduce")
    hand_in(autograder, "ring-all-reduce")
    done = autograder.run(LEARN_CONTAINMENT="landlock")
    assert done.returncode == 0, done.stderr
    told = json.loads(autograder.results.read_text(encoding="utf-8"))
    assert told["score"] == sum(test["max_score"] for test in told["tests"])


def test_a_submission_without_the_file_is_told_so(autograder: Autograder) -> None:
    (autograder.root / "submission" / "notes.txt").write_text("I did it")
    done = autograder.run()
    assert done.returncode == 0, done.stderr
    told = json.loads(autograder.results.read_text(encoding="utf-8"))
    assert (told["score"], told["tests"]) == (0.0, [])
    assert told["output"] == (
        "There is nothing to grade: no ppo.py and no other Python file; found notes.txt: hand in ppo.py."
    )


def test_a_machine_without_walls_gives_no_score(autograder: Autograder) -> None:
    hand_in(autograder, "ppo")
    autograder.results.write_text('{"score": 100}')  # a submission could have written this
    done = autograder.run(LEARN_CONTAINMENT="process")
    assert done.returncode == 3
    assert "Containment 'strong' is demanded" in done.stderr
    assert not autograder.results.exists()


def test_the_points_of_the_example_are_those_of_its_technique() -> None:
    names = [p.id for p in properties(Registry().technique("ppo"), "en")]
    assert read_points(EXAMPLE / "points.toml", names)


def built(tmp_path: Path, there: str, learn: str = "") -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Build the image with fake commands that only record their arguments, as the real ones change the machine.

    The image offers Python ``there``; ``learn`` is what the fake command does besides.
    """
    binaries, source, noted = tmp_path / "bin", tmp_path / "autograder" / "source", tmp_path / "noted"
    binaries.mkdir()
    shutil.copytree(EXAMPLE, source)
    (source / "groundup-0.1.0-py3-none-any.whl").write_bytes(b"")
    apt = f'#!/bin/sh\necho "apt-get $*" >> {noted}\ncase "$*" in update|*python{there}\\ *) ;; *) exit 100 ;; esac\n'
    pip = f'#!/bin/sh\\necho "$0 $*" >> {noted}\\n'
    python = (
        f'#!/bin/sh\nmkdir -p "$3/bin"\nprintf \'{pip}\' | tee "$3/bin/pip" > "$3/bin/learn"\n'
        f'echo "{learn}" >> "$3/bin/learn"\nchmod +x "$3/bin/"*\n'
    )
    for name, text in (("apt-get", apt), (f"python{there}", python)):
        (binaries / name).write_text(text)
        (binaries / name).chmod(0o755)
    done = subprocess.run(
        ["bash", str(source / "setup.sh")],
        env={"PATH": f"{binaries}:{os.environ['PATH']}", "AUTOGRADER": str(tmp_path / "autograder")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done, noted.read_text().splitlines()


@pytest.mark.parametrize(("there", "code"), [("3.12", 0), ("3.9", 1)])
def test_the_image_is_built_with_the_newest_python_that_there_is(tmp_path: Path, there: str, code: int) -> None:
    done, lines = built(tmp_path, there)
    source = tmp_path / "autograder" / "source"
    assert done.returncode == code, done.stderr
    assert lines[:2] == ["apt-get update", "apt-get install -y python3.14 python3.14-venv"]
    if code:
        assert "choose a newer base image" in done.stderr
        return
    venv = tmp_path / "autograder" / "venv" / "bin"
    assert lines[3:] == [
        "apt-get install -y python3.12 python3.12-venv",
        f"{venv}/pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu "
        f"{source}/groundup-0.1.0-py3-none-any.whl",
        f"{venv}/learn grade-many --technique ppo --check --points {source}/points.toml",
        f"{venv}/learn doctor",
    ]
    assert source.stat().st_mode & 0o077 == 0  # nobody but root reads the secret


def test_an_image_with_wrong_settings_is_not_built(tmp_path: Path) -> None:
    done, lines = built(tmp_path, "3.12", r"case \$1 in grade-many) echo no such property >&2; exit 2 ;; esac")
    assert done.returncode == 2
    assert done.stderr.endswith("no such property\n")
    assert "grade-many --technique ppo --check" in lines[-1]
