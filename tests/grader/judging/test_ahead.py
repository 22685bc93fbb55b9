"""Copies of the judge, which run properties ahead of it, do not change the verdict and never make it milder."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.judging import cores
from groundup.grader.judging.ahead import Ahead, Found, MayBegin
from groundup.grader.judging.cores import cores_for_copies, on_one_core, some_cores
from groundup.grader.judging.edits import load_edits
from groundup.grader.judging.judge import Judge
from groundup.grader.judging.verdict import PropertyResult, Verdict
from groundup.grader.process.fork_server import ForkServer

pytestmark = [
    pytest.mark.usefixtures("nothing_left"),
    pytest.mark.skipif(sys.platform != "linux", reason="copies are made only on Linux"),
]

Author = Any
RIGHT = "def mean(x, weight): return (x * weight).sum() / weight.sum()"
FIVE = """
def close(impl, reference, x, weight): check(impl(x, weight), reference(x, weight))

@given(x=X, weight=WEIGHT)
def test_a(impl, reference, x, weight): close(impl, reference, x, weight)

@given(x=X, weight=WEIGHT)
def test_b(impl, reference, x, weight): close(impl, reference, x, weight)

@after(test_b)
@given(x=X, weight=WEIGHT)
def test_c(impl, reference, x, weight): close(impl, reference, x, weight)

@pytest.mark.parametrize("twice", [1, 2])
def test_d(impl, twice): check(impl(ONES * twice, ONES), torch.tensor(1.0 * twice))

@after(test_b)
@given(x=X, weight=WEIGHT)
def test_e(impl, reference, x, weight): close(impl, reference, x, weight)
"""


@pytest.fixture(params=[1, pytest.param(3, marks=pytest.mark.soak)])
def many(request: pytest.FixtureRequest, server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> Judge:
    """A judge with that many copies, even if the machine has fewer cores."""
    here = sorted(os.sched_getaffinity(0))
    monkeypatch.setattr("groundup.grader.judging.judge.some_cores", lambda count: (here * count)[:count])
    return Judge(server, copies=request.param)


def patient(author: Author, properties: str) -> Technique:
    """Return a technique with a generous time limit, since several attempts share a core in these tests."""
    made: Technique = author.technique(
        properties, manifest=author.manifest.replace("call_seconds=1.0", "call_seconds=30")
    )
    return made


def told(verdict: Verdict) -> dict[str, Any]:
    return verdict.model_dump(exclude={"seconds", "given_at"})


@pytest.mark.parametrize(
    "source",
    [
        RIGHT,
        "def mean(x, weight): return x.sum() / weight.sum()",
        "def mean(x, weight): return (x * weight).sum()",
        "def mean(x, weight): return (x * weight).sum() / (weight.sum() if x.sum() < 2 else len(x))",
        "def mean(x, weight):\n    print('here')\n    return x.mean()",
        "import torch\ndef mean(x, weight): return (x * weight).sum() / weight.sum() * (torch.rand(()) < 0.98)",
        "import os\ndef mean(x, weight): os._exit(3)",
        "import os\ndef mean(x, weight):\n    return (x * weight).sum() / weight.sum() if x[0] < 1 else os._exit(3)",
        "def mean(x, weight): raise NotImplementedError",
        "raise ValueError",
    ],
)
def test_the_verdict_is_the_same_as_without_copies(judge: Judge, many: Judge, author: Author, source: str) -> None:
    technique = patient(author, FIVE)
    alone, ahead = (j.grade(technique, source, "mean.py", seed=1) for j in (judge, many))
    assert told(ahead.verdict) == told(alone.verdict)
    assert ahead.cases == alone.cases


@pytest.mark.parametrize("name", ["gae", pytest.param("ring-all-reduce", marks=pytest.mark.soak)])
def test_known_mistakes_are_named_as_without_copies(judge: Judge, many: Judge, name: str) -> None:
    technique = Registry().technique(name)
    solution = technique.files.solution.read_text("utf-8")
    for edit in load_edits(technique)[:2]:
        wrong = edit.apply(solution, technique.file)
        alone, ahead = (j.grade(technique, wrong, technique.file, seed=5) for j in (judge, many))
        assert told(ahead.verdict) == told(alone.verdict)
        assert ahead.cases == alone.cases


def test_a_case_that_was_kept_and_holds_now_is_forgotten(judge: Judge, many: Judge, author: Author) -> None:
    technique = patient(author, FIVE)
    failing = judge.grade(technique, "def mean(x, weight): return x.sum()", "mean.py", seed=1).cases
    assert len(failing) >= 2
    for cases in (failing, {key: set(values) for key, values in failing.items()}):
        assert many.grade(technique, RIGHT, "mean.py", seed=2, cases=cases).cases == {}


def test_an_attempt_that_is_wrong_only_in_a_copys_process_does_not_pass(many: Judge, author: Author) -> None:
    properties = """
def test_a(impl):
    import time
    time.sleep(0.5)
    check(impl(ONES, ONES), torch.tensor(1.0))

def test_b(impl): check(impl(2 * ONES, ONES), torch.tensor(2.0))
"""
    source = """
calls = 0
def mean(x, weight):
    global calls
    calls += 1
    return (x * weight).sum() / weight.sum() + (calls == 1 and x[0] == 2)
