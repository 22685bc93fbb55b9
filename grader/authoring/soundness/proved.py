"""Re-validates the recorded proof of a technique, in about a second: what the everyday tests of a technique do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groundup.grader.authoring.soundness.places import Found, place
from groundup.grader.authoring.stubs import stub_of
from groundup.grader.judging.edits import load_edits
from groundup.grader.judging.inputs import INPUTS
from groundup.grader.judging.plan import Plan
from groundup.grader.judging.proof import shares_of
from groundup.grader.judging.properties import Properties

if TYPE_CHECKING:
    from groundup.grader.authoring.examined import Examined

__all__ = ["check"]


def check(of: Examined) -> Found:
    """Find what is no longer as it was proved.

    The technique's own files are those of the proof, its solution passes, its stub has not started, and each mistake
    is found by the property that found it most often.
    """
    path, seed = of.technique.files.folder / "proof.toml", of.seeds[0]
    again = f"'learn author check {of.technique.name}' proves it anew"
    if changed := of.state.changed_files:
        return "", [f"{path}: {', '.join(changed)} changed since: {again}"]
    detail = "proved with an older core" if of.state.core_changed else "as it was proved"
    draws = of.draws(seed)
    problems = [f"{of.of(r.id)}: with seed {seed}, {r.id} of the solution is {r.status}" for r in draws.wrong]
    stub = of.implementation(stub_of(of.technique))
    plan = Plan(seed, of.judge.lang, examples=1, independent=True)
    started = [r.id for r in of.judge.results_here(of.technique, stub, plan) if r.status == "held"]
    if started:
        problems.append(f"{of.of(started[0])}: on the stub, {', '.join(started)} held: none needs a hole filled")
    names = [*Properties(of.technique).names, INPUTS]
    shares = shares_of(of.technique)
    for edit in load_edits(of.technique):
        if edit.kind == "convention":
            continue
        found = {name: share for name, share in shares.get(edit.id, {}).items() if name in names}
        source = of.edited(edit.id)
        best = max(found, key=lambda name: found[name], default=None)
        if best is None or best == INPUTS:
            dies = not of.survives(source, seed)
        else:
            dies = draws.finds(of.implementation(source), best)
        if not dies:
            at = place(of.technique.files.misconceptions, f'"{edit.id}"')
            problems.append(f"{at}: {edit.id} is not found by {best or 'any property'} any more: {again}")
    return detail, problems
