"""Is a technique sound? Its stub ends 'not started', its solution passes, every wrong version of it is found out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from groundup.core.errors import AttemptDied, AttemptRaised, GroundupError
from groundup.core.technique import Technique
from groundup.core.testing.modules import current_module, module_from_source
from groundup.core.testing.ranks import as_impl
from groundup.grader.cheats import CALLS, NAMES, cheat
from groundup.grader.edits import load_edits
from groundup.grader.exercise import holes, stub
from groundup.grader.group import start
from groundup.grader.judge import TOTAL_SECONDS, Judge, PropertyRun, Subject
from groundup.grader.local import LocalAttempt
from groundup.grader.mutants import mutants as every_mutant
from groundup.grader.proxy import proxy
from groundup.grader.verdict import PropertyResult
from groundup.grader.worker.wire import tensors_in


@dataclass(frozen=True)
class Finding:
    """The outcome of one rule for one technique; ``problems`` say what is wrong, where, and what mends it."""

    technique: str
    rule: str
    problems: tuple[str, ...]
    detail: str = ""


def write_stub(technique: Technique) -> bool:
    """Write the exercise that the solution makes; return whether that changed the file."""
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
    """The rules, each a method that finds what is wrong with one technique."""

    RULES = ("manifest", "exercise", "stub", "solution", "misconceptions", "cheats", "properties")

    def __init__(self, judge: Judge, technique: Technique, *, seeds: int = 3, first_seed: int = 0) -> None:
        self.judge, self.technique = judge, technique
        self.seeds = range(first_seed, first_seed + seeds)
        self.killers: set[str] = set()
        """The properties that found out a misconception."""

    def findings(self) -> Iterator[Finding]:
        """Try every rule; a rule that cannot be tried is a finding too."""
        for rule in self.RULES:
            try:
                detail, problems = getattr(self, rule)()
            except GroundupError as error:
                detail, problems = "", [str(error)]
            except (Exception, AttemptDied) as error:  # whatever a plugin's file may raise
                detail, problems = "", [f"{type(error).__name__}: {error}"]
            yield Finding(self.technique.id, rule, tuple(problems), detail)

    @property
    def solution_text(self) -> str:
        """The solution as it is on disk."""
        return self.technique.files.solution.read_text(encoding="utf-8")

    def manifest(self) -> tuple[str, list[str]]:
        """Every hole of the solution has its hints; the lesson is there."""
        files = self.technique.files
        marked = len(holes(self.solution_text, str(files.solution)))
        problems = []
        if marked != len(self.technique.holes):
            problems.append(
                f"{files.solution} marks {marked} holes, the manifest has hints for {len(self.technique.holes)}"
            )
        if not files.lesson().is_file():
            problems.append(f"there is no lesson: expected it at {files.lesson()}")
        return f"{marked} holes", problems

    def exercise(self) -> tuple[str, list[str]]:
        """The exercise on disk is what the solution generates."""
        path = self.technique.files.exercise
        if not path.is_file() or path.read_text(encoding="utf-8") != self._stub():
            return "", [f"{path} is not what the solution makes: 'learn author stubs {self.technique.name}' writes it"]
        return "", []

    def stub(self) -> tuple[str, list[str]]:
        """The stub ends as 'not started'."""
        verdict = self.judge.grade(self.technique, self._stub(), "stub.py", seed=self.seeds[0]).verdict
        if verdict.problem:
            return "", [f"the stub ends as {verdict.outcome!r}: {verdict.problem}"]
        wrong = [p for p in verdict.properties if p.status not in ("not_started", "not_reached")]
        return "", [f"{p.id} needs no hole filled: on the stub it {_ended(p)}" for p in wrong]

    def solution(self) -> tuple[str, list[str]]:
        """The solution passes, whatever the seed."""
        problems = []
        slowest = 0.0
        for seed in self.seeds:
            verdict = self.judge.grade(self.technique, self.solution_text, "solution.py", seed=seed).verdict
            slowest = max(slowest, verdict.seconds)
            if verdict.problem:
                return "", [verdict.problem]
            problems += [f"seed {seed}: {p.id} {_ended(p)}" for p in verdict.properties if p.status != "held"]
        return f"{len(self.seeds)} seeds, slowest {slowest:.2f} s", problems

    def misconceptions(self) -> tuple[str, list[str]]:
        """Every misconception is found out, whatever the seed."""
        problems = []
        edits = load_edits(self.technique)
        for edit in edits:
            source = edit.apply(self.solution_text, str(self.technique.files.solution))
            if edit.kind == "convention":
                continue  # it must fit its solution; whether it passes is the exercise's choice
            found = self.judge.killers(self.technique, source, seed=self.seeds[0])
            self.killers |= found
            passed = [seed for seed in self.seeds[bool(found) :] if self.survives(source, seed)]
            problems += [f"{edit.id} passes with seed {seed}: add or sharpen a property" for seed in passed]
        count = sum(e.kind == "misconception" for e in edits)
        return f"{count} misconceptions, {len(edits) - count} conventions, {len(self.seeds)} seeds", problems

    def cheats(self) -> tuple[str, list[str]]:
        """What is wrong for every technique is found out, in a process of its own."""
        seed, sources = self.seeds[0], self.cheating()
        passed = [name for name, source in sources.items() if self.holds(source, seed, apart=True)]
        return f"{len(sources)} cheats", [
            f"the cheat {name!r} passes with seed {seed}: add or sharpen a property" for name in passed
        ]

    def properties(self) -> tuple[str, list[str]]:
        """Every property finds out a misconception. Comes last: it reads what the rule of misconceptions saw."""
        names = self.judge.property_names(self.technique)
        idle = [name for name in names if name not in self.killers]
        return f"{len(names)} properties", [
            f"{name} finds no misconception out: sharpen it, name what it is for, or drop it" for name in idle
        ]

    def matrix(self, *, mutants: bool = False) -> dict[str, set[str]]:
        """Return which properties find out each misconception, and each mutant where asked, with the first seed."""
        path, seed = str(self.technique.files.solution), self.seeds[0]
        edits = [e for e in load_edits(self.technique) if e.kind == "misconception"]
        sources = {e.id: e.apply(self.solution_text, path) for e in edits}
        if mutants:
            sources |= {f"{m.line}: {m.what}": m.source for m in every_mutant(self.solution_text)}
        return {name: self.killers_apart(source, seed) for name, source in sources.items()}

    def killers_apart(self, source: str, seed: int) -> set[str]:
        """Return the properties that find ``source`` wrong, each on its own, or on which its process dies."""
        technique, reference = self.technique, self._reference()
        try:
            process = start(self.judge.server, technique, source, "apart.py", seed=seed, total_seconds=TOTAL_SECONDS)
        except (AttemptRaised, AttemptDied):
            return set(self.judge.property_names(technique))
        with contextlib.closing(process):
            subject = Subject(proxy(process, technique.implements, reference), process)
            run = PropertyRun(technique, subject, reference, seed=seed, lang=self.judge.lang)
            run.for_author = True
            run.run()
        return {r.id for r in run.results_in_order() if r.status in ("failed", "died")}

    def cheating(self) -> dict[str, str]:
        """Return the sources of the cheats, by name; where no answer holds a float, none that spoils floats."""
        names = CALLS if self._answers_hold_no_float() else NAMES
        return {name: cheat(self.technique, self.solution_text, self._reference(), name) for name in names}

    def survives(self, source: str, seed: int) -> bool:
        """Whether every property holds for an edit of the solution: here, which is quick, and as a grading would."""
        return self.holds(source, seed) and self.holds(source, seed, apart=True)

    def holds(self, source: str, seed: int, *, apart: bool = False) -> bool:
        """Whether every property holds for ``source``, in this process or ``apart``. The first failure ends it."""
        technique, name = self.technique, self.technique.implements
        with contextlib.ExitStack() as stack:
            if apart:
                process = start(
                    self.judge.server, technique, source, "apart.py", seed=seed, total_seconds=TOTAL_SECONDS
                )
                stack.callback(process.close)
                subject = Subject(proxy(process, name, self._reference()), process)
            else:
                subject = self._here(source)
            run = self._run(subject, seed)
        return not any(r.status in ("failed", "died") for r in run.results_in_order())

    def _stub(self) -> str:
        return stub(self.solution_text, str(self.technique.files.solution))

    def _answers_hold_no_float(self) -> bool:
        """Whether spoiling the floats of every answer would change nothing."""
        subject = self._here(self.solution_text)
        self._run(subject, self.seeds[0])
        assert isinstance(subject.behind, LocalAttempt)
        return not any(x.is_floating_point() for answer in subject.behind.trace for x in tensors_in(answer))

    def _here(self, source: str) -> Subject:
        module = module_from_source("edited", source, f"<edited {self.technique.file}>")
        local = LocalAttempt(as_impl(self.technique, getattr(module, self.technique.implements)))
        return Subject(local.impl, local)

    def _run(self, subject: Subject, seed: int) -> UpToFirstFailure:
        run = UpToFirstFailure(self.technique, subject, self._reference(), seed=seed, lang=self.judge.lang)
        run.for_author = True
        run.run()
        return run

    def _reference(self) -> Any:
        files = self.technique.files
        return getattr(current_module(files.solution_module, files.solution), self.technique.implements)


class UpToFirstFailure(PropertyRun):
    """A run that ends with the first property that fails."""

    def _judge(self, name: str, test: Callable[..., Any], fixtures: dict[str, Any]) -> PropertyResult:
        result = super()._judge(name, test, fixtures)
        self.stopped |= result.status == "failed"
        return result


def _ended(result: PropertyResult) -> str:
    return f"ended as {result.status.replace('_', ' ')!r}" + (f": {result.message}" if result.message else "")
