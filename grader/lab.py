"""Runs labs: the same loop with the learner's implementations and with the references, side by side."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from groundup.core.errors import AttemptDied, AttemptRaised, LabStopped, PluginProblem
from groundup.core.lab import Bench, Lab, Outcome
from groundup.core.registry import Registry
from groundup.core.technique import Declared, Technique, say
from groundup.core.testing.modules import current_module
from groundup.grader.attempt import AttemptProcess, Program
from groundup.grader.fork_server import ForkServer
from groundup.grader.proxy import proxy

LONGEST_SECONDS = 3600.0

Points = dict[str, list[tuple[float, float]]]
Bars = list[tuple[str, float, float, str]]
"""Row, start, end and kind of each bar."""
Watcher = Callable[[float, Points], None]


class LabRun(Declared):
    """One run of a lab, as data."""

    technique: str
    contestant: str = Field(description="'yours' or 'reference'")
    seed: int
    quick: bool
    implementations: dict[str, str] = Field(description="by technique: the attempt's sha256, or 'reference'")
    points: Points
    bars: Bars = Field(default_factory=list)
    outcome: Outcome


def has_lab(technique: Technique) -> bool:
    """Whether the technique comes with a lab."""
    return _file(technique).is_file()


def load_lab(technique: Technique) -> tuple[Lab, Callable[[Bench], Outcome]]:
    """Return the technique's lab and its loop. Raises PluginProblem when it cannot be loaded."""
    try:
        module = current_module(f"{technique.package}.lab", _file(technique))
        return module.LAB, module.run
    except Exception as error:
        raise PluginProblem(f"The lab of {technique.id} cannot be loaded: {type(error).__name__}: {error}") from error


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
    """Run the lab of ``technique``; ``sources`` holds the attempts to use, by technique, and references do the rest.

    ``watch`` is told how much is done, and every point so far. Raises LabStopped when an attempt raises or dies.
    """
    lab, loop = load_lab(technique)
    used = {i: sources[i] for i in lab.uses if i in sources}
    with contextlib.ExitStack() as stack:
        stack.enter_context(_one_thread())
        bench = _Bench(registry, server, used, stack, seed=seed, quick=quick, watch=watch)
        try:
            outcome = loop(bench)
        except AttemptRaised as raised:
            raise LabStopped(_stopped(raised)) from raised
        except AttemptDied as died:
            raise LabStopped(f"Your code ended the lab: {died.how}: {died.detail}.") from died
    digests = {i: hashlib.sha256(used[i].encode()).hexdigest() if i in used else "reference" for i in lab.uses}
    return LabRun(
        technique=technique.id, contestant="yours" if used else "reference", seed=seed, quick=quick,
        implementations=digests, points=bench.points, bars=bench.bars, outcome=outcome,
    )  # fmt: skip


def picture(lab: Lab, runs: list[LabRun]) -> bytes:
    """Return the curves of the runs, and their bars below, as a PNG."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib.figure import Figure

    # The bundled font has no Chinese: labels of the picture are English, whatever the language around it.
    rows = list(dict.fromkeys((run.contestant, row) for run in runs for row, *_ in run.bars))
    heights = [4.2, 1.0 + 0.28 * len(rows)] if rows else [4.2]
    drawing = Figure(figsize=(7.2, sum(heights)), dpi=150, layout="constrained")
    axes = drawing.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for number, (name, points) in enumerate(curves(runs)):
        style = "-" if not name.startswith("reference") else "--"
        x, y = zip(*points, strict=True)
        axes[0].plot(x, y, style, color=f"C{number}", label=name, linewidth=1.8)
    axes[0].set_title(say(lab.title))
    axes[0].set_xlabel(say(lab.x))
    axes[0].set_ylabel(say(lab.y))
    if lab.logarithmic:
        axes[0].set_yscale("log")
    axes[0].grid(alpha=0.3)
    axes[0].legend(frameon=False)
    if rows:
        _draw_bars(axes[1], runs, rows)
        axes[1].set_xlabel(say(lab.bars or {"en": ""}))
    data = io.BytesIO()
    drawing.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()


def _draw_bars(axes: Any, runs: list[LabRun], rows: list[tuple[str, str]]) -> None:
    """Draw the bars of the runs, a line for each of ``rows`` from the top down."""
    kinds = list(dict.fromkeys(kind for run in runs for *_, kind in run.bars))
    for number, kind in enumerate(kinds):
        found = [(b, (r.contestant, b[0])) for r in runs for b in r.bars if b[3] == kind]
        axes.barh(
            [rows.index(row) for _, row in found], [end - start for (_, start, end, _), _ in found],
            left=[start for (_, start, _, _), _ in found], height=0.8, color=f"C{number}", label=kind,
            edgecolor="white", linewidth=0.3,
        )  # fmt: skip
    contestants = {contestant for contestant, _ in rows}
    axes.set_yticks(range(len(rows)), [row if len(contestants) == 1 else f"{who}: {row}" for who, row in rows])
    axes.invert_yaxis()
    axes.legend(frameon=False, ncols=len(kinds), loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize="small")


def curves(runs: list[LabRun]) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Return every curve with its label: who made it, and which one it is where there are several."""
    for run in runs:
        for series, points in run.points.items():
            yield (run.contestant if len(run.points) == 1 else f"{run.contestant}: {series}"), points


def _file(technique: Technique) -> Path:
    return technique.files.folder / "lab.py"


class _Bench(Bench):
    def __init__(
        self, registry: Registry, server: ForkServer, sources: Mapping[str, str], stack: contextlib.ExitStack, *,
        seed: int, quick: bool, watch: Watcher,
    ) -> None:  # fmt: skip
        self.registry, self.server, self.sources, self.stack = registry, server, sources, stack
        self.seed, self.quick, self.watch = seed, quick, watch
        self.points: Points = {}
        self.bars: Bars = []
        self.done = 0.0

    def impl(self, technique: str) -> Any:
        found = self.registry.technique(technique)
        reference = getattr(current_module(found.files.solution_module, found.files.solution), found.implements)
        if found.id not in self.sources:
            return reference
        process = AttemptProcess(
            self.server, Program(self.sources[found.id], found.file, found.implements, found.imports),
            seed=self.seed, call_seconds=max(found.call_seconds, 30.0), total_seconds=LONGEST_SECONDS,
        )  # fmt: skip
        self.stack.callback(process.close)
        return proxy(process, found.implements, reference)

    def point(self, series: str, x: float, y: float) -> None:
        self.points.setdefault(series, []).append((float(x), float(y)))
        self.watch(self.done, self.points)

    def bar(self, row: str, start: float, end: float, kind: str) -> None:
        self.bars.append((row, float(start), float(end), kind))

    def progress(self, done: float) -> None:
        self.done = min(max(done, 0.0), 1.0)
        self.watch(self.done, self.points)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread, as attempts do: for tensors this small, more of them only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _stopped(raised: AttemptRaised) -> str:
    if raised.types[0] == "NotImplementedError":
        return f"A hole is still empty: {raised.message}. Fill it, or run the lab with --reference."
    where = f"\n{raised.lines}" if raised.lines else ""
    return f"Your code raised {raised}{where}"
