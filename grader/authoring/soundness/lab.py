"""Rules: in quick mode the lab runs the learner's code; in full the reference reaches its mark, and the foil misses it.

In quick mode, an attempt equal to the solution measures what the reference does, a stub stops the lab, and a mistake
moves its figures: a lab that ignores the attempt does neither.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from groundup.core.errors import AttemptDied, LabStopped, PluginProblem
from groundup.core.lab import Foil
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.authoring.soundness.mistakes import shares
from groundup.grader.authoring.soundness.pace import allowed
from groundup.grader.authoring.soundness.places import Found, built_in, declared, place
from groundup.grader.authoring.stubs import stub_of
from groundup.grader.judging.edits import load_edits, replaced
from groundup.grader.learner.lab import LabRun, has_lab, load_lab, run_lab
from groundup.grader.process.fork_server import ForkServer

if TYPE_CHECKING:
    from groundup.grader.authoring.examined import Examined

__all__ = ["check", "lab", "lab_full"]

LONGEST = 20.0  # seconds
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
    """Find seeds at which, in full mode, the reference misses the mark, or the foil reaches it."""
    if not has_lab(of.technique):
        return "no lab", []
    where = declared(of.technique, ("lab",), "LAB")
    declared_lab, _ = load_lab(of.technique)
    if declared_lab.foil is None and not built_in(of.technique):
        return "no foil: its mark is not judged", []
    if declared_lab.foil is None:
        return "", [f"{where}: no [lab.foil]: declare the variant that lacks the mechanism, and so misses the mark"]
    runs = [(who, seed) for seed in SEEDS for who in ("reference", "foil")]
    reached = dict(zip(runs, of.team.do("lab-full", _full_run, runs), strict=True))
    missed = [seed for seed in SEEDS if not reached["reference", seed]]
    problems = []
    if missed:
        problems.append(f"{_mark(of.technique)}: the reference misses the mark at the seeds {missed}, of {len(SEEDS)}")
    if found := [seed for seed in SEEDS if reached["foil", seed]]:
        problems.append(f"{_mark(of.technique)}: the foil reaches the mark at the seeds {found}, of {len(SEEDS)}")
    return f"{len(SEEDS)} seeds, with the reference and with the foil", problems


def check(technique: Technique, registry: Registry, server: ForkServer) -> Found:
    """Run the lab as ``learn run --quick`` does, with the solution as the attempt, and as the reference."""
    path = _path(technique)
    declared_lab, _ = load_lab(technique)
    if technique.id not in declared_lab.uses:
        return "", [f"{_uses(technique, 'uses')}: the lab does not use {technique.id!r}, which it is the lab of"]
    if unknown := [i for i in declared_lab.uses if i not in registry.techniques]:
        return "", [f"{_uses(technique, unknown[0])}: the lab uses {unknown[0]!r}, and there is no such technique here"]
    began = time.monotonic()
    try:
        ran = _run(technique, registry, server, {technique.id: technique.files.solution.read_text(encoding="utf-8")})
        seconds = time.monotonic() - began
        reference = _run(technique, registry, server, {})
    except LabStopped as stopped:
        return "", [f"{path}: with the solution as an attempt, it stops: {stopped}"]
    except Exception as error:  # the lab itself may raise anything
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        return "", [f"{path}:{lines[-1] if lines else 1}: it raises {type(error).__name__}: {error}"]
    problems = list(_found(ran, path))
    if not problems and ran.outcome.figures != reference.outcome.figures:
        problems.append(f"{path}: an attempt equal to the solution measures other figures than the reference")
    if seconds > LONGEST and seconds > (most := allowed(LONGEST)):
        at = place(path, "bench.quick")
        problems.append(f"{at}: the quick mode takes {seconds:.0f} s, at most {most:.0f}: do fewer steps of it")
    return f"quick mode in {seconds:.1f} s", problems


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


def _full_run(of: Examined, item: tuple[str, int]) -> bool:
    """Return whether a full run with the reference or the foil reaches the mark."""
    who, seed = item
    declared_lab, _ = load_lab(of.technique)
    foil = declared_lab.foil
    sources = {foil.technique: _foil_source(of, foil)} if who == "foil" and foil else {}
    try:
        ran = _run(of.technique, of.registry, of.judge.server, sources, seed=seed, quick=False)
    except LabStopped:
        return False
    if ran.outcome.mark is None:
        raise PluginProblem("{path}: it reports no mark in full mode", path=_path(of.technique))
    return ran.outcome.mark.reached


def _foil_source(of: Examined, foil: Foil) -> str:
    technique = of.registry.technique(foil.technique)
    solution, path = technique.files.solution.read_text(encoding="utf-8"), technique.files.solution
    if foil.edit is not None:
        return replaced(solution, foil.within or "", *foil.edit, f"the foil of {of.technique.id}")
    edit = next((e for e in load_edits(technique) if e.id == foil.misconception), None)
    if edit is None:
        raise PluginProblem(
            "{path}: the foil names the misconception {name!r}, which {id} does not have",
            path=of.technique.files.manifest,
            name=foil.misconception,
            id=technique.id,
        )
    return edit.apply(solution, str(path))


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
