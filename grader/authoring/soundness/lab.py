"""Rules: in quick mode the lab runs the learner's code; in full the reference reaches its mark, and the foil misses it.

In quick mode, an attempt equal to the solution measures what the reference does, a stub stops the lab, and a mistake
moves its figures: a lab that ignores the attempt does neither. A full run takes as long as the manifest declares.
"""

from __future__ import annotations

import math
import statistics
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from groundup.core.errors import AttemptDied, LabStopped, PluginProblem
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.authoring.soundness.mistakes import shares
from groundup.grader.authoring.soundness.places import Found, built_in, declared, place
from groundup.grader.authoring.stubs import stub_of
from groundup.grader.learner.lab import LabRun, foil_source, has_lab, load_lab, run_foil, run_lab
from groundup.grader.process.fork_server import ForkServer

if TYPE_CHECKING:
    from groundup.grader.authoring.examined import Examined

__all__ = ["check", "lab", "lab_full"]

LONGEST = 10.0  # CPU seconds of a quick run
LONGEST_FULL = 120.0
OFF = 3.0  # times: how far a declared time may be from the measured one; machines differ
SHORT = 1.0  # seconds; shorter times count as this
MISTAKES_TRIED = 6  # of those that most properties find
SEEDS = range(5)  # of full runs


def lab(of: Examined) -> Found:
    """Find what is wrong with the lab in quick mode."""
    if not has_lab(of.technique):
        return "", [f"there is no lab: expected it at {_path(of.technique)}"]
    declared_lab, _ = load_lab(of.technique)
    strongest = sorted(found := shares(of), key=lambda i: -sum(found[i].values()))[:MISTAKES_TRIED]
    parts: list[tuple[str, ...]] = [("solution",)]
    if of.technique.id in declared_lab.uses:
        parts += [("stub",), ("mistakes", *strongest)]
    (detail, problems), *others = of.team.do("lab", _part, parts)
    return detail, problems or [problem for _, found in others for problem in found]


def lab_full(of: Examined) -> Found:
    """Find seeds at which a full run of the reference misses the mark, or the foil reaches it; and long runs."""
    if not has_lab(of.technique):
        return "no lab", []
    where = declared(of.technique, ("lab",), "LAB")
    declared_lab, _ = load_lab(of.technique)
    if declared_lab.foil is None and not built_in(of.technique):
        return "no foil: its mark is not judged", []
    if declared_lab.foil is None:
        return "", [f"{where}: no [lab.foil]: declare the variant that lacks the mechanism, and so misses the mark"]
    runs = [(who, seed) for seed in SEEDS for who in ("reference", "foil")]
    ran = dict(zip(runs, of.team.do("lab-full", _full_run, runs), strict=True))
    missed = [seed for seed in SEEDS if not ran["reference", seed].reached]
    took = statistics.median(run.cpu_seconds for run in ran.values())
    problems = list(_about_time(of.technique, declared_lab.seconds, took, max(r.cpu_seconds for r in ran.values())))
    if missed:
        problems.append(f"{_mark(of.technique)}: the reference misses the mark at the seeds {missed}, of {len(SEEDS)}")
    if found := [seed for seed in SEEDS if ran["foil", seed].reached]:
        problems.append(f"{_mark(of.technique)}: the foil reaches the mark at the seeds {found}, of {len(SEEDS)}")
    return f"{len(SEEDS)} seeds, with the reference and with the foil; a run takes {took:.1f} s of CPU time", problems


def check(technique: Technique, registry: Registry, server: ForkServer) -> Found:
    """Run the lab as ``learn run --quick`` does, with the solution as the attempt, and as the reference."""
    path = _path(technique)
    declared_lab, _ = load_lab(technique)
    if technique.id not in declared_lab.uses:
        return "", [f"{_uses(technique, 'uses')}: the lab does not use {technique.id!r}, which it is the lab of"]
    if unknown := [i for i in declared_lab.uses if i not in registry.techniques]:
        return "", [f"{_uses(technique, unknown[0])}: the lab uses {unknown[0]!r}, and there is no such technique here"]
    foil_source(technique, registry)
    try:
        ran = _run(technique, registry, server, {technique.id: technique.files.solution.read_text(encoding="utf-8")})
        reference = _run(technique, registry, server, {})
    except LabStopped as stopped:
        return "", [f"{path}: with the solution as an attempt, it stops: {stopped}"]
    except Exception as error:  # the lab itself may raise anything
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        return "", [f"{path}:{lines[-1] if lines else 1}: it raises {type(error).__name__}: {error}"]
    problems = list(_found(ran, path))
    if not problems and ran.outcome.figures != reference.outcome.figures:
        problems.append(f"{path}: an attempt equal to the solution measures other figures than the reference")
    if (seconds := max(ran.cpu_seconds, reference.cpu_seconds)) > LONGEST:
        at = place(path, "bench.quick")
        text = f"the quick mode takes {seconds:.0f} s of CPU time, at most {LONGEST:.0f}: do fewer steps of it"
        problems.append(f"{at}: {text}")
    return f"quick mode in {seconds:.1f} s of CPU time", problems


