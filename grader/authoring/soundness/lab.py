"""Rule: the lab runs in quick mode within a time limit, with an attempt in a process of its own."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from groundup.core.errors import LabStopped
from groundup.core.lab import Outcome
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.authoring.soundness.pace import allowed
from groundup.grader.authoring.soundness.places import Found, declared, place
from groundup.grader.learner.lab import LabRun, has_lab, load_lab, run_lab
from groundup.grader.process.fork_server import ForkServer

LONGEST = 20.0  # seconds


def check(technique: Technique, registry: Registry, server: ForkServer) -> Found:
    """Run the lab as ``learn run --quick`` does, with the solution as the attempt."""
    path = technique.files.folder / "lab.py"
    if not has_lab(technique):
        return "", [f"there is no lab: expected it at {path}"]
    lab, _ = load_lab(technique)
    if technique.id not in lab.uses:
        return "", [f"{_uses(technique, 'uses')}: the lab does not use {technique.id!r}, which it is the lab of"]
    if unknown := [i for i in lab.uses if i not in registry.techniques]:
        return "", [f"{_uses(technique, unknown[0])}: the lab uses {unknown[0]!r}, and there is no such technique here"]
    began = time.monotonic()
    source = technique.files.solution.read_text(encoding="utf-8")
    try:
        ran = run_lab(
            technique, registry, server, {technique.id: source}, seed=0, quick=True, watch=lambda done, points: None
        )
    except LabStopped as stopped:
        return "", [f"{path}: with the solution as an attempt, it stops: {stopped}"]
    except Exception as error:  # the lab itself may raise anything
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        return "", [f"{path}:{lines[-1] if lines else 1}: it raises {type(error).__name__}: {error}"]
    seconds = time.monotonic() - began
    problems = list(_found(ran, path))
    if seconds > LONGEST and seconds > (most := allowed(LONGEST)):
        at = place(path, "bench.quick")
        problems.append(f"{at}: the quick mode takes {seconds:.0f} s, at most {most:.0f}: do fewer steps of it")
    return f"quick mode in {seconds:.1f} s", problems


def _uses(technique: Technique, text: str) -> str:
    """Return the place of ``text`` in the lab's declaration: in the manifest, or in lab.py."""
    if technique.lab:
        return declared(technique, ("lab", "uses"), text)
    return place(technique.files.folder / "lab.py", text)


def _found(ran: LabRun, path: Path) -> Iterator[str]:
    outcome: Outcome = ran.outcome
    if not outcome.figures:
        yield f"{path}: its outcome has no figure: measure what the technique is known for"
    if not ran.points and not ran.bars:
        yield f"{path}: it draws nothing: call bench.point(...) or bench.bar(...)"
    for figure in outcome.figures:
        if not math.isfinite(figure.value):
            yield f"{place(path, figure.name['en'])}: the figure {figure.name['en']!r} is {figure.value}"
