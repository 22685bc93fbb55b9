"""Rules: the solution passes at every seed, and is graded quickly; no clock and no unseeded chance decides."""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from groundup.core.technique import Technique
from groundup.grader.authoring.soundness.pace import allowed
from groundup.grader.authoring.soundness.places import Found
from groundup.grader.judging.plan import Plan
from groundup.grader.judging.properties import load_reference
from groundup.grader.judging.verdict import PropertyResult, Verdict
from groundup.grader.process.clock import seconds_of_attempts

if TYPE_CHECKING:
    from groundup.grader.authoring.examined import Examined

__all__ = ["budget", "graded", "solution"]

LONGEST_GRADE = 3.0  # seconds of CPU time to grade the solution once the fork server is ready
HERE, HERE_THOROUGHLY = 10, 200  # seeds in this process
AT_ONCE = 3  # seeds a part
CLOCKS = ("time", "datetime", "timeit")
CHANCE = ("random", "secrets", "uuid")
DRAWN_BY_TORCH = (
    "rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "normal", "bernoulli",
    "multinomial", "poisson",
)  # fmt: skip


def solution(of: Examined) -> Found:
    """Find seeds at which the solution does not pass, and properties that a clock or unseeded chance decides."""
    problems = list(_lint(of.technique))
    failed: dict[str, dict[str, list[int]]] = {}
    for verdict, _ in _gradings(of):
        if verdict.problem:
            return "", [f"{of.technique.files.solution}: {verdict.problem}"]
        _note(failed, verdict.seed, verdict.properties)
    first, count = of.seeds[-1] + 1, HERE_THOROUGHLY if of.thorough else HERE
    here = range(first, first + count)
    parts = [here[at : at + AT_ONCE] for at in range(0, count, AT_ONCE)]
    for found in of.team.do("solution", run_here, parts):
        for seed, results in found:
            _note(failed, seed, results)
    for name, ways in failed.items():
        for ended, seeds in ways.items():
            tried = len(of.seeds) + count
            told = f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} of {tried} seeds, the first {seeds[0]}"
            problems.append(f"{of.of(name)}: with {told}, {name} {ended}")
    return f"{len(of.seeds)} seeds in a process of its own, {count} in this one", problems


def budget(of: Examined) -> Found:
    """Find a solution that takes too long to grade."""
    fastest = min(seconds for _, seconds in _gradings(of))
    if fastest > LONGEST_GRADE and fastest > (most := allowed(LONGEST_GRADE)):
        return "", [
            f"{of.technique.files.properties}: a grade of the solution takes {fastest:.1f} s, at most {most:.0f}: draw "
            "smaller cases, or make the slow way that is compared with faster"
        ]
    return f"{fastest:.2f} s of CPU time a grade", []


def graded(of: Examined, seed: int) -> tuple[Verdict, float]:
    """Grade the solution; return the verdict, and the seconds of CPU time that it took.

    It is graded twice with the first seed: the first grading of a process loads modules.
    """
    if seed == of.seeds[0]:
        of.judge.rehearse(of.technique)
    began = time.process_time() + seconds_of_attempts()
    verdict = of.judge.grade(of.technique, of.solution_text, "solution.py", seed=seed).verdict
    return verdict, time.process_time() + seconds_of_attempts() - began


def run_here(of: Examined, seeds: range) -> list[tuple[int, list[PropertyResult]]]:
    """Return the results of the properties that do not hold for the solution, by seed."""
    reference = load_reference(of.technique)
    found = []
    for seed in seeds:
        results = of.judge.results_here(of.technique, reference, Plan(seed, of.judge.lang, independent=True))
        if wrong := [r for r in results if r.status != "held"]:
            found.append((seed, wrong))
    return found


def _gradings(of: Examined) -> list[tuple[Verdict, float]]:
    return of.once("gradings", lambda: of.team.do("solution", graded, of.seeds))


def _note(
    failed: dict[str, dict[str, list[int]]], seed: int, results: tuple[PropertyResult, ...] | list[PropertyResult]
) -> None:
    for result in results:
        if result.status != "held":
            failed.setdefault(result.id, {}).setdefault(ended(result), []).append(seed)


def ended(result: PropertyResult) -> str:
    """Return how a property ended, as the predicate of a sentence."""
    return f"ended as {result.status.replace('_', ' ')!r}" + (f": {result.message}" if result.message else "")


def _lint(technique: Technique) -> Iterator[str]:
    """Yield uses of clocks and of chance that hypothesis does not control."""
    path = technique.files.properties
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            for module in modules:
                if module.partition(".")[0] in CLOCKS:
                    yield f"{path}:{node.lineno}: it reads a clock ({module}): a busy machine would decide the property"
                if module.partition(".")[0] in CHANCE or module == "numpy.random":
                    yield f"{path}:{node.lineno}: chance of its own ({module}): draw with hypothesis, to be replayed"
        if isinstance(node, ast.Call) and (drawn := _drawn_outside(node)):
            yield f"{path}:{node.lineno}: chance of its own ({drawn}): draw with hypothesis, or give a seeded generator"


def _drawn_outside(call: ast.Call) -> str:
    """Return the name of a function that draws from the global generator of torch or numpy; empty for others."""
    name = ast.unparse(call.func)
    module, _, function = name.rpartition(".")
    seeded = any(keyword.arg == "generator" for keyword in call.keywords)
    by_torch = module == "torch" and function in DRAWN_BY_TORCH and not seeded
    by_numpy = module in ("np.random", "numpy.random") and function not in ("default_rng", "Generator")
    return name if by_torch or by_numpy else ""
