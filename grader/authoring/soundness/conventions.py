"""Rule: conventions are refused or pass as they say, and right implementations in other styles pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groundup.grader.authoring.soundness.places import Found, built_in, place
from groundup.grader.judging.edits import Edit, load_edits, load_rights

if TYPE_CHECKING:
    from groundup.grader.authoring.examined import Examined

__all__ = ["check"]

FEWEST = 5  # right implementations in other styles, of a built-in technique


def check(of: Examined) -> Found:
    """Find conventions that are treated otherwise than they say, and right implementations that fall short."""
    path = of.technique.files.misconceptions
    conventions = [e for e in load_edits(of.technique) if e.kind == "convention"]
    problems = []
    for edit, (passed, same) in zip(conventions, of.team.do("conventions", treated, conventions), strict=True):
        at = place(path, f'"{edit.id}"')
        outcome = "passes" if passed else "is refused"
        if same:
            problems.append(f"{at}: {edit.id} answers like the solution in every case: it is no other convention")
        elif edit.refused is None and built_in(of.technique):
            problems.append(f"{at}: {edit.id} {outcome}: say refused = {str(not passed).lower()}")
        elif edit.refused is not None and edit.refused == passed:
            problems.append(f"{at}: {edit.id} {outcome}, and says refused = {str(edit.refused).lower()}")
    rights = load_rights(of.technique)
    for right, why in zip(rights, of.team.do("conventions", falls_short, [r.id for r in rights]), strict=True):
        if why:
            at = place(path, f'"{right.id}"')
            problems.append(f"{at}: {right.id} is right, and falls short: {why}")
    if len(rights) < FEWEST and built_in(of.technique):
        problems.append(
            f"{path}: {len(rights)} [[right]], at least {FEWEST}: write it as others would, in their styles"
        )
    return f"{len(conventions)} conventions, {len(rights)} right in other styles", problems


def treated(of: Examined, edit: Edit) -> tuple[bool, bool]:
    """Return whether a convention passes, and whether it answers like the solution."""
    source, seed = of.edited(edit.id), of.seeds[0]
    implementation = of.implementation(source)
    if of.draws(seed).like_the_reference(implementation):
        return True, True
    return of.survives(source, seed), False


def falls_short(of: Examined, name: str) -> str:
    """Return why a right implementation falls short with some seed; empty if it passes."""
    right = next(r for r in load_rights(of.technique) if r.id == name)
    source = right.apply(of.technique, of.solution_text)
    for seed in of.seeds if of.thorough else of.seeds[:1]:
        verdict = of.judge.grade(of.technique, source, f"{name}.py", seed=seed).verdict
        if not verdict.passed:
            wrong = next((p for p in verdict.properties if p.status != "held"), None)
            told = verdict.problem or (wrong and f"{wrong.id}: {wrong.message or wrong.status}") or verdict.outcome
            return f"with seed {seed}, {told}"
    return ""
