"""Is a technique sound? Its stub ends 'not started', its solution passes, every wrong version of it is found out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from groundup.core.errors import GroundupError
from groundup.core.technique import Technique
from groundup.core.testing.modules import current_module
from groundup.grader.cheats import NAMES, cheat
from groundup.grader.edits import load_edits
from groundup.grader.exercise import holes, stub
from groundup.grader.judge import Judge


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
        self.kills: dict[str, set[str]] = {}
        """For each edit or cheat, the properties that found it out."""

    def findings(self) -> Iterator[Finding]:
        """Try every rule; a rule that cannot be tried is a finding too."""
        for rule in self.RULES:
            try:
                detail, problems = getattr(self, rule)()
            except GroundupError as error:
                detail, problems = "", [str(error)]
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
        """The checked-in exercise is what the solution generates."""
        path = self.technique.files.exercise
        if not path.is_file() or path.read_text(encoding="utf-8") != stub(self.solution_text):
            return "", [f"{path} is not what the solution makes: 'learn author stubs {self.technique.name}' writes it"]
        return "", []

    def stub(self) -> tuple[str, list[str]]:
        """The stub ends as 'not started'."""
        verdict = self.judge.grade(self.technique, stub(self.solution_text), "stub.py", seed=self.seeds[0]).verdict
        wrong = [p.id for p in verdict.properties if p.status not in ("not_started", "not_reached")]
        if verdict.outcome != "not_started" or wrong:
            return "", [f"the stub ends as {verdict.outcome!r}; these do not need a hole filled: {', '.join(wrong)}"]
        return "", []

    def solution(self) -> tuple[str, list[str]]:
        """The solution passes, whatever the seed."""
        problems = []
        slowest = 0.0
        for seed in self.seeds:
            verdict = self.judge.grade(self.technique, self.solution_text, "solution.py", seed=seed).verdict
            slowest = max(slowest, verdict.seconds)
            problems += [
                f"seed {seed}: {p.id}: {p.message or p.status}" for p in verdict.properties if p.status != "held"
            ]
        return f"{len(self.seeds)} seeds, slowest {slowest:.2f} s", problems

    def misconceptions(self) -> tuple[str, list[str]]:
        """Every misconception is found out, whatever the seed."""
        problems = []
        edits = load_edits(self.technique)
        for edit in edits:
            source = edit.apply(self.solution_text, str(self.technique.files.solution))
            for seed in self.seeds:
                found = self.judge.killers(self.technique, source, seed=seed)
                self.kills.setdefault(edit.id, set()).update(found)
                if not found and edit.kind == "misconception":
                    problems.append(f"{edit.id} passes with seed {seed}: add or sharpen a property")
        count = sum(e.kind == "misconception" for e in edits)
        return f"{count} misconceptions, {len(edits) - count} conventions, {len(self.seeds)} seeds", problems

    def cheats(self) -> tuple[str, list[str]]:
        """What is wrong for every technique is found out, in a process of its own."""
        files = self.technique.files
        reference = getattr(current_module(files.solution_module, files.solution), self.technique.implements)
        problems = []
        for name in NAMES:
            source = cheat(self.technique, self.solution_text, reference, name)
            verdict = self.judge.grade(self.technique, source, "cheat.py", seed=self.seeds[0]).verdict
            self.kills[name] = {p.id for p in verdict.properties if p.status in ("failed", "died")}
            if not self.kills[name]:
                problems.append(f"the cheat {name!r} ends as {verdict.outcome!r} with every property held")
        return f"{len(NAMES)} cheats", problems

    def properties(self) -> tuple[str, list[str]]:
        """Every property finds out something. Comes last: it reads what the rules before it saw."""
        names = self.judge.property_names(self.technique)
        idle = [name for name in names if not any(name in killed for killed in self.kills.values())]
        return f"{len(names)} properties", [f"{name} finds nothing out: sharpen it, or drop it" for name in idle]
