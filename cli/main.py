"""The ``learn`` command. Nothing here imports a plugin, torch or pytest; each command imports what it needs."""

from __future__ import annotations

import importlib
import io
import os
import sys
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from groundup.cli.context import TOLD, lang_option, speak_first
from groundup.cli.names import COMMANDS, called, spoken
from groundup.cli.words import placeholders, spoken_language, told, tr
from groundup.core.messages import Message

CLOSE = 0.75  # similarity from which a plugin's command is suggested; built-in commands are suggested at a lower one
ELSEWHERE = {  # names that other tools use
    **dict.fromkeys(("test", "check", "submit", "verify", "run-tests"), "grade"),
    **dict.fromkeys(("lesson", "learn", "show"), "read"),
    **dict.fromkeys(("progress", "score"), "status"),
    **dict.fromkeys(("report", "export"), "brief"),
    **dict.fromkeys(("lab", "demo"), "run"),
    **dict.fromkeys(("answer", "reference"), "solution"),
    **dict.fromkeys(("init", "begin"), "start"),
}
HELP = """Learn LLM systems by building every mechanism yourself.

Start with a day of the roadmap ('learn list' shows them) or with one technique ('learn start ppo'), fill the holes
in the stubs, and have them graded ('learn grade ppo'). 'learn' alone says what comes next, 'learn next' does it.

\b
Exit codes  0  all held, or done
            1  the attempt fell short
            2  the command was not understood
            3  a plugin or this machine is broken
"""


class Problem(click.ClickException):
    """Presents a GroundupError to click: its message and its exit code."""

    def __init__(self, message: str, exit_code: int, *, is_told: bool = False) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]
        self.is_told = is_told

    def show(self, file: Any = None) -> None:
        """Print the message to stderr, unless it was already reported while plugins were loaded."""
        if not self.is_told:
            click.echo(f"learn: {spoken(self.message)}", err=True)


class Refusal(click.ClickException):
    """A usage error of click. click prints it in the learner's language, from our catalogue."""

    def __init__(self, error: click.ClickException) -> None:
        super().__init__(error.format_message())
        self.error = error
        self.exit_code = error.exit_code  # type: ignore[misc]

    def show(self, file: Any = None) -> None:
        """Print click's message, with the parameter's name as in the help."""
        error = self.error
        if isinstance(error, click.BadParameter) and isinstance(error.ctx, Spoken) and error.param is not None:
            error.param_hint = error.param_hint or placeholders(error.param.get_error_hint(error.ctx))
        error.show()


class Spoken(click.Context):
    """The context of a built-in command."""

    def make_formatter(self) -> click.HelpFormatter:
        """Return the help formatter."""
        from groundup.cli.help import SpokenHelp

        return SpokenHelp(width=self.terminal_width, max_width=self.max_content_width)


