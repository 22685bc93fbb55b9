"""Every built-in technique must pass ``learn author check``, like anyone else's."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.authoring import author
from groundup.grader.authoring.author import Check
from groundup.grader.authoring.mutants import mutation
from groundup.grader.authoring.soundness import lab
from groundup.grader.judging.edits import load_edits
from groundup.grader.judging.judge import Judge
from groundup.grader.judging.properties import Properties
from groundup.grader.process.fork_server import ForkServer

TECHNIQUES = [t for t in Registry().techniques.values() if t.package.startswith("groundup.plugins.")]
FRESH_SEEDS, MISCONCEPTION_SEEDS, CHEAT_SEEDS = 20, 200, 5
MUTANTS = 4  # of each technique, drawn anew

SLOW = ("holes", "misconceptions", "cheats", "properties", "lab")  # rules that take most of a check's time
SHARE = 4  # each run checks one technique in SHARE against the slow rules; the soak checks all

each = pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.id)
some = pytest.mark.parametrize(
    "technique",
    [pytest.param(t, marks=[pytest.mark.soak] if n % SHARE != 2 else []) for n, t in enumerate(TECHNIQUES)],
    ids=lambda technique: technique.id,
)


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with ForkServer() as server:
        yield Judge(server)


def survivors(check: Check, sources: dict[str, str], seeds: range) -> list[str]:
    """Return the names of the sources that pass all properties, each with the seed."""
    return [
        f"{name}, seed {seed}" for name, source in sources.items() for seed in seeds if check.survives(source, seed)
    ]


@each
def test_every_quick_rule_is_kept(judge: Judge, technique: Technique, monkeypatch: pytest.MonkeyPatch) -> None:
    keeps(judge, technique, [rule for rule in Check.RULES if rule not in SLOW], monkeypatch)


@some
def test_every_slow_rule_is_kept(judge: Judge, technique: Technique, monkeypatch: pytest.MonkeyPatch) -> None:
    keeps(judge, technique, SLOW, monkeypatch)


def keeps(judge: Judge, technique: Technique, rules: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that a technique keeps the rules."""
    # The machine of the tests may be half as fast as the one for which an author is promised the budget.
    monkeypatch.setattr(author, "LONGEST_GRADE", 2 * author.LONGEST_GRADE)
    monkeypatch.setattr(lab, "LONGEST", 2 * lab.LONGEST)
    findings = Check(judge, technique, seeds=1, rules=rules).findings()
    assert [(f.rule, problem) for f in findings for problem in f.problems] == []


@each
def test_there_is_enough_to_hold_an_attempt_against(judge: Judge, technique: Technique) -> None:
    assert len(Properties(technique).names) >= 6
    assert sum(edit.kind == "misconception" for edit in load_edits(technique)) >= 5


@each
def test_small_changes_of_the_solution_are_found_out(judge: Judge, technique: Technique) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    assert alive(judge, technique, seed, sample=MUTANTS) == []


@pytest.mark.soak
@each
def test_every_small_change_of_the_solution_is_found_out(judge: Judge, technique: Technique) -> None:
    assert alive(judge, technique, seed=0) == []


def alive(judge: Judge, technique: Technique, seed: int, sample: int | None = None) -> list[str]:
    """Return the surviving mutants, each with the seed, and the technique's soundness problems."""
    check = Check(judge, technique)
    result = mutation(technique, lambda source: check.holds(source, seed, apart=True), sample=sample, seed=seed)
    solution = technique.files.solution.read_text(encoding="utf-8")
    found = [f"seed {seed}: {mutant.diff(solution)}" for mutant in result.alive]
    return [*found, *(f"no mutant: {new}" for new in result.stale), *([] if found or result.sound else ["too many"])]


@pytest.mark.soak
@each
def test_the_solution_passes_at_fresh_seeds(judge: Judge, technique: Technique) -> None:
    source = technique.files.solution.read_text(encoding="utf-8")
    seeds = [random.SystemRandom().randrange(1 << 32) for _ in range(FRESH_SEEDS)]
    verdicts = [judge.grade(technique, source, technique.file, seed=seed).verdict for seed in seeds]
    assert [(v.seed, [p.id for p in v.properties if p.status != "held"]) for v in verdicts if not v.passed] == []


@pytest.mark.soak
@each
def test_every_misconception_dies_at_every_seed(judge: Judge, technique: Technique) -> None:
    solution = technique.files.solution.read_text(encoding="utf-8")
    wrong = {e.id: e.apply(solution) for e in load_edits(technique) if e.kind == "misconception"}
    assert survivors(Check(judge, technique), wrong, range(MISCONCEPTION_SEEDS)) == []


@pytest.mark.soak
@each
def test_every_cheat_dies_at_several_seeds(judge: Judge, technique: Technique) -> None:
    check = Check(judge, technique)
    assert survivors(check, check.cheating(), range(1, 1 + CHEAT_SEEDS)) == []
