"""The benchmark's copy of the project: it has many complete techniques, and the list of them fits a screen or two."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LEARN = str(Path(sys.executable).with_name("learn"))
pytestmark = pytest.mark.soak  # starts commands as subprocesses, on a copy of the whole project


@pytest.fixture(scope="module")
def many() -> Any:
    spec = importlib.util.spec_from_file_location("many", ROOT / "benchmarks" / "many.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def copy(many: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = many.generate(tmp_path_factory.mktemp("copy"))
    return made


def learn(copy: Path, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LEARN, *arguments], env={**os.environ, "PYTHONPATH": str(copy), **environment}, cwd=folder, check=False,
        capture_output=True, text=True,
    )  # fmt: skip


def test_there_are_120_and_every_day_is_whole(copy: Path, tmp_path: Path) -> None:
    listed = learn(copy, tmp_path, "list", "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    data = json.loads(listed.stdout)
    assert sum(map(len, data["tracks"].values())) == 120
    assert all(t["written"] for day in data["roadmaps"][0]["days"] for t in day["techniques"])


@pytest.mark.parametrize("columns", ["60", "80"])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_their_list_takes_less_than_60_lines(copy: Path, tmp_path: Path, columns: str, lang: str) -> None:
    listed = learn(copy, tmp_path, "list", "--lang", lang, COLUMNS=columns)
    assert listed.returncode == 0
    assert len(listed.stdout.splitlines()) < 60


def test_one_of_them_is_graded_as_the_one_it_was_made_from(copy: Path, tmp_path: Path) -> None:
    solution = copy / "groundup" / "solutions" / "peft" / "further_1.py"
    graded = learn(copy, tmp_path, "grade", "peft/further-1", "--attempt", str(solution), "--json")
    assert graded.returncode == 0, graded.stderr
    assert json.loads(graded.stdout)["technique"] == "peft/further-1"
