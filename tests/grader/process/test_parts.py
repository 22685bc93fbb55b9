"""Parts that the judge owns: what is sent, what is recorded, and what an attempt may not do to them."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from groundup.core.errors import AttemptDied, AttemptRaised
from groundup.core.technique import Technique
from groundup.core.testing import Event, handed
from groundup.core.testing.modules import module_from_source
from groundup.core.testing.parts import on_rank
from groundup.grader.judging.judge import Judge
from groundup.grader.judging.local import traced
from groundup.grader.process import parts as parts_module
from groundup.grader.process.attempt import AttemptProcess, Program
from groundup.grader.process.fork_server import ForkServer
from groundup.grader.process.proxy import proxy

pytestmark = pytest.mark.usefixtures("nothing_left")

DECLARED = """
from groundup.core.parts import Part, differentiable


class Scorer(Part):
    secret = 7

    @differentiable
    def score(self, x, weight): ...

    def count(self, items, *, least=0): ...

    def _hidden(self): ...
"""
X = torch.tensor([1.0, 2.0])


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("declared")
    (folder / "toy_parts.py").write_text(DECLARED)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        importlib.invalidate_caches()
        yield importlib.import_module("toy_parts")
    del sys.modules["toy_parts"]


@pytest.fixture
def scorer(toy: ModuleType) -> Any:
    class Scores(toy.Scorer):  # type: ignore[misc, name-defined]
        asked = 0

        def score(self, x: Tensor, weight: Tensor) -> dict[str, Tensor]:
            return {"total": (x * weight).sum(), "kept": x.detach() * 2}

        def count(self, items: list[int], *, least: int = 0) -> int:
            self.asked += 1
            if any(item < 0 for item in items):
                raise ValueError("no negative ones")
            return sum(item >= least for item in items)

        def _hidden(self) -> str:
            return "hidden"

    return Scores()


@pytest.fixture
def both(server: ForkServer, toy: ModuleType) -> Iterator[Callable[[str], list[Any]]]:
    """Return ``f`` of a file twice: in this process, recorded as by the judge, and in another process."""
    started: list[AttemptProcess] = []

    def made(source: str) -> list[Any]:
        here = module_from_source("here", source, "<here>").f
        program = Program(source, "attempt.py", "f", imports=("toy_parts",))
        started.append(AttemptProcess(server, program, seed=0, call_seconds=5.0, total_seconds=30.0))
        return [traced(here, lambda name, answer: None), proxy(started[-1], "f", here)]

    yield made
    for process in started:
        process.close()


def alike(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[k], other[k]) for k in one)
    return bool(one == other)


def told(events: list[Event]) -> list[Any]:
    return [(e.kind, e.part, e.method, e.args, e.answer) for e in events]


def test_calls_cross_and_are_noted_in_order_with_what_was_said(both: Any, scorer: Any) -> None:
    source = "def f(part, x): return part.count([1, 2, 3], least=2), part.score(x, x)['kept'], part.count([])"
    seen = []
    for f in both(source):
        events: list[Event] = []
        two, kept, none = f(handed(scorer, events, "the scorer"), X)
        assert (two, none) == (2, 0)
        assert torch.equal(kept, 2 * X)
        assert [e.at for e in events] == sorted(e.at for e in events)
        seen.append(told(events))
    assert alike(*seen)
    assert [(kind, name, method) for kind, name, method, _, _ in seen[0]] == [
        ("call", "the scorer", "count"), ("call", "the scorer", "score"), ("call", "the scorer", "count"),
    ]  # fmt: skip
    assert alike(seen[0][0][3:], (([1, 2, 3], 2), 2))


def test_gradients_flow_through_a_part_and_the_backward_pass_is_noted(both: Any, scorer: Any) -> None:
    source = "def f(part, x, w): return 3 * part.score(x * x, w)['total'] + w.sum()"
    found, seen = [], []
    for f in both(source):
        events: list[Event] = []
        x, w = X.clone().requires_grad_(), (X + 1).requires_grad_()
        out = f(handed(scorer, events), x, w)
        assert [e.kind for e in events] == ["call"]
        found.append(torch.autograd.grad(out, [x, w]))
        seen.append([e.kind for e in events])
    assert alike(*found)
    assert torch.equal(found[0][0], 6 * X * (X + 1))
    assert seen == [["call", "backward"]] * 2


def test_an_attempt_may_differentiate_through_a_part_itself(both: Any, scorer: Any) -> None:
    source = """
import torch
def f(part, x):
    leaf = x.clone().requires_grad_()
    part.score(leaf, x)["total"].backward()
    first = leaf.grad.clone()
    return first, part.count([4])
