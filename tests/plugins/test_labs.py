"""Labs run with an attempt in another process, and beside the reference. For each lab, the rule 'lab' checks this."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from groundup.core.errors import LabStopped
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.learner.lab import LabRun, load_lab, run_lab
from groundup.grader.learner.picture import picture
from groundup.grader.process.fork_server import ForkServer

REGISTRY = Registry()


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer() as started:
        yield started


def run(technique: Technique, server: ForkServer, sources: dict[str, str], *, seed: int = 0, quick: bool) -> LabRun:
    return run_lab(technique, REGISTRY, server, sources, seed=seed, quick=quick, watch=lambda done, points: None)


def solutions(technique: Technique) -> dict[str, str]:
    used = (REGISTRY.technique(i) for i in load_lab(technique)[0].uses)
    return {t.id: t.files.solution.read_text(encoding="utf-8") for t in used}


def test_a_lab_runs_with_an_attempt_and_with_the_reference_and_draws_both(server: ForkServer) -> None:
    technique = REGISTRY.technique("gae")
    yours = run(technique, server, solutions(technique), quick=True)
    reference = run(technique, server, {}, quick=True)
    assert (yours.contestant, reference.contestant) == ("yours", "reference")
    assert yours.outcome.figures == reference.outcome.figures
    assert yours.points.keys() == reference.points.keys()
    assert set(yours.implementations) == set(load_lab(technique)[0].uses)
    assert picture(load_lab(technique)[0], [yours, reference]).startswith(b"\x89PNG")
    assert yours.cpu_seconds > 0 < reference.cpu_seconds


def test_a_stub_stops_the_lab_and_names_its_hole(server: ForkServer) -> None:
    technique = REGISTRY.technique("gae")
    with pytest.raises(LabStopped, match=r"hole \d/\d+"):
        run(technique, server, {technique.id: technique.files.exercise.read_text(encoding="utf-8")}, quick=True)


def test_an_attempt_that_dies_ends_the_lab(server: ForkServer) -> None:
    technique = REGISTRY.technique("gae")
    with pytest.raises(LabStopped, match="exit code 7"):
        run(technique, server, {technique.id: "import os\ndef gae(*_, **__): os._exit(7)\n"}, quick=True)


@pytest.mark.parametrize("name", ["gae", "kv-cache"])
def test_the_reference_reaches_its_mark(name: str, server: ForkServer) -> None:
    mark = run(REGISTRY.technique(name), server, {}, quick=False).outcome.mark
    assert mark is not None
    assert mark.reached


def test_an_attempt_that_misses_the_point_misses_the_mark(server: ForkServer) -> None:
    technique = REGISTRY.technique("gae")
    source = solutions(technique)[technique.id].replace("gamma * lam * next", "0.0 * next")  # lambda has no effect
    mark = run(technique, server, {technique.id: source}, quick=False).outcome.mark
    assert mark is not None
    assert not mark.reached


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
def test_ppo_solves_its_task_whatever_the_seed(seed: int, server: ForkServer) -> None:
    mark = run(REGISTRY.technique("ppo"), server, {}, seed=seed, quick=False).outcome.mark
    assert mark is not None
    assert mark.reached
