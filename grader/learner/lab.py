"""Runs labs: the same loop with the learner's implementations, with the references, and with the foil."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from groundup.core.errors import AttemptDied, AttemptRaised, EnvironmentProblem, LabStopped, PluginProblem
from groundup.core.interfaces.code_runner import CodeRunner
from groundup.core.lab import Bench, Lab, Outcome
from groundup.core.messages import Message, joined
from groundup.core.moved import told
from groundup.core.registry import Registry
from groundup.core.technique import Declared, Technique, Text
from groundup.core.testing.modules import lab_of, reference_of
from groundup.grader.judging.edits import load_edits, replaced
from groundup.grader.judging.verdict import Text as Words
from groundup.grader.process.clock import cpu_seconds
from groundup.grader.process.code_runner import JailedRunner
from groundup.grader.process.fork_server import ForkServer
from groundup.grader.process.group import start
from groundup.grader.process.proxy import proxy

LONGEST_SECONDS, LONGEST_CALL = 3600.0, 30.0
INSTALL = "python -m pip install 'groundup[labs]'"

Points = dict[str, list[tuple[float, float]]]
Bars = list[tuple[str, float, float, str]]
"""For each bar its row, start, end and kind."""
Watcher = Callable[[float, Points], None]


class LabRun(Declared):
    """One run of a lab, as data."""

    technique: str
    contestant: str = Field(description="'yours', 'reference' or 'foil'")
    name: Text | None = Field(None, description="what the foil is called: 'without the clip'")
    seed: int
    quick: bool
    implementations: dict[str, str] = Field(description="by technique: the attempt's sha256, 'reference' or 'foil'")
    points: Points
    bars: Bars = Field(default_factory=list)
    outcome: Outcome
    stopped: Words | None = Field(None, description="what ended the foil's run early; its outcome is empty then")
    cpu_seconds: float = 0.0


def has_lab(technique: Technique) -> bool:
    """Whether the technique comes with a lab."""
    return _file(technique).is_file()


def load_lab(technique: Technique) -> tuple[Lab, Callable[[Bench], Outcome]]:
    """Return the technique's lab and its loop.

    Raises EnvironmentProblem if a required package is not installed, PluginProblem if the lab cannot be loaded.
    """
    try:
        module = lab_of(technique)
        there, loop = getattr(module, "LAB", None), module.run
    except ModuleNotFoundError as error:
        if not technique.package.startswith("groundup.plugins.") or str(error.name).startswith("groundup"):
            raise PluginProblem("The lab of {id} cannot be loaded: {why}", id=technique.id, why=told(error)) from error
        raise EnvironmentProblem(
            "The lab of {id} needs {package}, which is not installed here: {command} installs it.",
            id=technique.id,
            package=error.name,
            command=INSTALL,
        ) from error
    except Exception as error:
        raise PluginProblem("The lab of {id} cannot be loaded: {why}", id=technique.id, why=told(error)) from error
    if there and technique.lab:
        raise PluginProblem(
            "The lab of {id} is declared twice: drop LAB of lab.py, or [lab] of the manifest.", id=technique.id
        )
    if (lab := there or technique.lab) is None:
        raise PluginProblem(
            "The lab of {id} is not declared: add [lab] to {manifest}.",
            id=technique.id,
            manifest=technique.files.manifest,
        )
    return lab, loop


def run_lab(
    technique: Technique,
    registry: Registry,
    server: ForkServer,
    sources: Mapping[str, str],
    *,
    seed: int,
    quick: bool,
    watch: Watcher,
) -> LabRun:
    """Run the lab of ``technique`` with the attempts in ``sources``, by technique, and references for the others.

    ``watch`` receives the progress and all points so far. Raises LabStopped if an attempt raises or dies.
    """
    lab, loop = load_lab(technique)
    used = {i: sources[i] for i in lab.uses if i in sources}
    began = cpu_seconds()
    with _bench(lab, registry, server, used, seed=seed, quick=quick, watch=watch) as bench:
        try:
            outcome = loop(bench)
        except PluginProblem as problem:
            raise PluginProblem("The lab of {id} is broken: {problem}", id=technique.id, problem=problem) from problem
        except AttemptRaised as raised:
            raise LabStopped(_stopped(raised)) from raised
        except AttemptDied as died:
            raise LabStopped("Your code ended the lab: {error}.", error=died.summary) from died
    digests = {i: hashlib.sha256(used[i].encode()).hexdigest() if i in used else "reference" for i in lab.uses}
    return LabRun(
        technique=technique.id, contestant="yours" if used else "reference", seed=seed, quick=quick,
        implementations=digests, points=bench.points, bars=bench.bars, outcome=outcome,
        cpu_seconds=cpu_seconds() - began,
    )  # fmt: skip


def run_foil(
    technique: Technique,
    registry: Registry,
    server: ForkServer,
    source: str,
    *,
    seed: int,
    quick: bool,
    watch: Watcher,
) -> LabRun:
    """Run the lab of ``technique`` with its foil, whose source ``foil_source`` returns.

    Where it raises or dies, or the lab cannot compute with what it returns, the run says so in ``stopped``.
    """
    lab, loop = load_lab(technique)
    assert lab.foil is not None
    stopped: str | None = None
    outcome, began = Outcome(figures=()), cpu_seconds()
    with _bench(lab, registry, server, {lab.foil.technique: source}, seed=seed, quick=quick, watch=watch) as bench:
        try:
            outcome = loop(bench)
        except (AttemptRaised, AttemptDied) as error:
            stopped = error.summary
        except Exception as error:  # the lab meets numbers that only a foil gives
            stopped = told(error)
    return LabRun(
        technique=technique.id, contestant="foil", name=lab.foil.name, seed=seed, quick=quick,
        implementations={i: "foil" if i == lab.foil.technique else "reference" for i in lab.uses},
        points=bench.points, bars=bench.bars, outcome=outcome, stopped=stopped, cpu_seconds=cpu_seconds() - began,
    )  # fmt: skip


def foil_source(technique: Technique, registry: Registry) -> str | None:
    """Return the source of the foil in the technique's lab, None if it has no foil. Raises PluginProblem."""
    lab, _ = load_lab(technique)
    if (foil := lab.foil) is None:
        return None
    of = technique if foil.technique == technique.id else registry.technique(foil.technique)
    solution = of.files.solution.read_text(encoding="utf-8")
    if foil.edit is not None:
        return replaced(solution, foil.within or "", *foil.edit, Message("the foil of {id}", id=technique.id))
    edit = next((e for e in load_edits(of) if e.id == foil.misconception), None)
    if edit is None:
        raise PluginProblem(
            "{path}: the foil names the misconception {name!r}, which {id} does not have",
            path=technique.files.manifest,
            name=foil.misconception,
            id=of.id,
        )
    return edit.apply(solution, str(of.files.solution))


