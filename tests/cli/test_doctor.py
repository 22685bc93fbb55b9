from __future__ import annotations

import importlib.metadata
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from groundup.cli import doctor
from groundup.core.errors import AttemptDied, EnvironmentProblem
from groundup.grader.learner import picture
from groundup.grader.process import sandbox

pytestmark = pytest.mark.usefixtures("grading")

NAMES = ["python", "torch", "triton", "gpu", "gloo", "fonts", "containment", "grading", "warm",
         "workspace", "plugins"]  # fmt: skip


def findings(learn: Any, code: int = 0) -> dict[str, dict[str, str]]:
    result = learn("doctor", "--json")
    assert result.exit_code == code
    return {f["name"]: f for f in json.loads(result.stdout)}


def test_every_thing_is_looked_at_and_each_lack_has_its_cost(learn: Any, toy: Path) -> None:
    found = findings(learn)
    assert list(found) == NAMES
    for finding in found.values():
        assert finding["state"] in ("ok", "lacking")
        assert finding["found"]
        assert (finding["state"] == "lacking") == bool(finding["cost"])
    assert found["torch"]["found"].startswith(torch.__version__)


def test_the_terminal_shows_what_the_data_says(learn: Any, toy: Path) -> None:
    text = " ".join(learn("doctor").stdout.split())
    for finding in findings(learn).values():
        assert finding["name"] in text
        assert finding["cost"] in text
    assert "✗" not in text


def test_a_missing_triton_costs_something_and_breaks_nothing(learn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert findings(learn)["triton"]["cost"] == "Triton kernels cannot be graded here; it runs on Linux only."


def test_a_missing_font_is_named(learn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "chinese_font", lambda: None)
    assert "fonts-wqy-zenhei" in findings(learn)["fonts"]["cost"]
    monkeypatch.setattr(picture, "chinese_font", lambda: "SimHei")
    assert findings(learn)["fonts"]["found"] == "pictures can be labelled in Chinese (SimHei)"


@pytest.mark.parametrize(
    ("layer", "lacks", "state", "says", "costs"),
    [
        ("namespaces", {}, "ok", "has no network", ""),
        ("landlock", {"namespaces": "bubblewrap is not installed"}, "lacking", "(bubblewrap is not installed)",
         "Attempts cannot write files"),
        ("process", {"namespaces": "it needs Linux", "landlock": "it needs Linux"}, "lacking", "(it needs Linux)",
         "An attempt can read your files"),
    ],
)  # fmt: skip
def test_what_contains_attempts_is_told_with_what_a_lack_of_it_costs(
    learn: Any, monkeypatch: pytest.MonkeyPatch, layer: str, lacks: dict[str, str], state: str, says: str, costs: str
) -> None:
    monkeypatch.delenv(sandbox.ASKED_BY, raising=False)
    monkeypatch.setattr(sandbox, "offer", lambda: sandbox.Offer(layer, lacks))
    found = doctor._containment()
    assert (found.name, found.state) == ("containment", state)
    assert found.found.startswith(f"{layer}: ")
    assert says in found.found
    assert found.cost.startswith(costs)


def test_a_weaker_containment_that_was_asked_for_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sandbox.ASKED_BY, "process")
    monkeypatch.setattr(sandbox, "offer", lambda: sandbox.Offer("namespaces"))
    assert doctor._containment().found.endswith("(set by LEARN_CONTAINMENT)")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (EnvironmentProblem("No process can be started."), "No process can be started."),
        (AttemptDied("crash", "the process crashed"), "AttemptDied: crash: the process crashed"),
        (RuntimeError("odd"), "RuntimeError: odd"),
    ],
)
def test_whatever_breaks_one_check_the_others_go_on(
    learn: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException, says: str
) -> None:
    def _grading() -> doctor.Finding:
        raise error

    monkeypatch.setattr(doctor, "_grading", _grading)
    found = findings(learn, code=3)
    assert list(found) == NAMES
    assert (found["grading"]["state"], found["grading"]["found"]) == ("broken", says)
    assert f"✗ grading      {says}\n" in learn("doctor").stdout


def test_a_broken_plugin_is_found(learn: Any, plugins: Any) -> None:
    plugins.install("import nothing_of_that_name\n")
    found = findings(learn, code=3)["plugins"]
    assert found["state"] == "broken"
    assert "nothing_of_that_name" in found["found"]


def test_gradings_are_counted(learn: Any, toy: Path, here: Path) -> None:
    assert re.fullmatch(r"none here; 'learn start day-\d+' makes one", findings(learn)["workspace"]["found"])
    learn("start", "scale")
    learn("grade", "scale")
    assert findings(learn)["workspace"]["found"] == f"{here / 'workspace'}, 1 grading recorded"


def test_a_damaged_database_is_found(learn: Any, toy: Path, here: Path) -> None:
    learn("start", "scale")
    (here / "workspace" / ".learn" / "learn.db").write_bytes(b"no database" * 100)
    assert findings(learn, code=3)["state"]["state"] == "broken"