def _part(of: Examined, part: tuple[str, ...]) -> Found:
    kind, *mistakes = part
    if kind == "solution":
        return check(of.technique, of.registry, of.judge.server)
    if kind == "stub":
        return "", list(_of_the_stub(of))
    return "", list(_of_the_mistakes(of, mistakes))


def _of_the_stub(of: Examined) -> Iterator[str]:
    try:
        _run(of.technique, of.registry, of.judge.server, {of.technique.id: stub_of(of.technique)})
    except LabStopped:
        return
    yield f"{_path(of.technique)}: it runs with a stub: it does not use the learner's implementation"


def _of_the_mistakes(of: Examined, mistakes: list[str]) -> Iterator[str]:
    reference = _run(of.technique, of.registry, of.judge.server, {})
    for mistake in mistakes:
        try:
            ran = _run(of.technique, of.registry, of.judge.server, {of.technique.id: of.edited(mistake)})
        except (Exception, AttemptDied):
            return  # a mistake that stops the lab, or breaks its arithmetic, is seen
        if (ran.outcome, ran.points, ran.bars) != (reference.outcome, reference.points, reference.bars):
            return
    if mistakes:
        yield f"{_path(of.technique)}: {', '.join(mistakes)} change nothing in it: it does not measure what was built"


class _FullRun(NamedTuple):
    reached: bool
    cpu_seconds: float


def _full_run(of: Examined, item: tuple[str, int]) -> _FullRun:
    """Return whether a full run with the reference or the foil reaches the mark, and the CPU time that it took."""
    who, seed = item
    if who == "foil":
        source = foil_source(of.technique, of.registry)
        assert source is not None
        ran = run_foil(
            of.technique, of.registry, of.judge.server, source, seed=seed, quick=False, watch=lambda done, points: None
        )
    else:
        ran = _run(of.technique, of.registry, of.judge.server, {}, seed=seed, quick=False)
    if ran.stopped:
        return _FullRun(False, ran.cpu_seconds)
    if ran.outcome.mark is None:
        raise PluginProblem("{path}: it reports no mark in full mode", path=_path(of.technique))
    return _FullRun(ran.outcome.mark.reached, ran.cpu_seconds)


def _about_time(technique: Technique, seconds: float | None, took: float, longest: float) -> Iterator[str]:
    """Yield what is wrong with how long full runs take: ``took`` is usual, ``longest`` the longest, in CPU seconds."""
    if longest > LONGEST_FULL:
        most = f"at most {LONGEST_FULL:.0f}: do less in it"
        yield f"{_path(technique)}: a full run takes {longest:.0f} s of CPU time, {most}"
    if seconds is not None:
        low, high = sorted(max(each, SHORT) for each in (seconds, took))
        if high > OFF * low:
            where = declared(technique, ("lab",), "seconds") if technique.lab else place(_path(technique), "seconds=")
            yield f"{where}: it says that a full run takes {seconds:.4g} s of CPU time; it takes {took:.1f} s here"


def _run(
    technique: Technique,
    registry: Registry,
    server: ForkServer,
    sources: Mapping[str, str],
    *,
    seed: int = 0,
    quick: bool = True,
) -> LabRun:
    return run_lab(technique, registry, server, sources, seed=seed, quick=quick, watch=lambda done, points: None)


def _path(technique: Technique) -> Path:
    return technique.files.folder / "lab.py"


def _mark(technique: Technique) -> str:
    return declared(technique, ("lab", "mark"), "Mark(") if technique.lab else place(_path(technique), "Mark(")


def _uses(technique: Technique, text: str) -> str:
    """Return the place of ``text`` in the lab's declaration: in the manifest, or in lab.py."""
    if technique.lab:
        return declared(technique, ("lab", "uses"), text)
    return place(_path(technique), text)


def _found(ran: LabRun, path: Path) -> Iterator[str]:
    if not ran.outcome.figures:
        yield f"{path}: its outcome has no figure: measure what the technique is known for"
    if not ran.points and not ran.bars:
        yield f"{path}: it draws nothing: call bench.point(...) or bench.bar(...)"
    for figure in ran.outcome.figures:
        if not math.isfinite(figure.value):
            yield f"{place(path, figure.name['en'])}: the figure {figure.name['en']!r} is {figure.value}"
