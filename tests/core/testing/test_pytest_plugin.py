from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MANIFEST = """
from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Hole, Source, Technique

print("the manifest runs")


@hookimpl
def techniques():
    return [
        Technique(
            id="toys/double", title="Doubling", summary="Twice.", package=__name__, implements="double",
            holes=(Hole(hints=("Add.",)),), sources=(Source(title="A toy", url="https://example.org"),),
        )
    ]
"""
PROPERTIES = """
import sys
import time

from hypothesis import given
from hypothesis import strategies as st


@given(x=st.integers())
def test_it_doubles(impl, reference, x):
    assert impl(x) == x + x == reference(x)


@given(x=st.just(2))
def test_a_slow_machine_makes_no_claim_false(impl, x):
    if not SLOW:
        SLOW.append(time.sleep(0.3))
    assert impl(x) == 4


SLOW = []


def test_it_is_imported_under_its_own_name(impl):
    assert __name__ == "toy.properties" and sys.modules[__name__].test_it_doubles is test_it_doubles


def test_what_does_not_hold_fails(impl):
    assert impl(1) == 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A technique of a third party, installed."""
    folder, information = tmp_path / "toy", tmp_path / "toy-1.dist-info"
    folder.mkdir()
    information.mkdir()
    (folder / "__init__.py").write_text(MANIFEST)
    (folder / "solution.py").write_text("def double(x):\n    return 2 * x\n")
    (folder / "properties.py").write_text(PROPERTIES)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[groundup]\ntoy = toy\n")
    return folder


def run_pytest(folder: Path, *arguments: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-p", "groundup.core.testing.pytest_plugin", "-p", "no:cacheprovider"]
    ended = subprocess.run(
        [*command, "-c", os.devnull, "--rootdir", str(folder), "-q", "-s", *arguments],
        env=environment | {"PYTHONPATH": str(folder.parent)}, cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    return ended.stdout


def test_an_author_runs_a_properties_file_with_plain_pytest(folder: Path) -> None:
    told = run_pytest(folder, "properties.py")
    assert "3 passed" in told
    assert "1 failed" in told
    assert "test_what_does_not_hold_fails" in told
    assert told.count("the manifest runs") == 1


@pytest.mark.soak
def test_the_fixtures_are_for_properties_alone(folder: Path) -> None:
    (folder / "test_other.py").write_text("def test_other(impl): ...\n")
    assert "'impl' and 'reference' are fixtures of a technique's properties.py" in run_pytest(folder, "test_other.py")


@pytest.mark.soak
def test_a_properties_file_of_no_technique_is_left_alone(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "properties.py").write_text("def test_nothing(): ...\n")
    assert "1 passed" in run_pytest(folder, "other/properties.py")