class Learn(click.Group):
    """The group of commands. Each is imported when called; plugins are loaded only if no built-in has the name."""

    context_class = Spoken

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the built-in commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command called ``cmd_name``: a built-in, or else a plugin's."""
        if cmd_name in COMMANDS:
            module = importlib.import_module(f"groundup.cli.{cmd_name.replace('-', '_')}")
            return _spoken(module.command)
        return None if ctx.resilient_parsing else _of_plugins().get(cmd_name)  # completing imports no plugin

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or fail with a suggestion."""
        import difflib

        from groundup.core.errors import UnknownName, UsageProblem

        if args[0] in COMMANDS:
            return args[0], self.get_command(ctx, args[0]), args[1:]
        if args[0].startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        others = _of_plugins()
        if args[0] in others:
            return args[0], others[args[0]], args[1:]
        if args[0] in ELSEWHERE:
            there = " ".join(["learn", ELSEWHERE[args[0]], *args[1:]])
            raise UsageProblem("No command {name!r}. Did you mean '{command}'?", name=args[0], command=there)
        meant = difflib.get_close_matches(args[0], others, cutoff=CLOSE)
        raise UnknownName(Message("command"), args[0], [*COMMANDS, *meant], Message("'learn --help' lists them."))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command without importing it, or an option."""
        names = [CompletionItem(n, help=told(h)) for n, h in COMMANDS.items() if n.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section(told("Commands")):
            formatter.write_dl(list(COMMANDS.items()))

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Set the language before parsing the command line, so that a usage error is in it."""
        speak_first(args)
        self._help_option = None  # as in _spoken
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.ClickException as error:
            raise Refusal(error) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a GroundupError becomes its message and exit code."""
        from groundup.core.errors import EXIT_BROKEN, GroundupError, reason_of

        try:
            _need_a_folder()
            return super().invoke(ctx)
        except GroundupError as error:
            raise Problem(told(error.message), error.exit_code, is_told=error in ctx.meta.get(TOLD, ())) from error
        except click.ClickException as error:
            raise Refusal(error) from error
        except KeyboardInterrupt:
            raise click.Abort from None
        except OSError as error:
            if error.filename is None:
                raise
            raise Problem(f"{error.filename}: {told(reason_of(error))}.", EXIT_BROKEN) from error


@click.group(
    cls=Learn, help=HELP, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="groundup", prog_name="learn", message="%(prog)s %(version)s")
@lang_option
@click.pass_context
def cli(ctx: click.Context, lang: str | None) -> None:
    """Without a command: how far you are, and the next step."""
    if os.environ.get("NO_COLOR"):
        ctx.color = False
    if ctx.invoked_subcommand is None:
        importlib.import_module("groundup.cli.next").overview(lang)
    elif lang:
        ctx.default_map = {ctx.invoked_subcommand: {"lang": lang}}


def run() -> int:
    """Run the command that ``sys.argv`` names and return its exit code.

    Ctrl-C gives exit code 130, as in a shell. An unexpected exception gives 3, not 1.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # for characters that the terminal lacks
    from groundup.grader.process import interrupt

    interrupt.watch()
    try:
        code: Any = cli.main(prog_name=called(), complete_var="_LEARN_COMPLETE", standalone_mode=False)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            raise
        code = ended.code or 0
    except click.Abort:
        code = stopped()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except Exception:
        code = broken()
    return code if isinstance(code, int) else 0


def stopped() -> int:
    """Say that Ctrl-C has ended the command; return its exit code."""
    text = "learn: " + tr("stopped.")
    click.echo(("\n" if sys.stderr.isatty() else "") + text, err=True)  # after the terminal's ^C
    return 130


def broken() -> int:
    """Report the current exception as unexpected; return its exit code."""
    import traceback

    from groundup.core.errors import EXIT_BROKEN

    traceback.print_exc()
    fault = tr("your attempt is not at fault. Please report this, with the lines above.")
    click.echo(f"learn: {fault}", err=True)
    return EXIT_BROKEN


def _spoken(command: click.Command) -> click.Command:
    """Have a built-in command and its subcommands print help in the learner's language."""
    command.context_class = Spoken
    command._help_option = None  # click caches it in the language of that moment
    for below in getattr(command, "commands", {}).values():
        _spoken(below)
    return command


def _need_a_folder() -> None:
    from groundup.core.errors import UsageProblem

    try:
        Path.cwd()
    except OSError:
        raise UsageProblem("The folder that you are in is gone: go to another one.") from None


def _of_plugins() -> dict[str, click.Command]:
    """Return the plugins' commands. A broken one is reported and left out."""
    from groundup.cli.context import locale_of, registry
    from groundup.cli.plugin_commands import owned, plugin_commands

    known = registry()
    found, problems = plugin_commands(known, COMMANDS)
    for problem in problems:
        click.echo(f"learn: {told(problem.message)}", err=True)
    commands = {name: (owned(command, plugin), plugin) for name, (plugin, command) in found.items()}
    return {
        name: _spoken(command) if (locale_of(known, plugin) / spoken_language()).is_dir() else command
        for name, (command, plugin) in commands.items()
    }
