"""``learn replay``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from groundup.cli.context import (
    TechniqueName,
    WholeNumber,
    find_workspace,
    json_option,
    lang_option,
    language,
    print_json,
    technique_named,
)
from groundup.cli.failing import Failing, failing
from groundup.cli.words import tr
from groundup.core.errors import EXIT_BROKEN, EXIT_FELL_SHORT, EXIT_HELD, UsageProblem

if TYPE_CHECKING:
    from groundup.core.technique import Technique


@click.command("replay", short_help="Run the case that failed again, alone.")
@click.argument("technique", type=TechniqueName())
@click.argument("property", required=False)
@click.option("--pdb", "debug", is_flag=True, help="Step into your code on that case, in this process.")
@click.option("--uncontained", is_flag=True, help="With --pdb, although learn.toml requires containment.")
@click.option("--rank", metavar="N", type=WholeNumber(0, 7), default=0, help="Which rank --pdb stops on. Default: 0.")
@click.option(
    "--attempt",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Run FILE instead; needs --seed, no workspace.",
)
@click.option("--seed", metavar="N", type=WholeNumber(0, 2**63 - 1), help="The seed of the grading to go back to.")
@json_option
@lang_option
def command(
    technique: str,
    property: str | None,
    debug: bool,
    uncontained: bool,
    rank: int,
    file: Path | None,
    seed: int | None,
    as_json: bool,
    lang: str | None,
) -> None:
    """Run again the case on which your attempt at TECHNIQUE last failed, with your current file.

    Without PROPERTY it is the first one that failed. All that your code printed on the case is shown.

    \b
    learn replay ppo          the case again
    learn replay ppo --pdb    the same inputs, under the debugger

    With --pdb your code runs in this process, uncontained: it stops at the first line of each call ('c' goes on to the
    next call, 'q' leaves).
    """
    if debug and as_json:
        raise UsageProblem("--pdb asks questions, and --json prints data: leave out one of the two.")
    found = technique_named(technique)
    if debug and not uncontained:
        _refuse_to_run_uncontained(found)
    again = failing(found, property, file, seed, language(lang))
    result = again.replayed.result
    if as_json:
        print_json(result.model_dump(mode="json"))
    else:
        _show(again)
    if debug and again.replayed.case is not None:
        from groundup.grader.learner.debugging import step_into

        step_into(found, again.source, str(again.path), again.replayed.case, rank=rank)
    codes = {"held": EXIT_HELD, "not_gradable": EXIT_BROKEN}
    raise SystemExit(codes.get(result.status, EXIT_FELL_SHORT))


def _refuse_to_run_uncontained(technique: Technique) -> None:
    """Raise UsageProblem if the workspace requires containment, which a debugger in this process does not have."""
    workspace = find_workspace()
    demanded = workspace.settings.require_containment if workspace else None
    if demanded not in (None, "process"):
        raise UsageProblem(
            "learn.toml requires containment {demanded!r}, and --pdb runs the attempt in this process, without any. "
            "If the code is your own, 'learn replay {name} --pdb --uncontained' does so all the same.",
            demanded=demanded, name=technique.name,
        )  # fmt: skip


def _show(again: Failing) -> None:
    from groundup.cli.layout import show_next
    from groundup.cli.show import show_property

    result = again.replayed.result
    show_property(result)
    if result.status == "held":
        click.echo("\n  " + tr("This case holds now."))
        show_next((f"grade {again.technique.name}", tr("what holds")))
