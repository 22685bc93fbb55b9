"""Rule: the code in the last hints of all holes, inserted into the stub together, passes."""

from __future__ import annotations

from collections.abc import Callable

from groundup.core.technique import Technique
from groundup.grader.authoring.soundness.places import Found, built_in, declared
from groundup.grader.judging.exercise import with_hole
from groundup.grader.judging.verdict import Verdict


def check(technique: Technique, solution: str, grade: Callable[[str], Verdict]) -> Found:
    """Find holes whose last hint gives no code although other holes' do, and code that does not pass."""
    codes = [hole.code for hole in technique.holes]
    if not any(codes) and not built_in(technique):
        return "the last hints give no code", []
    if lacking := [number for number, code in enumerate(codes, start=1) if not code.strip()]:
        where = declared(technique, ("hole", lacking[0] - 1), "Hole(")
        return "", [f"{where}: the last hint of hole {lacking[0]} gives no code: add code = '''...''', which fills it"]
    filled = solution
    for number, code in enumerate(codes, start=1):
        filled = with_hole(filled, number, code, str(technique.files.solution))
    verdict = grade(filled)
    if verdict.passed:
        return f"the code of {len(codes)} holes passes", []
    wrong = next((p for p in verdict.properties if p.status in ("failed", "died")), None)
    told = verdict.problem or (wrong and f"{wrong.id}: {wrong.message}") or verdict.outcome
    where = declared(technique, ("hole", ((wrong and wrong.hole) or 1) - 1, "code"), "code=")
    return "", [f"{where}: the code of the last hints, put into the stub together, does not pass: {told}"]
