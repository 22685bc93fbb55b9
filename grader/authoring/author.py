"""Checks that a technique is sound: its stub is 'not started', its solution passes, wrong versions are detected."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from groundup.core.errors import AttemptDied, AttemptRaised, GroundupError, UnknownName
from groundup.core.messages import Message
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.core.tensors import tensors_in
from groundup.core.testing.modules import module_from_source
from groundup.core.testing.ranks import as_impl
from groundup.grader.authoring.cheats import CALLS, NAMES, cheat
from groundup.grader.authoring.mutants import mutants as every_mutant
from groundup.grader.authoring.proof import beside_the_claim
from groundup.grader.authoring.soundness import hints, holes, imports, interface, lab, languages, lesson, manifest, quiz
from groundup.grader.authoring.soundness.pace import allowed
from groundup.grader.authoring.soundness.places import Found, place
from groundup.grader.judging.edits import load_edits
from groundup.grader.judging.exercise import stub
from groundup.grader.judging.judge import Judge
from groundup.grader.judging.local import LocalAttempt
from groundup.grader.judging.plan import Plan
from groundup.grader.judging.properties import Properties, load_reference
from groundup.grader.judging.property_run import PropertyRun
from groundup.grader.judging.subject import Subject
from groundup.grader.judging.verdict import PropertyResult, Verdict

LONGEST_GRADE = 3.0  # seconds to grade the solution once the fork server is ready
MUTANTS_TRIED = 60  # for properties that detect no misconception


@dataclass(frozen=True)
class Finding:
    """The outcome of one rule for one technique; ``problems`` say what is wrong, where, and how to fix it."""

    technique: str
    rule: str
    problems: tuple[str, ...]
    detail: str = ""


def write_stub(technique: Technique) -> bool:
    """Write the exercise generated from the solution; return whether that changed the file."""
    text = stub(technique.files.solution.read_text(encoding="utf-8"), str(technique.files.solution))
    path = technique.files.exercise
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    if technique.package.startswith("groundup.plugins.") and not (path.parent / "__init__.py").exists():
        (path.parent / "__init__.py").write_text(f'"""Stubs of the track {technique.track}."""\n', encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    return True


class Check:
    """The rules, each a method that finds problems in one technique."""

    RULES = (
        "manifest", "imports", "interface", "exercise", "stub", "solution", "hints", "holes", "budget",
        "misconceptions", "cheats", "properties", "lesson", "quiz", "languages", "lab",
    )  # fmt: skip

    def __init__(
        self,
        judge: Judge,
        technique: Technique,
        *,
        seeds: int = 3,
        first_seed: int = 0,
        rules: Iterable[str] = (),
        registry: Registry | None = None,
    ) -> None:
        """Prepare to run ``rules``, by default all. ``registry`` has the other techniques, by default all installed.

        Raises UnknownName for a rule that does not exist.
        """
        self.judge, self.technique = judge, technique
        self.seeds = range(first_seed, first_seed + seeds)
        for rule in rules:
            if rule not in self.RULES:
                raise UnknownName(Message("rule"), rule, self.RULES, Message("There are {names}.", names=self.RULES))
        chosen = set(rules)
        self.rules = tuple(rule for rule in self.RULES if not chosen or rule in chosen)
        self._registry = registry
        self._seconds: list[float] = []
        """The duration of each grading of the solution."""
        self._killers: dict[str, set[str]] | None = None

    def findings(self) -> Iterator[Finding]:
        """Run every rule. A rule that raises is a finding, too."""
        for rule in self.rules:
            try:
                detail, problems = getattr(self, rule)()
            except GroundupError as error:
                detail, problems = "", [str(error)]
            except (Exception, AttemptDied) as error:  # a plugin's file may raise anything
                detail, problems = "", [f"{type(error).__name__}: {error}"]
            yield Finding(self.technique.id, rule, tuple(problems), detail)

    @cached_property
    def registry(self) -> Registry:
        """Everything that is installed, plus the technique, which may not be installed."""
        found = self._registry or Registry()
        found.techniques.setdefault(self.technique.id, self.technique)
        return found

    @property
    def solution_text(self) -> str:
        """The solution as it is on disk."""
        return self.technique.files.solution.read_text(encoding="utf-8")

    def manifest(self) -> Found:
        """Every hole has its hints, every source a precise place; nothing is missing."""
        return manifest.check(self.technique, self.registry)

    def imports(self) -> Found:
        """The solution imports only what attempts may, the plugin no solution, the manifest no torch."""
        return imports.check(self.technique, self.registry)

    def interface(self) -> Found:
        """The public class implements its interface; public names are annotated, tensors with shapes."""
        return interface.check(self.technique, self._reference())

    def lesson(self) -> Found:
        """The lesson has its required parts, its code runs, its links have targets."""
        return lesson.check(self.technique)

    def quiz(self) -> Found:
        """The quiz can be read, and its answers are right."""
        return quiz.check(self.technique, self.registry)

    def languages(self) -> Found:
        """Texts in two languages correspond."""
        return languages.check(self.technique, self.registry)

    def lab(self) -> Found:
        """The lab runs in quick mode."""
        return lab.check(self.technique, self.registry, self.judge.server)

    def exercise(self) -> Found:
        """The exercise on disk is the one generated from the solution."""
        path = self.technique.files.exercise
        if not path.is_file() or path.read_text(encoding="utf-8") != self._stub():
            return "", [f"{path} is not what the solution makes: 'learn author stubs {self.technique.name}' writes it"]
        return "", []

    def stub(self) -> Found:
        """The stub's outcome is 'not started'."""
        verdict = self.judge.grade(self.technique, self._stub(), "stub.py", seed=self.seeds[0]).verdict
        if verdict.problem:
            return "", [f"the stub ends as {verdict.outcome!r}: {verdict.problem}"]
        wrong = [p for p in verdict.properties if p.status not in ("not_started", "not_reached")]
        return "", [
            f"{self._of(p.id)}: {p.id} needs no hole filled: on the stub it {_ended(p)}; have it call what a hole makes"
            for p in wrong
        ]

    def solution(self) -> Found:
        """The solution passes with every seed."""
        problems = []
        for seed in self.seeds:
            verdict = self._graded(seed)
            if verdict.problem:
                return "", [f"{self.technique.files.solution}: {verdict.problem}"]
            problems += [
                f"{self._of(p.id)}: with seed {seed}, {p.id} {_ended(p)}"
                for p in verdict.properties
                if p.status != "held"
            ]
        return f"{len(self.seeds)} seeds, slowest {max(self._seconds):.2f} s", problems

    def hints(self) -> Found:
        """The code in the last hints, inserted into the stub together, passes."""
        return hints.check(self.technique, self.solution_text, self._verdict)

    def holes(self) -> Found:
        """Every hole is judged once it and all earlier holes are filled, and its mistakes show then."""
        return holes.check(self.technique, self.solution_text, self.judge, self.seeds)

    def budget(self) -> Found:
        """Grading the solution takes less than 3 seconds once the fork server is ready."""
        while len(self._seconds) < 2:  # the first grading loads modules, so it takes longer than later ones
            self._graded(self.seeds[0])
        fastest = min(self._seconds)
        if fastest > LONGEST_GRADE and fastest > (most := allowed(LONGEST_GRADE)):
            return "", [
                f"{self.technique.files.properties}: a grade of the solution takes {fastest:.1f} s, at most "
                f"{most:.0f}: draw smaller cases, or make the slow way that is compared with faster"
            ]
        return f"{fastest:.2f} s a grade", []

    def misconceptions(self) -> Found:
        """Every misconception is detected with every seed."""
        problems = []
        edits = load_edits(self.technique)
        killers: dict[str, set[str]] = {}
        for edit in edits:
            source = edit.apply(self.solution_text, str(self.technique.files.solution))
            if edit.kind == "convention":
                continue  # it must apply to the solution; the exercise may let it pass or not
            found = self.judge.killers(self.technique, source, seed=self.seeds[0])
            killers[edit.id] = found
            passed = [seed for seed in self.seeds[bool(found) :] if self.survives(source, seed)]
            at = place(self.technique.files.misconceptions, f'"{edit.id}"')
            problems += [f"{at}: {edit.id} passes with seed {seed}: add or sharpen a property" for seed in passed]
        self._killers = killers
        count = sum(e.kind == "misconception" for e in edits)
        if not count:
            problems.append(
                f"{self.technique.files.misconceptions}: no [[misconception]]: name what learners get wrong"
            )
        return f"{count} misconceptions, {len(edits) - count} conventions, {len(self.seeds)} seeds", problems

    def cheats(self) -> Found:
        """The cheats are detected, each in a process of its own."""
        seed, sources = self.seeds[0], self.cheating()
        passed = [name for name, source in sources.items() if self.holds(source, seed, apart=True)]
        return f"{len(sources)} cheats", [
            f"{self.technique.files.properties}: the cheat {name!r} passes with seed {seed}: add or sharpen a property"
            for name in passed
        ]

    def properties(self) -> Found:
        """Every property detects a misconception or else a mutant, and only mistakes within its claim."""
        names = Properties(self.technique).names
        killers = self._killers_of_misconceptions()
        idle = [name for name in names if not any(name in by for by in killers.values())]
        by_mutants = self._killers_of_mutants(set(idle)) if idle else set()
        detail = f"{len(names)} properties"
        if by_mutants:
            detail += f", {len(by_mutants)} of which by mutants alone: {', '.join(sorted(by_mutants))}"
        return detail, [
            f"{self._of(name)}: {name} finds no misconception out, and no mutant: sharpen it, name what it is for, or "
            "drop it"
            for name in idle
            if name not in by_mutants
        ] + [
            f"{self._of(name)}: {name} speaks of {Properties(self.technique).topic(name)} alone, and finds "
            f"{', '.join(mistakes)}: compare nothing else in it, or say in proof.toml, under [argued], why it does"
            for name, mistakes in beside_the_claim(self.technique, killers).items()
        ]

    def _killers_of_misconceptions(self) -> dict[str, set[str]]:
        """Return the properties that detect each misconception, from the results of the rule 'misconceptions'."""
        if self._killers is None:
            path, seed = str(self.technique.files.solution), self.seeds[0]
            edits = [e for e in load_edits(self.technique) if e.kind == "misconception"]
            sources = {e.id: e.apply(self.solution_text, path) for e in edits}
            self._killers = {n: self.judge.killers(self.technique, s, seed=seed) for n, s in sources.items()}
        return self._killers

    def _killers_of_mutants(self, properties: set[str]) -> set[str]:
        """Return the subset of ``properties`` that detect a mutant of the solution by its answers.

        Mutants that raise do not count: every property that calls them fails.
        """
        found: set[str] = set()
        every = every_mutant(self.solution_text)
        seed = self.seeds[0]
        for mutant in random.Random(seed).sample(every, min(MUTANTS_TRIED, len(every))):
            results = self._results_apart(mutant.source, seed) or []
            found |= {r.id for r in results if r.status == "failed" and not (r.message or "").startswith("it raised ")}
            if found >= properties:
                break
        return found & properties

    def matrix(self, *, mutants: bool = False) -> dict[str, set[str]]:
        """Return the properties that detect each misconception and, if asked, each mutant, with the first seed."""
        path, seed = str(self.technique.files.solution), self.seeds[0]
        edits = [e for e in load_edits(self.technique) if e.kind == "misconception"]
        sources = {e.id: e.apply(self.solution_text, path) for e in edits}
        if mutants:
            sources |= {f"{m.line}: {m.what}": m.source for m in every_mutant(self.solution_text)}
        return {name: self.killers_apart(source, seed) for name, source in sources.items()}

    def killers_apart(self, source: str, seed: int) -> set[str]:
        """Return the properties that fail on ``source``, or on which its process dies, each run independently."""
        results = self._results_apart(source, seed)
        if results is None:
            return set(Properties(self.technique).names)
        return {r.id for r in results if r.status in ("failed", "died")}

    def _results_apart(self, source: str, seed: int) -> list[PropertyResult] | None:
        """Return every property's result, each run independently; None if ``source`` cannot be loaded."""
        plan = Plan(seed, self.judge.lang, independent=True)
        try:
            return self.judge.results(self.technique, source, plan)
        except (AttemptRaised, AttemptDied):
            return None

    def cheating(self) -> dict[str, str]:
        """Return the sources of the cheats by name; without cheats on floats if no answer contains a float."""
        names = CALLS if self._answers_hold_no_float() else NAMES
        return {name: cheat(self.technique, self.solution_text, self._reference(), name) for name in names}

    def survives(self, source: str, seed: int) -> bool:
        """Whether every property holds for an edit: first in this process, which is fast, then in a separate one."""
        return self.holds(source, seed) and self.holds(source, seed, apart=True)

    def holds(self, source: str, seed: int, *, apart: bool = False) -> bool:
        """Whether every property holds for ``source``, in this process or ``apart``. Stops at the first failure."""
        plan = Plan(seed, self.judge.lang, independent=True, stop_at_first_failure=True)
        if apart:
            results = self.judge.results(self.technique, source, plan)
        else:
            results = self.judge.results_here(self.technique, self._implementation(source), plan)
        return not any(r.status in ("failed", "died") for r in results)

    def _verdict(self, source: str) -> Verdict:
        return self.judge.grade(self.technique, source, "hints.py", seed=self.seeds[0]).verdict

    def _graded(self, seed: int) -> Verdict:
        verdict = self.judge.grade(self.technique, self.solution_text, "solution.py", seed=seed).verdict
        self._seconds.append(verdict.seconds)
        return verdict

    def _of(self, name: str) -> str:
        """Return the place of a property's definition, which may be a call of a law with the same name."""
        return place(self.technique.files.properties, f"test_{name}(")

    def _stub(self) -> str:
        return stub(self.solution_text, str(self.technique.files.solution))

    def _answers_hold_no_float(self) -> bool:
        """Whether changing the floats of every answer has no effect, as there are none."""
        local = LocalAttempt(as_impl(self.technique, self._implementation(self.solution_text)))
        plan = Plan(self.seeds[0], independent=True)
        PropertyRun(Properties(self.technique), Subject(local.impl, local), self._reference(), plan).run()
        return not any(x.is_floating_point() for answer in local.trace for x in tensors_in(answer))

    def _implementation(self, source: str) -> Any:
        """Return the public class or function of trusted ``source``."""
        module = module_from_source("edited", source, f"<edited {self.technique.file}>")
        return getattr(module, self.technique.implements)

    def _reference(self) -> Any:
        return load_reference(self.technique)


def _ended(result: PropertyResult) -> str:
    return f"ended as {result.status.replace('_', ' ')!r}" + (f": {result.message}" if result.message else "")
