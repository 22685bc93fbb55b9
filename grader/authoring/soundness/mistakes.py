"""Rules: every misconception is found at every seed; every property finds a mistake, and only what it speaks of."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from groundup.grader.authoring.mutants import mutants, sampled
from groundup.grader.authoring.nudged import nudged
from groundup.grader.authoring.proof import beside_the_claim
from groundup.grader.authoring.soundness.places import Found, place
from groundup.grader.judging.edits import load_edits
from groundup.grader.judging.inputs import INPUTS
from groundup.grader.judging.plan import EXAMPLES, Plan
from groundup.grader.judging.proof import shares_of
from groundup.grader.judging.properties import Properties, load_reference

if TYPE_CHECKING:
    from groundup.grader.authoring.examined import Examined

__all__ = ["misconceptions", "properties", "shares", "shares_of_mutants"]

RARE = 0.003  # of gradings that would miss a mistake, by the shares of draws in which properties find it
FURTHER_SEEDS = 25  # for mistakes that are missed more often than that
THOROUGH_SEEDS = 200
AT_ONCE = 5  # seeds a part
FIRST = 3  # properties tried alone, before all of them
MUTANTS_TRIED = 60  # for properties that find no misconception
ROOM = 0.01  # the largest absolute tolerance, as a share of the largest number drawn

Shares = Mapping[str, Mapping[str, float]]
"""By mistake and property: the share of the property's draws in which it finds the mistake."""


def misconceptions(check: Examined) -> Found:
    """Find misconceptions that pass at some seed."""
    path, every = check.technique.files.misconceptions, load_edits(check.technique)
    ids = [e.id for e in every if e.kind == "misconception"]
    for edit in every:
        check.edited(edit.id)  # raises for an edit that does not fit the solution
    if not ids:
        return "", [f"{path}: no [[misconception]]: name what learners get wrong"]
    if check.quickly:
        return _found_as_before(check, ids)
    found = shares(check)
    seeds = list(check.seeds)
    todo = [(i, _best(found[i]), seeds[bool(found[i]) :]) for i in ids]
    passed = dict(zip(ids, check.team.do("misconceptions", survived, todo), strict=True))
    properties = len(Properties(check.technique).names)
    rare = [i for i in ids if _missed(found[i], properties) > RARE and not passed[i]]
    more = ids if check.thorough else rare
    first, count = check.seeds[-1] + 1, THOROUGH_SEEDS if check.thorough else FURTHER_SEEDS
    parts = [range(at, min(at + AT_ONCE, first + count)) for at in range(first, first + count, AT_ONCE)]
    further = [(i, _best(found[i]), part) for i in more for part in parts]
    for (i, *_), seeds_passed in zip(further, check.team.do("misconceptions", survived, further), strict=True):
        passed[i] = passed[i] + seeds_passed
    detail = f"{len(ids)} misconceptions, {len(check.seeds)} seeds"
    if more:
        detail += f", {len(more)} of them at {count} more"
    return detail, _grouped(check, passed)


def properties(check: Examined) -> Found:
    """Find properties that detect nothing, or more than they speak of, or whose tolerance hides what they look for."""
    names = Properties(check.technique).names
    found = shares(check)
    idle = [name for name in names if not any(name in by for by in found.values())]
    by_mutants = _found_by_mutants(check, set(idle)) if idle else set()
    detail = f"{len(names)} properties"
    if by_mutants:
        detail += f", {len(by_mutants)} of which by mutants alone: {', '.join(sorted(by_mutants))}"
    problems = [
        f"{check.of(name)}: {name} finds no misconception out, and no mutant: sharpen it, name what it is for, or "
        "drop it"
        for name in idle
        if name not in by_mutants
    ]
    problems += [
        f"{check.of(name)}: {name} speaks of {Properties(check.technique).topic(name)} alone, and finds "
        f"{', '.join(mistakes)}: compare nothing else in it, or say in proof.toml, under [argued], why it does"
        for name, mistakes in beside_the_claim(check.technique, {i: set(by) for i, by in found.items()}).items()
    ]
    [wide] = check.team.do("properties", tolerances, [None])
    if wide:
        told = "; ".join(f"{name}: {atol:g} where the largest number drawn is {size:g}" for name, atol, size in wide)
        problems.append(
            f"{check.of(wide[0][0])}: an absolute tolerance above {ROOM:.0%} of what is drawn hides wrong answers: "
            f"{told}"
        )
    [exact] = check.team.do("properties", bit_for_bit, [None])
    if exact:
        problems.append(
            f"{check.of(exact[0])}: {', '.join(exact)} compares with the reference bit for bit: a right implementation "
            "that adds in another order falls short; use a tolerance"
        )
    return detail, problems


