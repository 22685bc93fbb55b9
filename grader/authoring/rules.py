"""The rules of soundness: what each asks of a technique, and which files it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from groundup.core.tensors import tensors_in
from groundup.core.testing.ranks import as_impl
from groundup.grader.authoring.cheats import CALLS, NAMES, cheat
from groundup.grader.authoring.examined import Examined
from groundup.grader.authoring.review import unread
from groundup.grader.authoring.soundness import (
    conventions,
    examples,
    hints,
    holes,
    imports,
    interface,
    lab,
    languages,
    leak,
    lesson,
    manifest,
    mistakes,
    mutation,
    quiz,
    solution,
    sources,
)
from groundup.grader.authoring.soundness.places import Found, built_in
from groundup.grader.authoring.stubs import stub_of
from groundup.grader.judging.local import LocalAttempt
from groundup.grader.judging.plan import Plan
from groundup.grader.judging.properties import Properties, load_reference
from groundup.grader.judging.property_run import PropertyRun
from groundup.grader.judging.subject import Subject

__all__ = ["MEASURED", "RULES", "Rule"]


@dataclass(frozen=True)
class Rule:
    """A rule of soundness."""

    says: str
    """What holds of a technique that keeps it."""
    find: Callable[[Examined], Found]
    reads: frozenset[str]
    """The kinds of files that it looks at: see :func:`groundup.grader.authoring.proof.kind_of`."""
    spreads: bool = False
    """Whether it spreads its parts over the crew itself. Any other is one part."""
    apart: bool = False
    """Whether it is run only when asked for, or when what it reads has changed."""


def _exercise(of: Examined) -> Found:
    path, name = of.technique.files.exercise, of.technique.name
    if not path.is_file() or path.read_text(encoding="utf-8") != stub_of(of.technique):
        return "", [f"{path} is not what the solution makes: 'learn author stubs {name}' writes it"]
    return "", []


def _stub(of: Examined) -> Found:
    verdict = of.graded(stub_of(of.technique))
    if verdict.problem:
        return "", [f"the stub ends as {verdict.outcome!r}: {verdict.problem}"]
    wrong = [p for p in verdict.properties if p.status not in ("not_started", "not_reached")]
    return "", [
        f"{of.of(p.id)}: {p.id} needs no hole filled: on the stub it {solution.ended(p)}; "
        "have it call what a hole makes"
        for p in wrong
    ]


def _cheats(of: Examined) -> Found:
    sources = cheating(of)
    passed = [
        name
        for name, passes in zip(sources, of.team.do("cheats", mutation.passes, sources.values()), strict=True)
        if passes
    ]
    told = f"the cheat {passed[0]!r} passes" if len(passed) == 1 else f"the cheats {', '.join(map(repr, passed))} pass"
    problem = f"{of.technique.files.properties}: {told} with seed {of.seeds[0]}: add or sharpen a property"
    return f"{len(sources)} cheats", [problem] if passed else []


def cheating(of: Examined) -> dict[str, str]:
    """Return the sources of the cheats by name; without cheats on floats if no answer contains a float."""
    names = CALLS if _answers_hold_no_float(of) else NAMES
    return {name: cheat(of.technique, of.solution_text, load_reference(of.technique), name) for name in names}


def _answers_hold_no_float(of: Examined) -> bool:
    """Whether changing the floats of every answer has no effect, as there are none."""
    reference = load_reference(of.technique)
    local = LocalAttempt(as_impl(of.technique, of.implementation(of.solution_text)))
    plan = Plan(of.seeds[0], examples=5, independent=True)
    PropertyRun(Properties(of.technique), Subject(local.impl, local), reference, plan).run()
    return not any(x.is_floating_point() for answer in local.trace for x in tensors_in(answer))


def _reviewed(of: Examined) -> Found:
    left = unread(of.technique, of.registry)
    told = f"{len(left)} items to read" if left else "all is read"
    if not left or not built_in(of.technique):
        return told, []
    kinds = ", ".join(f"{sum(i.kind == kind for i in left)} {kind}" for kind in dict.fromkeys(i.kind for i in left))
    return told, [
        f"{of.technique.files.folder / 'reviewed.toml'}: nobody has read {len(left)} items ({kinds}) as they are "
        f"now: 'learn author review {of.technique.name}', by someone who did not write them"
    ]


def _kinds(*names: str) -> frozenset[str]:
    return frozenset(names)


_CODE = _kinds("core", "solution", "properties")
_MISTAKES = _CODE | {"misconceptions", "argued"}
MEASURED = _MISTAKES - {"argued"}
"""The kinds of files that the recorded matrix depends on."""

RULES: dict[str, Rule] = {
    "manifest": Rule(
        "every hole has hints, every source names a place; nothing is missing",
        lambda c: manifest.check(c.technique, c.registry), _kinds("manifest", "solution"),
    ),
    "imports": Rule(
        "no solution of others, and no torch at import of the manifest",
        lambda c: imports.check(c.technique, c.registry),
        _kinds("manifest", "solution", "properties", "lab", "lesson", "quiz"),
    ),
    "interface": Rule(
        "the class fulfils its interface; every tensor has a shape",
        lambda c: interface.check(c.technique, load_reference(c.technique)), _kinds("core", "manifest", "solution"),
    ),
    "exercise": Rule("the exercise on disk is what the solution generates", _exercise, _kinds("exercise", "solution")),
    "leak": Rule(
        "no statement of a hole stands anywhere else in the exercise",
        lambda c: leak.check(c.technique, c.solution_text, stub_of(c.technique)), _kinds("solution"),
    ),
    "stub": Rule("the stub ends 'not started'", _stub, _CODE),
    "solution": Rule("the solution passes with every seed; no clock decides", solution.solution, _CODE, spreads=True),
    "hints": Rule(
        "the stub, filled with the code of the last hints, passes",
        lambda c: hints.check(c.technique, c.solution_text, c.graded), _CODE | {"manifest"},
    ),
    "holes": Rule(
        "each hole is judged when it and those before it are filled",
        holes.check, _MISTAKES, spreads=True,
    ),
    "budget": Rule("it is graded in less than 3 seconds", solution.budget, _CODE, spreads=True),
    "misconceptions": Rule(
        "every misconception is detected with every seed", mistakes.misconceptions, _MISTAKES, spreads=True
    ),
    "mutants": Rule("small changes of the solution are detected", mutation.check, _MISTAKES, spreads=True),
    "conventions": Rule(
        "conventions are refused or pass as they say; right ones pass", conventions.check, _MISTAKES | {"right"},
        spreads=True,
    ),
    "cheats": Rule("zeros, flipped signs, changed inputs ... are detected", _cheats, _CODE, spreads=True),
    "properties": Rule(
        "every property detects some mistake, and no tolerance is wide", mistakes.properties, _MISTAKES, spreads=True
    ),
    "examples": Rule(
        "the solution gives the numbers that were found independently", lambda c: examples.check(c.technique),
        _kinds("core", "solution", "examples", "manifest"),
    ),
    "lesson": Rule(
        "it has its parts, its code runs, and both of its views are right", lambda c: lesson.check(c.technique),
        _kinds("lesson", "manifest", "examples"),
    ),
    "quiz": Rule(
        "it can be read, its answers are right, its form tells nothing",
        lambda c: quiz.check(c.technique, c.registry, c.judge.server), _kinds("quiz", "lesson", "examples"),
    ),
    "sources": Rule(
        "addresses and papers can exist, library files have a version", lambda c: sources.check(c.technique),
        _kinds("manifest", "lesson", "quiz"),
    ),
    "languages": Rule(
        "texts that exist in two languages say the same", lambda c: languages.check(c.technique, c.registry),
        _kinds("manifest", "lesson", "properties", "misconceptions", "quiz", "lab"),
    ),
    "lab": Rule(
        "its quick mode is short, and measures the learner's code", lab.lab, _MISTAKES | {"lab", "manifest"},
        spreads=True,
    ),
    "lab-full": Rule(
        "the reference reaches the mark, the foil misses it, at 5 seeds", lab.lab_full, _kinds("lab"), spreads=True,
        apart=True,
    ),
    "reviewed": Rule(
        "a second reader has read what no machine can see", _reviewed,
        _kinds("manifest", "lesson", "properties", "misconceptions", "quiz", "reviewed"),
    ),
}  # fmt: skip
