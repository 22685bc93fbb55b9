"""The foil of a lab: its source, and its run beside the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from groundup.core.errors import EditProblem, PluginProblem
from groundup.core.lab import Foil
from groundup.core.registry import Registry
from groundup.grader.learner.lab import LabRun, foil_source, run_foil, run_lab
from groundup.grader.process.fork_server import ForkServer

FOIL = """from groundup.core.lab import Foil

FOIL = Foil.model_validate({{"technique": {technique!r}, "name": {{"en": "a quarter", "zh": "四分之一"}}, {how}}})

LAB = Lab(
    foil=FOIL,"""
A_QUARTER = '"misconception": "a-quarter"'


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer() as started:
        yield started


def with_foil(toy: Any, how: str = A_QUARTER, technique: str = "toys/half") -> None:
    toy.spoil("lab.py", "LAB = Lab(", FOIL.format(technique=technique, how=how))


def run(toy: Any, server: ForkServer) -> LabRun:
    source = foil_source(toy.technique, toy.registry)
    assert source is not None
    ran = run_foil(toy.technique, toy.registry, server, source, seed=0, quick=True, watch=lambda done, points: None)
    assert (ran.contestant, ran.name) == ("foil", {"en": "a quarter", "zh": "四分之一"})
    return ran


@pytest.mark.parametrize("how", [A_QUARTER, '"in": "half", "edit": ("0.5", "0.25")'])
def test_the_foil_is_the_solution_with_its_edit(toy: Any, server: ForkServer, how: str) -> None:
    with_foil(toy, how)
    ran = run(toy, server)
    assert ran.stopped is None
    assert ran.outcome.figures[0].value == 0.25**3
    assert ran.outcome.mark is not None
    assert not ran.outcome.mark.reached
    assert ran.implementations == {"toys/half": "foil"}
    assert ran.cpu_seconds > 0


def test_a_lab_without_a_foil_has_no_source_of_one(toy: Any) -> None:
    assert foil_source(toy.technique, toy.registry) is None


def test_the_foil_may_be_of_another_technique_that_the_lab_uses(toy: Any, server: ForkServer) -> None:
    toy.spoil("lab.py", 'uses=("toys/half",)', 'uses=("toys/half", "rl/gae")')
    toy.spoil("lab.py", "    x = torch.ones(2)", USES_GAE)
    with_foil(toy, '"misconception": "one-step-errors-alone"', "rl/gae")
    source = foil_source(toy.technique, toy.registry)
    solution = Registry().technique("rl/gae").files.solution.read_text(encoding="utf-8")
    assert source != solution
    assert len(source or "") > len(solution) / 2
    ran = run(toy, server)
    assert ran.stopped is None
    assert ran.implementations == {"toys/half": "reference", "rl/gae": "foil"}
    assert ran.points["advantage"] == [(0.0, 1.0)]  # of one step: the reference gives 2
    whole = run_lab(toy.technique, toy.registry, server, {}, seed=0, quick=True, watch=lambda done, points: None)
    assert whole.points["advantage"] == [(0.0, 2.0)]


USES_GAE = """    gae = bench.impl("rl/gae")
    reward, value = torch.ones(1, 2), torch.zeros(1, 3)
    advantage = gae(reward, value, torch.zeros(1, 2, dtype=torch.bool), gamma=1.0, lam=1.0)
    bench.point("advantage", 0, float(advantage[0, 0]))
    x = torch.ones(2)"""


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ('(_ for _ in ()).throw(ValueError("no number"))', "ValueError: no number"),
        ('__import__("os")._exit(7)', "exit"),
    ],
)
def test_a_foil_that_raises_or_dies_says_so_and_keeps_its_curve(
    toy: Any, server: ForkServer, what: str, told: str
) -> None:
    toy.spoil("lab.py", "        x = half(x)", "        x = half(x) if step < 2 else half(x - 9)")
    with_foil(toy, f'"in": "half", "edit": ("0.5", """0.5 if float(x[0]) > -5 else {what}""")')
    ran = run(toy, server)
    assert told in str(ran.stopped)
    assert ran.outcome.figures == ()
    assert ran.outcome.mark is None
    assert [x for x, _ in ran.points["size"]] == [0.0, 1.0]


def test_numbers_of_a_foil_that_the_lab_cannot_compute_with_end_its_run_alone(toy: Any, server: ForkServer) -> None:
    toy.spoil("lab.py", "    return Outcome(", "    assert x[0] > 0.1, 'too small'\n    return Outcome(")
    with_foil(toy)
    assert run(toy, server).stopped == "AssertionError: too small"


@pytest.mark.parametrize(
    ("how", "error", "told"),
    [
        ('"misconception": "a-third"', PluginProblem, "the foil names the misconception 'a-third'"),
        ('"in": "half", "edit": ("0.75", "0.25")', EditProblem, "the foil of toys/half: '0.75' is found 0 times"),
    ],
)
def test_a_foil_that_cannot_be_made_is_told(toy: Any, how: str, error: type[Exception], told: str) -> None:
    with_foil(toy, how)
    with pytest.raises(error, match=told):
        foil_source(toy.technique, toy.registry)


def test_a_foil_of_a_technique_that_the_lab_does_not_use_is_told(toy: Any) -> None:
    with_foil(toy, A_QUARTER, "rl/gae")
    with pytest.raises(PluginProblem, match="the foil is of 'rl/gae', which 'uses' does not have"):
        foil_source(toy.technique, toy.registry)


def test_a_foil_has_one_way_to_be_made() -> None:
    with pytest.raises(ValueError, match="give 'misconception', or 'edit' with 'in'"):
        Foil(technique="toys/half", name={"en": "a quarter"})