def shares(check: Examined) -> Shares:
    """Return at which share of its draws each property finds each misconception, with the check's first seed."""

    def measured() -> Shares:
        ids = [e.id for e in load_edits(check.technique) if e.kind == "misconception"]
        return dict(zip(ids, check.team.do("misconceptions", found_by, ids), strict=True))

    return check.once("shares", measured)


def shares_of_mutants(check: Examined) -> Shares:
    """Return which properties detect each mutant by its answers, with a share of 1."""
    every = mutants(check.solution_text)
    found = check.team.do("mutants", mutant_found_by, [m.source for m in every])
    return {f"{m.line}: {m.what}": dict.fromkeys(sorted(by), 1.0) for m, by in zip(every, found, strict=True)}


def found_by(check: Examined, mistake: str) -> dict[str, float]:
    """Return the properties that find a mistake, each with the share of its draws."""
    return check.draws(check.seeds[0]).found(check.implementation(check.edited(mistake)))


def survived(check: Examined, item: tuple[str, Sequence[str], Sequence[int]]) -> list[int]:
    """Return the seeds with which a mistake passes. ``item``: the mistake, the likeliest properties, the seeds."""
    mistake, likeliest, seeds = item
    source = check.edited(mistake)
    implementation = check.implementation(source)
    return [
        seed
        for seed in seeds
        if not any(check.finds(implementation, name, seed) for name in likeliest) and check.survives(source, seed)
    ]


def mutant_found_by(check: Examined, source: str) -> set[str]:
    """Return the properties that find a mutant by its answers. One that raises does not count: every property fails."""
    results = check.results_apart(source, Plan(check.seeds[0], check.judge.lang, independent=True)) or []
    return {r.id for r in results if r.status == "failed" and not (r.message or "").startswith("it raised ")}


def tolerances(check: Examined, _: None) -> list[tuple[str, float, float]]:
    """Return the properties whose absolute tolerance is large beside what they draw, with both."""
    found = check.draws(check.seeds[0]).tolerances()
    return [(name, atol, size) for name, (atol, size) in found.items() if atol > ROOM * size]


def bit_for_bit(check: Examined, _: None) -> list[str]:
    """Return the properties that find the solution wrong when its numbers move by one unit in the last place.

    Only those that take the reference: of numbers that are moved rather than computed, a property may ask exactness.
    """
    tests = Properties(check.technique).functions
    found = check.draws(check.seeds[0]).found(nudged(load_reference(check.technique)))
    return [
        name for name in found if name != INPUTS and "reference" in inspect.signature(tests[f"test_{name}"]).parameters
    ]


def _found_as_before(check: Examined, ids: Sequence[str]) -> Found:
    """Try each mistake on the property that found it last, and only then on all."""
    before = shares_of(check.technique)
    todo = [(i, _best(before.get(i, {})), list(check.seeds[:1])) for i in ids]
    passed = dict(zip(ids, check.team.do("misconceptions", survived, todo), strict=True))
    return f"{len(ids)} misconceptions, first on what found them last", _grouped(check, passed)


def _found_by_mutants(check: Examined, idle: set[str]) -> set[str]:
    """Return the subset of the ``idle`` properties that find a mutant."""
    tried = sampled(mutants(check.solution_text), MUTANTS_TRIED, check.seeds[0])
    found: set[str] = set()
    step = 8
    for at in range(0, len(tried), step):
        for by in check.team.do("properties", mutant_found_by, [m.source for m in tried[at : at + step]]):
            found |= by
        if found >= idle:
            break
    return found & idle


def _missed(found: Mapping[str, float], properties: int) -> float:
    """Return how likely a grading misses a mistake that some of its properties find in these shares of their draws."""
    cases = {INPUTS: EXAMPLES * properties}  # inputs are watched in the cases of all properties
    return math.prod((1 - share) ** cases.get(name, EXAMPLES) for name, share in found.items())


def _best(found: Mapping[str, float]) -> list[str]:
    names = sorted((name for name in found if name != INPUTS), key=lambda name: -found[name])
    return names[:FIRST]


def _grouped(check: Examined, passed: Mapping[str, Sequence[int]]) -> list[str]:
    """Return a problem for each set of seeds: the mistakes that pass with them."""
    by_seeds: dict[tuple[int, ...], list[str]] = {}
    for mistake, seeds in passed.items():
        if seeds:
            by_seeds.setdefault(tuple(seeds), []).append(mistake)
    problems = []
    for seeds, mistakes in by_seeds.items():
        at = place(check.technique.files.misconceptions, f'"{mistakes[0]}"')
        with_them = "seed " + str(seeds[0]) if len(seeds) == 1 else f"{len(seeds)} seeds, {_few(seeds)}"
        verb = "passes" if len(mistakes) == 1 else "pass"
        problems.append(f"{at}: {', '.join(mistakes)} {verb} with {with_them}: add or sharpen a property")
    return problems


def _few(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds[:5])) + (" ..." if len(seeds) > 5 else "")