def _file(technique: Technique) -> Path:
    return technique.files.folder / "lab.py"


class _Bench(Bench):
    def __init__(
        self, lab: Lab, registry: Registry, server: ForkServer, sources: Mapping[str, str],
        stack: contextlib.ExitStack, *, seed: int, quick: bool, watch: Watcher,
    ) -> None:  # fmt: skip
        self.lab, self.registry, self.server, self.sources, self.stack = lab, registry, server, sources, stack
        self.seed, self.quick, self.watch = seed, quick, watch
        self.points: Points = {}
        self.bars: Bars = []
        self.done = 0.0

    def impl(self, technique: str) -> Any:
        found = self.registry.technique(technique)
        reference = reference_of(found)
        if found.id in self.sources:
            source = self.sources[found.id]
        elif found.distributed:  # the ranks of a reference need processes of their own too
            source = found.files.solution.read_text(encoding="utf-8")
        else:
            return reference
        process = start(
            self.server, found, source, found.file, seed=self.seed, total_seconds=LONGEST_SECONDS,
            call_seconds=max(found.call_seconds, LONGEST_CALL), lab=True,
        )  # fmt: skip
        self.stack.callback(process.close)
        return proxy(process, found.implements, reference)

    def code_runner(self) -> CodeRunner:
        return JailedRunner(self.server)

    def point(self, series: str, x: float, y: float) -> None:
        self.points.setdefault(series, []).append((float(x), float(y)))
        self.watch(self.done, self.points)

    def bar(self, row: str, start: float, end: float, kind: str) -> None:
        self.bars.append((row, float(start), float(end), kind))

    def progress(self, done: float) -> None:
        self.done = min(max(done, 0.0), 1.0)
        self.watch(self.done, self.points)


@contextlib.contextmanager
def _bench(
    lab: Lab, registry: Registry, server: ForkServer, sources: Mapping[str, str], *, seed: int, quick: bool,
    watch: Watcher,
) -> Iterator[_Bench]:  # fmt: skip
    """A bench for one run. Leaving it ends the processes of the attempts in ``sources``."""
    server.allow(name for i in sources for name in registry.technique(i).imports)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_one_thread())
        yield _Bench(lab, registry, server, sources, stack, seed=seed, quick=quick, watch=watch)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread, as attempts do: with tensors this small, more threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _stopped(raised: AttemptRaised) -> Message:
    if raised.types[0] == "NotImplementedError":
        return Message("A hole is still empty: {hole}. Fill it, or run the lab with --reference.", hole=raised.message)
    told = Message("Your code raised {error}", error=raised.summary)
    return joined("\n", [told, raised.lines]) if raised.lines else told
