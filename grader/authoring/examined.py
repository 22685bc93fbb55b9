"""A technique under examination: what the rules of soundness ask about it, computed once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from typing import Any, TypeVar

from groundup.core.errors import AttemptDied, AttemptRaised, GroundupError
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.core.testing.modules import module_from_source
from groundup.grader.authoring.crew import Crew, Progress, Team
from groundup.grader.authoring.draws import Draws
from groundup.grader.authoring.proof import State, state
from groundup.grader.authoring.soundness.places import place
from groundup.grader.judging.edits import load_edits
from groundup.grader.judging.judge import Judge
from groundup.grader.judging.plan import Plan
from groundup.grader.judging.proof import shares_of
from groundup.grader.judging.properties import Properties
from groundup.grader.judging.verdict import PropertyResult, Verdict
from groundup.grader.learner.lab import load_lab

__all__ = ["Examined"]

Value = TypeVar("Value")
SHARPEST = 6  # properties that are tried first


class Examined:
    """A technique, the judge that runs its properties, and the crew that shares the work."""

    def __init__(
        self,
        judge: Judge,
        technique: Technique,
        *,
        seeds: int = 3,
        first_seed: int = 0,
        registry: Registry | None = None,
        thorough: bool = False,
        crew: Crew | None = None,
    ) -> None:
        """``registry`` has the other techniques, by default all installed. ``thorough``: more seeds, and all mutants.

        ``crew``: the cores to work on, by default this process alone.
        """
        self.judge, self.technique, self.thorough = judge, technique, thorough
        self.seeds = range(first_seed, first_seed + seeds)
        self.state: State = state(technique, registry)
        self.quickly = False
        """Whether each mistake is first tried on the property that found it last."""
        self.team: Team
        self._registry, self._crew = registry, crew
        self._memo: dict[str, Any] = {}
        self._locks = {name: threading.Lock() for name in ("shares", "gradings", "mutants")}
        self._draws: dict[int, Draws] = {}
        self._edited: dict[str, str] = {}

    @contextmanager
    def at_work(self, progress: Progress = lambda done, known: None) -> Iterator[None]:
        """Have a team to work with inside the block."""
        with ExitStack() as stack:
            crew = self._crew or stack.enter_context(Crew(self.judge.server))
            imports = {name for i in self.implementations for name in self.registry.technique(i).imports}
            self.team = stack.enter_context(crew.on(self, imports, progress))
            yield

    def memory(self, name: str) -> Any:
        """Return what was computed under that name; None if nothing was."""
        return self._memo.get(name)

    def once(self, name: str, compute: Callable[[], Value]) -> Value:
        """Return what ``compute`` returned when it was first called under this name; rules run side by side."""
        with self.team.waiting():
            self._locks[name].acquire()
        try:
            if name not in self._memo:
                self._memo[name] = compute()
        finally:
            self._locks[name].release()
        found: Value = self._memo[name]
        return found

    @cached_property
    def registry(self) -> Registry:
        """Everything that is installed, plus the technique, which may not be installed."""
        found = self._registry or Registry()
        found.techniques.setdefault(self.technique.id, self.technique)
        return found

    @property
    def implementations(self) -> list[str]:
        """The techniques whose implementations run as attempts: this one, and those that its lab uses."""
        used: list[str] = []
        with suppress(GroundupError):  # the rule 'lab' reports that
            used = [i for i in load_lab(self.technique)[0].uses if i in self.registry.techniques]
        return [self.technique.id, *used]

    @property
    def solution_text(self) -> str:
        """The solution as it is on disk."""
        return self.technique.files.solution.read_text(encoding="utf-8")

    @cached_property
    def sharpest(self) -> tuple[str, ...]:
        """The properties that found most of the known mistakes last, the sharpest first; empty without a proof."""
        strength = dict.fromkeys(Properties(self.technique).names, 0.0)
        for found in shares_of(self.technique).values():
            for name in found.keys() & strength.keys():
                strength[name] += found[name]
        sharpest = sorted((name for name in strength if strength[name]), key=lambda name: -strength[name])
        return tuple(sharpest[:SHARPEST])

    def draws(self, seed: int) -> Draws:
        """Return the cases that the properties draw with a seed; each process draws them once."""
        if seed not in self._draws:
            self._draws[seed] = Draws(self.technique, self.judge, seed)
        return self._draws[seed]

    def edited(self, name: str) -> str:
        """Return the solution with that misconception's or convention's edit. Raises EditProblem."""
        if name not in self._edited:
            for edit in load_edits(self.technique):
                self._edited[edit.id] = edit.apply(self.solution_text, str(self.technique.files.solution))
        return self._edited[name]

    def implementation(self, source: str) -> Any:
        """Return the public class or function of trusted ``source``."""
        module = module_from_source("edited", source, f"<edited {self.technique.file}>")
        return getattr(module, self.technique.implements)

    def finds(self, implementation: Any, property: str, seed: int) -> bool:
        """Whether a property, run alone in this process, finds an implementation wrong."""
        plan = Plan(seed, self.judge.lang, independent=True, only=property)
        results = self.judge.results_here(self.technique, implementation, plan)
        return any(r.id == property and r.status == "failed" for r in results)

    def survives(self, source: str, seed: int) -> bool:
        """Whether every property holds for an edit: first in this process, which is fast, then in a separate one."""
        return self.holds(source, seed) and self.holds(source, seed, apart=True)

    def holds(self, source: str, seed: int, *, apart: bool = False) -> bool:
        """Whether every property holds for ``source``, in this process or ``apart``. Stops at the first failure."""
        plan = Plan(seed, self.judge.lang, independent=True, first=self.sharpest, stop_at_first_failure=True)
        if apart:
            results = self.judge.results(self.technique, source, plan)
        else:
            results = self.judge.results_here(self.technique, self.implementation(source), plan)
        return not any(r.status in ("failed", "died") for r in results)

    def results_apart(self, source: str, plan: Plan) -> list[PropertyResult] | None:
        """Return the results of ``source`` in a process of its own; None if it cannot be loaded."""
        try:
            return self.judge.results(self.technique, source, plan)
        except (AttemptRaised, AttemptDied):
            return None

    def graded(self, source: str) -> Verdict:
        """Grade ``source`` with the first seed."""
        return self.judge.grade(self.technique, source, "check.py", seed=self.seeds[0]).verdict

    def of(self, name: str) -> str:
        """Return the place of a property's definition, which may be a call of a law with the same name."""
        return place(self.technique.files.properties, f"test_{name}(")