"""
    verdict = many.grade(patient(author, properties), source, "mean.py", seed=1).verdict
    assert [(p.id, p.status, p.got) for p in verdict.properties] == [
        ("a", "held", None), ("b", "failed", "torch.tensor(3.0)"),
    ]  # fmt: skip


def test_what_failed_before_is_tried_first_and_told_before_its_turn(
    many: Judge, author: Author, tmp_path: Path
) -> None:
    tried = tmp_path / "tried"
    properties = f"""
import pathlib, time

def test_a(impl):
    impl(ONES, ONES)
    while pathlib.Path({str(tried)!r}).parent.is_dir() and not pathlib.Path({str(tried)!r}).exists():
        time.sleep(0.05)  # until a copy has begun with the last but one
"""
    properties += "\n".join(f"def test_b{n}(impl): time.sleep(0.08); impl(ONES, ONES)" for n in range(10))
    properties += f"""
@given(x=X, weight=WEIGHT)
def test_c(impl, reference, x, weight):
    pathlib.Path({str(tried)!r}).touch()
    check(impl(x, weight), reference(x, weight))

@given(x=X, weight=WEIGHT)
def test_d(impl, x, weight): impl(x, weight)
"""
    technique, wrong = patient(author, properties), "def mean(x, weight): return x.sum()"
    tried.touch()
    cases = many.grade(technique, wrong, "mean.py", seed=1).cases
    tried.unlink()
    heard: list[tuple[str, str]] = []
    grading = many.grade(
        technique, wrong, "mean.py", seed=2, cases=cases, tell=lambda kind, result: heard.append((kind, result.id))
    )
    assert heard.index(("failing", "c")) < heard.index(("result", "b9"))
    assert [p.id for p in grading.verdict.properties if p.status != "held"] == ["c"]


def ahead_of(work: Callable[..., None], names: list[str] | None = None) -> Ahead:
    return Ahead([min(os.sched_getaffinity(0))], names or ["test_a", "test_b"], work)


HELD = Found(PropertyResult(id="b", claim="", status="held", points=1.0, hole=None), set())


def test_what_a_copy_has_begun_is_waited_for_and_the_rest_is_the_judges() -> None:
    def work(may_begin: MayBegin, tell: Callable[[str, Found], None]) -> None:
        assert may_begin("test_b")
        time.sleep(0.3)
        tell("test_b", HELD)
        time.sleep(60)

    with ahead_of(work) as ahead:
        assert ahead.found("test_a") is None
        time.sleep(0.1)
        assert ahead.found("test_b") == HELD


@pytest.mark.parametrize("end", ["raise ValueError", "os._exit(1)", "os.kill(os.getpid(), signal.SIGKILL)", "pass"])
def test_a_copy_that_ends_leaves_what_it_began_to_the_judge(end: str) -> None:
    def work(may_begin: MayBegin, tell: Callable[[str, Found], None]) -> None:
        may_begin("test_b")
        exec(end, {"os": os, "signal": signal})

    with ahead_of(work) as ahead:
        time.sleep(0.2)
        assert ahead.found("test_b") is None
        assert ahead.found("test_b") is None


def test_where_no_process_can_be_made_the_judge_works_alone(many: Judge, author: Author, monkeypatch: Any) -> None:
    def fork() -> int:
        raise BlockingIOError

    monkeypatch.setattr("groundup.grader.judging.ahead.os.fork", fork)
    assert many.grade(patient(author, FIVE), RIGHT, "mean.py", seed=1).verdict.passed


def test_copies_end_with_the_judge_and_print_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    def work(*_: object) -> None:
        print("here", flush=True)
        os.write(2, b"and here")
        time.sleep(60)

    began = time.monotonic()
    with ahead_of(work) as ahead:
        (pid, _) = ahead._copies[0]
        time.sleep(0.2)
    assert time.monotonic() - began < 60
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert capfd.readouterr() == ("", "")


def test_cores_are_apart_and_begin_with_the_one_that_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    first = some_cores(1)[0]
    assert some_cores(2) == [first, (first + 4) % 8]
    assert sorted(some_cores(4)) == [first % 2, first % 2 + 2, first % 2 + 4, first % 2 + 6]
    assert cores_for_copies() == 3
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    assert (some_cores(3), cores_for_copies()) == ([5], 0)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("9900000 100000", 8), ("nonsense", 8), (None, 8)],
)
def test_a_limit_of_the_control_group_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None, expected: int
) -> None:
    files = {"/proc/self/cgroup": "3:cpuset:/\n0::/a/b\n"} | ({"/sys/fs/cgroup/a/b/cpu.max": limit} if limit else {})
    for name, text in files.items():
        (tmp_path / name.replace("/", "-")).write_text(text)
    monkeypatch.setattr(cores, "Path", lambda name: tmp_path / name.replace("/", "-"))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert (cores.usable(), cores.cores_for_copies()) == (expected, min(expected - 1, 3))


def test_what_is_started_on_one_core_stays_there_and_the_judge_does_not() -> None:
    before = os.sched_getaffinity(0)
    with on_one_core(min(before)):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before
    for nowhere in (None, 4095):
        with on_one_core(nowhere):
            assert os.sched_getaffinity(0) == before


def test_an_attempt_runs_on_its_judges_core(author: Author, server: ForkServer) -> None:
    technique = author.technique("def test_a(impl): assert impl(ONES, ONES) == 1")
    source = "import os\ndef mean(x, weight): return len(os.sched_getaffinity(0))"
    assert Judge(server).grade(technique, source, "mean.py", seed=1).verdict.passed
