from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from groundup.core.errors import PluginProblem
from groundup.grader.authoring.check import Check
from groundup.grader.authoring.soundness import lab as rule
from groundup.grader.judging.judge import Judge
from groundup.grader.process.fork_server import ForkServer


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer() as started:
        yield started


def told(toy: Any, server: ForkServer) -> list[str]:
    return rule.check(toy.technique, toy.registry, server)[1]


def test_a_lab_that_runs_is_clean(toy: Any, server: ForkServer) -> None:
    detail, problems = rule.check(toy.technique, toy.registry, server)
    assert (detail.partition(" in ")[0], problems) == ("quick mode", [])
    assert detail.endswith("s of CPU time")


def test_a_missing_lab_is_found(toy: Any, server: ForkServer) -> None:
    (toy.folder / "lab.py").unlink()
    (finding,) = Check(Judge(server), toy.technique, seeds=1, rules=["lab"], registry=toy.registry).findings()
    assert finding.problems == (f"there is no lab: expected it at {toy.folder / 'lab.py'}",)


def test_a_lab_that_cannot_be_loaded_is_told(toy: Any, server: ForkServer) -> None:
    toy.spoil("lab.py", "import torch", "import torsh")
    with pytest.raises(PluginProblem, match="torsh"):
        told(toy, server)


def test_a_lab_that_takes_too_long_is_found(toy: Any, server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule, "LONGEST", 0.0)
    (found,) = told(toy, server)
    assert found.startswith(f"{toy.folder / 'lab.py'}: the quick mode takes ")
    assert "s of CPU time" in found


def test_waiting_is_no_cpu_time(toy: Any, server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.spoil("lab.py", "    x = torch.ones(2)", "    import time\n    time.sleep(1.2)\n    x = torch.ones(2)")
    monkeypatch.setattr(rule, "LONGEST", 1.0)
    assert told(toy, server) == []


@pytest.mark.parametrize(
    ("seconds", "took", "longest", "says"),
    [
        (None, 30.0, 40.0, []),
        (12.0, 30.0, 40.0, []),
        (12.0, 4.1, 5.0, []),
        (12.0, 37.0, 40.0, ["a full run takes 12 s of CPU time; it takes 37.0 s"]),
        (12.0, 3.9, 5.0, ["a full run takes 12 s of CPU time; it takes 3.9 s"]),
        (1.0, 0.01, 0.02, []),  # both are short
        (100.0, 90.0, 121.0, ["a full run takes 121 s of CPU time, at most 120"]),
    ],
)
def test_how_long_a_full_run_takes_is_declared_and_bounded(
    toy: Any, seconds: float | None, took: float, longest: float, says: list[str]
) -> None:
    found = list(rule._about_time(toy.technique, seconds, took, longest))
    assert len(found) == len(says)
    assert all(text in problem for text, problem in zip(says, found, strict=True))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('uses=("toys/half",)', 'uses=("rl/gae",)', "the lab does not use 'toys/half', which it is the lab of"),
        ('uses=("toys/half",)', 'uses=("toys/half", "toys/none")', "the lab uses 'toys/none', and there is no such"),
        ("x = half(x)", "x = half(object())", "lab.py:19: it raises NotPlainError: "),
        ('bench.point("size", step, float(x[0]))', "assert x[0] < 1", "it draws nothing"),
        ("value=float(x[0])", "value=float('nan')", "the figure 'what is left' is nan"),
    ],
)
def test_what_is_wrong_with_a_lab_is_found(toy: Any, server: ForkServer, old: str, new: str, says: str) -> None:
    toy.spoil("lab.py", old, new)
    (found,) = told(toy, server)
    assert says in found
    assert found.startswith(str(toy.folder / "lab.py"))
