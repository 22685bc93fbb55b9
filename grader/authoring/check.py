"""Checks that a technique is sound: the one place where that is decided, for built-in techniques and for others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from groundup.core.errors import AttemptDied, GroundupError, UnknownName
from groundup.core.messages import Message
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.authoring.crew import Crew, PartProblem, Progress
from groundup.grader.authoring.draws import cases_of
from groundup.grader.authoring.examined import Examined
from groundup.grader.authoring.proof import Proved, owed, write_proof
from groundup.grader.authoring.rules import MEASURED, RULES
from groundup.grader.authoring.soundness import proved
from groundup.grader.authoring.soundness.places import Found
from groundup.grader.judging.judge import Judge

__all__ = ["Check", "Finding"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one rule for one technique; ``problems`` say what is wrong, where, and how to fix it."""

    technique: str
    rule: str
    problems: tuple[str, ...]
    detail: str = ""
    owed: tuple[str, ...] = ()
    """Problems that the technique owes: proof.toml says why, under [owed]."""
    seconds: float = 0.0
    """CPU time."""


class Check(Examined):
    """The rules, run on one technique."""

    def __init__(
        self,
        judge: Judge,
        technique: Technique,
        *,
        seeds: int = 3,
        first_seed: int = 0,
        rules: Iterable[str] = (),
        registry: Registry | None = None,
        thorough: bool = False,
        changed: bool = False,
        anew: bool = False,
        crew: Crew | None = None,
    ) -> None:
        """Prepare to run ``rules``, by default all. ``registry`` has the other techniques, by default all installed.

        ``thorough``: more seeds, and all mutants. ``changed``: only the rules that read a file that has changed since
        the proof was written. ``anew``: run the lab in full even if it is proved. ``crew``: the cores to work on, by
        default this process alone. Raises UnknownName for a rule that does not exist.
        """
        super().__init__(
            judge, technique, seeds=seeds, first_seed=first_seed, registry=registry, thorough=thorough, crew=crew
        )
        for rule in rules:
            if rule not in RULES:
                raise UnknownName(Message("rule"), rule, list(RULES), Message("There are {names}.", names=list(RULES)))
        self.changed = changed
        touched = {name for name, rule in RULES.items() if rule.reads & self.state.changed}
        quick = {name for name, rule in RULES.items() if not rule.apart or self.state.lab_changed or anew}
        chosen = set(rules) or (touched & quick if changed else quick)
        self.rules = tuple(name for name in RULES if name in chosen)
        self.may_be_recorded = not rules and not (changed and self.state.changed & MEASURED)
        """Whether a check that finds nothing proves the technique: all that is recorded is then as it was measured."""
        self.quickly = changed and not rules

    def findings(self, progress: Progress = lambda done, known: None) -> Iterator[Finding]:
        """Run the rules, and yield their findings in order. A rule that raises is a finding, too."""
        with self.at_work(progress):
            if not self.team.is_several:
                for name in self.rules:
                    yield self._finding(name)
                return
            with ThreadPoolExecutor(max(len(self.rules), 1)) as threads:
                found = [threads.submit(self._in_turn, name) for name in self.rules]
                try:
                    for finding in found:
                        yield finding.result()
                finally:
                    for finding in found:
                        finding.cancel()

    def record(self) -> Path:
        """Record what this check found in ``proof.toml``, which is returned. Call it after all findings."""
        mutants = self.memory("mutants")
        counts = (
            {"mutants": mutants.every, "mutants_tried": mutants.total, "equivalent": mutants.equivalent}
            if mutants
            else None
        )
        lab = "lab-full" in self.rules and "lab-full" not in owed(self.technique)
        found = Proved(
            self.memory("shares"),
            self.seeds,
            cases_of(self.technique),
            counts,
            thorough=self.thorough and not self.changed,
            lab_full=lab,
        )
        return write_proof(self.technique, found, self.registry)

    def proof(self) -> Finding:
        """Re-validate the recorded proof, in this process."""
        return self._found("proof", lambda: proved.check(self))

    def _in_turn(self, name: str) -> Finding:
        with self.team.turn():
            return self._finding(name)

    def _finding(self, name: str) -> Finding:
        rule = RULES[name]
        return self._found(name, lambda: rule.find(self) if rule.spreads else self.team.do(name, _whole, [name])[0])

    def _found(self, name: str, find: Callable[[], Found]) -> Finding:
        try:
            detail, problems = find()
        except (GroundupError, PartProblem) as error:
            detail, problems = "", [str(error)]
        except (Exception, AttemptDied) as error:  # a plugin's file may raise anything
            detail, problems = "", [f"{type(error).__name__}: {error}"]
        debts: list[str] = []
        if problems and (why := owed(self.technique).get(name)):
            detail, debts, problems = f"owed: {why}", problems, []
        seconds = self.team.cpu[name] if name in RULES else 0.0
        return Finding(self.technique.id, name, tuple(problems), detail, tuple(debts), round(seconds, 2))


def _whole(check: Check, name: str) -> Found:
    return RULES[name].find(check)
