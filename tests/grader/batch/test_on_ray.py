"""A class gets the same results on a cluster, even if a node is lost meanwhile. Needs Ray: 'groundup[ray]'."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from groundup.core.errors import PluginProblem
from groundup.core.registry import Registry
from groundup.grader.batch.grading import properties
from groundup.grader.batch.journal import Journal
from groundup.grader.batch.local import Local
from groundup.grader.batch.made_with import made_with
from groundup.grader.batch.on_ray import Ray
from groundup.grader.batch.row import Graded, Job, Row, without_times
from groundup.grader.batch.run import Class, Engine, Wishes
from groundup.grader.batch.submissions import Submissions
from groundup.grader.learner.templates import Texts

ray = pytest.importorskip("ray", reason="Ray is not installed: python -m pip install 'groundup[ray]'")
pytestmark = [
    pytest.mark.soak,
    pytest.mark.filterwarnings("ignore"),  # Ray's own warnings
]

GAE = Registry().technique("gae")
RIGHT = GAE.files.solution.read_text(encoding="utf-8")
SOURCES = {
    "right": RIGHT,
    "wrong": RIGHT.replace("gamma * next_non_terminal * value", "gamma * value"),
    "stub": GAE.files.exercise.read_text(encoding="utf-8"),
    "exits": "import os\n\ndef gae(*args, **kwargs):\n    os._exit(3)\n",
    "empty": "",
}


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two nodes, of one core each."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.second = made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    for number in range(15):
        kind = list(SOURCES)[number % len(SOURCES)]
        (tmp_path / "class" / f"{number:02d}-{kind}").mkdir(parents=True)
        (tmp_path / "class" / f"{number:02d}-{kind}" / "gae.py").write_text(SOURCES[kind], encoding="utf-8")
    return tmp_path / "class"


def graded(handed_in: Path, out: Path, engine: Engine, told: Any = id) -> list[Row]:
    with Journal(out) as journal:
        wanted = properties(GAE, "en")
        whole = Class(Submissions(handed_in, GAE), journal, wanted, Wishes(seed=7), Texts("class"))
        whole.grade(engine, told)
        whole.collect()
    return [Row.model_validate_json(line) for line in (out / "results.jsonl").read_bytes().splitlines()]


def test_a_class_comes_to_the_same_though_a_node_is_lost(
    cluster: Any, handed_in: Path, tmp_path: Path, soon: Callable[..., bool]
) -> None:
    seen: list[Row] = []

    def lose_a_node(row: Row) -> None:
        seen.append(row)
        if len(seen) == 4:
            cluster.remove_node(cluster.second, allow_graceful=False)

    on_ray = graded(handed_in, tmp_path / "ray", Ray(None, "en", tmp_path / "ray.log"), lose_a_node)
    assert soon(lambda: sum(node["Alive"] for node in ray.nodes()) == 1, seconds=60)
    here = graded(handed_in, tmp_path / "here", Local(1, "en"))
    assert len(on_ray) == len(here) == 15  # nothing lost, nothing twice

    def lines(rows: list[Row]) -> list[str]:
        return sorted(without_times(row).model_dump_json() for row in rows)

    assert lines(on_ray) == lines(here)
    for name in ("gradescope", "logs"):
        for file in (tmp_path / "here" / name).rglob("*.log"):
            assert (tmp_path / "ray" / name / file.name).read_bytes() == file.read_bytes()


def test_a_judge_that_dies_is_told_after_two_tries(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    def dies(job: Job, lang: str) -> Graded:
        os._exit(1) if job.name == "bad" else None
        return Graded(job, problem="fine")

    monkeypatch.setattr("groundup.grader.batch.on_ray._grade", dies)
    jobs = [Job(name, "gae.py", "", "rl/gae", {}, 1, False, "en") for name in ("good", "bad", "late")]
    found = {g.job.name: g.problem for g in Ray(2, "en", tmp_path / "ray.log").results(iter(jobs))}
    assert found["good"] == found["late"] == "fine"
    assert (found["bad"] or "").startswith("its judge ended 2 times in a row")


def test_other_files_of_the_technique_on_a_node_are_told_of(cluster: Any, tmp_path: Path) -> None:
    job = Job("anna", "gae.py", RIGHT, "rl/gae", made_with(GAE) | {"torch": "0.9"}, 1, False, "en")
    with pytest.raises(PluginProblem, match=r"torch 0\.9 → .*: install the same version wherever it is graded"):
        list(Ray(1, "en", tmp_path / "ray.log").results(iter([job])))


def test_without_an_address_a_cluster_is_started_and_ended_and_what_it_says_stays_in_its_log(
    handed_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for folder in sorted(handed_in.iterdir())[2:]:
        shutil.rmtree(folder)
    assert len(graded(handed_in, tmp_path / "ray", Ray(1, "en", tmp_path / "ray.log"))) == 2
    assert capfd.readouterr().err == ""
    assert (tmp_path / "ray.log").exists()
    assert not ray.is_initialized()