"""
    for f in both(source):
        events: list[Event] = []
        gradient, _ = f(handed(scorer, events), X)
        assert torch.equal(gradient, X)
        assert [(e.kind, e.method) for e in events] == [("call", "score"), ("backward", "score"), ("call", "count")]


def test_what_carries_no_gradient_in_the_judge_carries_none_there(both: Any, scorer: Any) -> None:
    for f in both("def f(part, x): return part.score(x, x)['kept'].requires_grad, part.count([1])"):
        assert f(handed(scorer, []), X.clone().requires_grad_()) == (False, 1)


def test_what_a_part_refuses_is_an_error_that_an_attempt_can_see(both: Any, scorer: Any) -> None:
    _, f = both("def f(part):\n    try: part.count([-1])\n    except Exception as e: return str(e)")
    assert f(handed(scorer, [])) == "ValueError: no negative ones"
    _, f = both("def f(part): return part.count([-1])")
    with pytest.raises(AttemptRaised, match="no negative ones"):
        f(handed(scorer, []))


def test_neither_side_can_change_what_the_other_holds(both: Any, scorer: Any) -> None:
    source = "def f(part, x):\n    y = x.clone()\n    part.score(y, y)['kept'].zero_()\n    y.zero_()\n    return y"
    for f in both(source):
        events: list[Event] = []
        f(handed(scorer, events), X)
        assert torch.equal(events[0].args[0], X)
        assert torch.equal(events[0].answer["kept"], 2 * X)


@pytest.mark.parametrize(
    "body",
    ["part.secret = 1", "part._hidden()", "part.__init__()", "return part", "part.score.__closure__"],
)
def test_there_is_nothing_of_a_part_but_its_methods(both: Any, scorer: Any, body: str) -> None:
    source = f"def f(part, x):\n    try: {body}\n    except Exception: pass\n    return part._hidden(), part.count([1])"
    _, f = both(source)
    with contextlib.suppress(AttemptRaised):  # a part is not a valid answer
        assert f(handed(scorer, []), X) == (None, 1)  # None is what the declaration's own body returns
    assert type(scorer).secret == 7


FORGING = """
import json, os, struct
def f(part, x):
    channel = part.count.__func__.__closure__
    cells = [c.cell_contents for c in channel]
    server = next(c for c in cells if hasattr(c, "say"))
    server.say({frame}, [[1.0], {{}}])
    return server.hear()[1]
"""


@pytest.mark.parametrize(
    "frame",
    [
        "dict(part=1, method='count', grad=False, wrt=[])",
        "dict(part=-1, method='count', grad=False, wrt=[])",
        "dict(part='0', method='count', grad=False, wrt=[])",
        "dict(part=0, method='_hidden', grad=False, wrt=[])",
        "dict(part=0, method='__class__', grad=False, wrt=[])",
        "dict(part=0, method=['count'], grad=False, wrt=[])",
        "dict(part=0, method='score', grad=True, wrt=[True] * 9)",
        "dict(part=0, method='score', grad='yes', wrt=[])",
        "dict(part=0, method='count', grad=False, id=0)",
        "dict(part_vjp=99, which=[])",
        "dict(part_vjp=[], which=[])",
    ],
)
def test_a_forged_call_ends_the_attempt(both: Any, scorer: Any, frame: str) -> None:
    _, f = both(FORGING.format(frame=frame))
    events: list[Event] = []
    with pytest.raises(AttemptDied) as died:
        f(handed(scorer, events), X)
    assert died.value.how == "protocol"
    assert events == []


def test_calls_without_end_end_the_attempt(both: Any, scorer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "MOST_CALLS", 50)
    _, f = both("def f(part):\n    while True: part.count([1])")
    with pytest.raises(AttemptDied, match="more than 50 calls of parts"):
        f(handed(scorer, []))
    assert scorer.asked == 50


def test_a_part_may_be_kept_from_one_call_to_the_next(both: Any, scorer: Any) -> None:
    source = "kept = []\ndef f(*part):\n    kept.extend(part)\n    return kept[0].count([1, 2])"
    for f in both(source):
        events: list[Event] = []
        assert f(handed(scorer, events)) == f() == 2
        assert len(events) == 2


def test_events_of_a_rank_say_which(scorer: Any) -> None:
    events: list[Event] = []
    part = handed(scorer, events)
    with on_rank(2):
        part.count([])
    part.count([])
    assert [e.rank for e in events] == [2, None]


MANIFEST = """
from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Hole, Source, Technique

BEST = Technique(
    id="toys/best-of", title="Best of n", summary="The answer that a verifier likes best.", package=__name__,
    implements="best_of", holes=(Hole(hints=("Ask the verifier once for each.",)),), imports=("toy_parts",),
    sources=(Source(title="A toy", url="https://example.org/toy"),),
)


@hookimpl
def techniques():
    return [BEST]
"""
SOLUTION = """
def best_of(part, answers):
    # HOLE 1/1: the best; return it
    scores = [part.count([answer]) * answer for answer in answers]
    return answers[scores.index(max(scores))]
    # END HOLE
"""
PROPERTIES = """
import toy_parts


class Likes(toy_parts.Scorer):
    def count(self, items, *, least=0): return sum(items)


def events_of(impl, answers):
    events = []
    impl(handed(Likes(), events), answers)
    return [e.args for e in events]


@claim("Each answer is scored once, in order.")
@given(answers=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_each_is_scored_once(impl, answers):
    assert_equal(events_of(impl, answers), [([a], ) for a in answers])
"""
MISCONCEPTIONS = """
[[misconception]]
id = "scores-twice"
in = "best_of"
edit = ["scores.index(max(scores))", "[part.count([a]) * a for a in answers].index(max(scores))"]
says = "Every answer is scored a second time."

[[misconception]]
id = "scores-all-at-once"
in = "best_of"
edit = ["part.count([answer]) * answer", "part.count(answers) * answer"]
says = "All answers are handed over together."
"""


def test_a_technique_with_a_part_is_graded_and_its_mistakes_are_named(judge: Judge, author: Any, toy: Any) -> None:
    technique: Technique = author.technique(
        PROPERTIES, solution=SOLUTION, manifest=MANIFEST, misconceptions=MISCONCEPTIONS, name="best-of"
    )
    right = "def best_of(part, answers):\n    return max(answers, key=lambda a: part.count([a]))"
    assert judge.grade(technique, right, "best_of.py", seed=1).verdict.passed
    twice = "def best_of(part, answers):\n    for a in answers + answers: part.count([a])\n    return max(answers)"
    verdict = judge.grade(technique, twice, "best_of.py", seed=1).verdict
    assert verdict.properties[0].counterexample == {"answers": "[1]"}
    assert [d.id for d in verdict.diagnosis] == ["scores-twice"]
