"""Reproduces the case on which an attempt failed, for ``learn replay`` and ``learn dispute``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from groundup.cli.context import attempt_in, demand_containment, open_state, shown, workspace_for
from groundup.core.errors import UsageProblem

if TYPE_CHECKING:
    from groundup.core.technique import Technique
    from groundup.grader.judging.judge import Replayed
    from groundup.grader.judging.verdict import Verdict

__all__ = ["Failing", "failing"]


@dataclass(frozen=True)
class Failing:
    """A failing case that was run again: its attempt, its seed and its result."""

    technique: Technique
    path: Path
    source: str
    seed: int
    thorough: bool
    replayed: Replayed


def failing(technique: Technique, name: str | None, file: Path | None, seed: int | None, lang: str) -> Failing:
    """Run again the case on which property ``name``, or else the first failing one, failed in the latest grading.

    With ``seed``, its cases are drawn instead. Raises UsageProblem if nothing failed or nothing was graded.
    """
    from groundup.grader.process.fork_server import ForkServer

    with ForkServer() as server:
        from groundup.grader.judging.judge import Judge
        from groundup.grader.judging.plan import THOROUGH_EXAMPLES
        from groundup.grader.process.text import read_attempt

        judge = Judge(server, lang)
        thorough = False
        if file is None:
            workspace = workspace_for(technique)
            demand_containment(workspace)
            path = Path(shown(attempt_in(workspace, technique)))
            with open_state(workspace) as state:
                last = next(iter(state.verdicts(technique.id)), None)
                kept = state.cases(technique.id)
            if last is None:
                raise UsageProblem("Nothing is graded yet: 'learn grade {name}' finds the case.", name=technique.name)
            cases = kept if seed in (None, last.seed) else None
            seed, thorough = last.seed if seed is None else seed, last.examples == THOROUGH_EXAMPLES
            name = name or _first_failed(technique, last)
        elif seed is None:
            raise UsageProblem(
                "--attempt needs the --seed of a grading: 'learn grade {name}' prints it.", name=technique.name
            )
        else:
            path, cases = file, None
        source = read_attempt(path)
        if name is None:
            grading = judge.grade(technique, source, str(path), seed=seed)
            name, cases = _first_failed(technique, grading.verdict), grading.cases
        replayed = judge.replay(technique, source, str(path), property=name, seed=seed, thorough=thorough, cases=cases)
    return Failing(technique, path, source, seed, thorough, replayed)


def _first_failed(technique: Technique, verdict: Verdict) -> str:
    failed = [p.id for p in verdict.properties if p.status in ("failed", "died")]
    if not failed:
        raise UsageProblem("No property of {id} failed in that grading.", id=technique.id)
    return failed[0]
