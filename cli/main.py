"""The ``learn`` command. Nothing here imports a plugin, torch or pytest; each command imports what it needs."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, cast

import click

# What 'learn --help' shows, in the order of a learner's day; 'a-b' lives in cli/a_b.py.
COMMANDS = {
    "start": "Put a day's or a technique's stubs into your workspace.",
    "read": "Read a lesson.",
    "grade": "Grade your attempt, with evidence.",
    "hint": "Get the next hint for a hole.",
    "reset": "Begin a technique anew; the old attempt is kept.",
    "solution": "Show the reference solution.",
    "status": "Show where you stand.",
    "list": "List days, tracks and techniques.",
    "doctor": "Check what this machine offers, and what each lack costs.",
    "completion": "Print the shell's completion script.",
    "author": "Check and generate the files of techniques.",
}
HELP = """Learn LLM systems by building every mechanism yourself.

Start with a day of the roadmap ('learn start day-4') or with one technique ('learn start ppo'), fill the holes
in the stubs, and have them graded ('learn grade ppo').

\b
Exit codes  0  all held, or done
            1  the attempt fell short
            2  the command was not understood
            3  a plugin or this machine is broken
"""


def called() -> str:
    """Return how the user calls this command: ``learn``, or ``./learn`` in a clone."""
    return os.environ.get("LEARN_COMMAND", "learn")


def spoken(text: str) -> str:
    """Return ``text`` with every quoted 'learn ...' as this user would type it."""
    return text.replace("'learn ", f"'{called()} ")


class Problem(click.ClickException):
    """A GroundupError on its way out: its message, and its exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]

    def show(self, file: Any = None) -> None:
        """Print the message to stderr."""
        click.echo(f"learn: {spoken(self.message)}", err=True)


class Learn(click.Group):
    """The group of commands: each is imported when it is called, plugins' only when no built-in has the name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the built-in commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command called ``cmd_name``, a plugin's if need be."""
        if cmd_name in COMMANDS:
            return cast(click.Command, importlib.import_module(f"groundup.cli.{cmd_name.replace('-', '_')}").command)
        return None if ctx.resilient_parsing else self._of_a_plugin(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one may have been meant."""
        from groundup.core.errors import UnknownName

        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            raise UnknownName("command", name, COMMANDS, "'learn --help' lists them.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a problem of ours becomes its message and its exit code."""
        from groundup.core.errors import GroundupError

        try:
            return super().invoke(ctx)
        except GroundupError as error:
            raise Problem(str(error), error.exit_code) from error

    def _of_a_plugin(self, name: str) -> click.Command | None:
        from groundup.cli.context import registry

        for commands in registry().manager.hook.commands():
            for command in commands:
                if command.name == name:
                    return cast(click.Command, command)
        return None


@click.group(
    cls=Learn, help=HELP, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="groundup", prog_name="learn")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Without a command: where you stand."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(importlib.import_module("groundup.cli.status").command)


def main() -> None:
    """Run ``learn``; Ctrl-C ends it with 130, as it ends other commands."""
    try:
        code = cli.main(prog_name="learn", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("\nlearn: stopped.", err=True)
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    sys.exit(code if isinstance(code, int) else 0)
