"""The display of ``learn watch``: on a terminal redrawn in place, with keys; otherwise line by line.

A terminal's alternate screen is used, and the terminal is restored however the command ends.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import click

from groundup.cli.context import find_workspace, say, shown
from groundup.cli.layout import wrapped
from groundup.cli.show import FURTHER, MARKS, show_diagnosis, show_property, show_verdict, summary
from groundup.cli.words import told, tr
from groundup.grader.process.text import printable

if TYPE_CHECKING:
    from groundup.core.technique import Technique
    from groundup.grader.judging.verdict import PropertyResult, Verdict

OTHER_SCREEN, OWN_SCREEN = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
TOP, END_OF_LINE, BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Screen:
    """Shows a grading line by line, for output that is no terminal. It has no keys."""

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self.technique: Technique
        self.path = Path()
        self.failing: dict[str, PropertyResult] = {}
        """Failing properties whose smallest case is not found yet."""

    @classmethod
    def of_this_terminal(cls, lang: str) -> Screen:
        """Return a Terminal if this process reads from and writes to one, else a plain Screen."""
        if sys.stdin.isatty() and sys.stdout.isatty() and sys.platform != "win32" and os.environ.get("TERM") != "dumb":
            return Terminal(lang)
        return Screen(lang)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        """Restore the terminal."""

    def begin(self, technique: Technique, path: Path) -> None:
        """Show that a grading begins."""
        self.technique, self.path, self.failing = technique, path, {}
        click.echo(tr("{id}: grading {path} ...", id=technique.id, path=printable(shown(path))))

    def tell(self, kind: str, data: dict[str, Any]) -> None:
        """Show an event: a failing property, a judged property, or the verdict."""
        from groundup.grader.judging.verdict import PropertyResult, Verdict

        if kind == "verdict":
            verdict = Verdict.model_validate(data)
            show_verdict(verdict, self.technique, self.lang)
            click.echo("\n".join([*_after(verdict, self.technique), ""]))
            return
        result = PropertyResult.model_validate(data)
        if kind == "failing" and result.id not in self.failing:
            self.failing[result.id] = result
            click.echo(_marked(result))

    def problem(self, text: str) -> None:
        """Show why there is no verdict, or another message."""
        click.echo(wrapped(told(text), first="  ") + "\n")

    def end(self) -> None:
        """Show that the grading has ended."""

    def keys(self) -> list[int]:
        """Return the descriptors that become readable when a key is pressed."""
        return []

    def pressed(self, ready: Sequence[int]) -> str:
        """Return the key that was pressed, if one was."""
        return ""

    def next_failure(self) -> bool:
        """Show the next failing property; return False if there is no further one."""
        return False

    def show_further_cases(self) -> None:
        """Show or hide the cases of further failing properties."""

    def show_hint(self, technique: Technique) -> None:
        """Show the next hint."""

    def show_lesson(self, technique: Technique) -> None:
        """Show the lesson."""


class Terminal(Screen):
    """Shows a grading in place on a terminal."""

    def __init__(self, lang: str) -> None:
        super().__init__(lang)
        self.results: dict[str, PropertyResult] = {}
        self.verdict: Verdict | None = None
        self.problems: list[str] = []
        self.way_on: list[str] = []
        """The lines of the next steps after a pass."""
        self.goes_on = False
        self.chosen = 0
        """Index of the failing property whose case is shown."""
        self.further = 0
        """How many failing properties after it have their case shown too."""
        self.over: str | None = None
        """Text that is shown over the screen until a key is pressed."""
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        import termios

        context = click.get_current_context()
        context.color = True if context.color is None else context.color
        self._settings = termios.tcgetattr(sys.stdin)
        ended: dict[int, Callable[[int, types.FrameType | None], None]] = dict.fromkeys(ENDING, _end)
        for number, handler in {**ended, signal.SIGTSTP: self._stop, signal.SIGWINCH: lambda *_: self.draw()}.items():
            self._handlers[number] = signal.signal(number, handler)
        self._enter()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._leave()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self.verdict:
            click.echo(f"{self.technique.id}: {summary(self.verdict)}")

    def begin(self, technique: Technique, path: Path) -> None:
        """Show that a grading begins."""
        self.technique, self.path, self.failing = technique, path, {}
        self.results, self.verdict, self.problems, self.chosen, self.goes_on = {}, None, [], 0, True
        self.way_on = []
        self.draw()

    def tell(self, kind: str, data: dict[str, Any]) -> None:
        """Show an event of the grading."""
        from groundup.grader.judging.verdict import PropertyResult, Verdict

        if kind == "verdict":
            self.verdict = Verdict.model_validate(data)
            self.results = {p.id: p for p in self.verdict.properties}
            self.way_on = _after(self.verdict, self.technique)
        else:
            result = PropertyResult.model_validate(data)
            if kind == "failing":
                self.failing[result.id] = result
            else:
                self.results[result.id] = result
        self.draw()

    def problem(self, text: str) -> None:
        """Show why there is no verdict, or another message."""
        self.problems.append(told(text))
        self.goes_on = False
        self.draw()

    def end(self) -> None:
        """Show that the grading has ended."""
        self.goes_on = False
        self.draw()

    def keys(self) -> list[int]:
        """Return the descriptors that become readable when a key is pressed."""
        return [sys.stdin.fileno()]

    def pressed(self, ready: Sequence[int]) -> str:
        """Return the key that was pressed; a key that closes a hint has no other effect."""
        if sys.stdin.fileno() not in ready:
            return ""
        came = os.read(sys.stdin.fileno(), 64)
        key = came[:1].decode("ascii", "replace").lower() if came else "q"  # the terminal is gone
        if self.over is not None and key != "q":
            self.over = None
            self.draw()
            return ""
        return key

    def next_failure(self) -> bool:
        """Show the next failing property; return False if there is no further one."""
        self.chosen += 1
        if self.chosen >= len(self._fallen_short()):
            self.chosen = 0
            self.draw()
            return False
        self.draw()
        return True

    def show_further_cases(self) -> None:
        """Show or hide the cases of further failing properties."""
        self.further = 0 if self.further else FURTHER
        self.draw()

    def show_hint(self, technique: Technique) -> None:
        """Show the next hint over the screen until a key is pressed."""
        from groundup.cli import hint

        self.over = _said(lambda: _run(hint.command, technique.id, "--lang", self.lang))
        self.over += "\n" + tr("Press any key to go on.") + "\n"
        self.draw()

    def show_lesson(self, technique: Technique) -> None:
        """Show the lesson as 'learn read' does, then return to this screen."""
        from groundup.cli import read

        self._leave()
        try:
            _run(read.command, technique.id, "--lang", self.lang)
        finally:
            self._enter()

    def draw(self) -> None:
        """Redraw the screen."""
        size = shutil.get_terminal_size()
        lines = self._lines(size.lines - 1)
        text = TOP + "".join(f"{line}{END_OF_LINE}\n" for line in lines) + BELOW
        os.write(sys.stdout.fileno(), text.encode(sys.stdout.encoding, "replace"))

    def _lines(self, most: int) -> list[str]:
        if self.over is not None:
            return self.over.splitlines()[-most:]
        keys = tr("n next   c cases   h hint   r lesson   q end")
        head = [
            click.style(self.technique.id, bold=True) + f"  {say(self.technique.title, self.lang)}",
            printable(shown(self.path)),
            "",
        ]
        foot = ["", *self._state(), "", click.style(keys, dim=True)]
        room = most - len(head) - len(foot)
        body = self._properties(compact=False)
        if len(body) > room:
            body = self._properties(compact=True)
        if len(body) > room:
            body = [*body[: max(room - 1, 0)], "  ..."]
        return [*head, *body, *foot][:most]

    def _properties(self, *, compact: bool) -> list[str]:
        """Return the properties' lines; if ``compact``, those that hold are only counted."""
        lines: list[str] = []
        found = self.failing | self.results
        fallen = self._fallen_short()
        chosen = fallen[self.chosen : self.chosen + 1 + self.further]
        held = sum(result.status == "held" for result in found.values())
        if compact and held:
            lines.append(f"  {click.style('✓', fg='green')} " + tr("{held} hold", held=held))
        for result in found.values():
            if result in chosen and (self.verdict or result.id in self.results):
                lines += _said(lambda result=result: show_property(result)).splitlines()  # type: ignore[misc]
            elif result.status in MARKS and not (compact and result.status == "held"):
                lines += _marked(result).splitlines()
        if self.verdict and not self.verdict.problem:
            lines += ["", *_said(lambda: show_diagnosis(self.verdict)).splitlines()]  # type: ignore[arg-type]
        return lines

    def _fallen_short(self) -> list[PropertyResult]:
        """Return the failing properties; once the verdict has chosen its main one, that comes first."""
        found = [r for r in (self.failing | self.results).values() if r.status in ("failed", "died", "not_gradable")]
        return sorted(found, key=lambda r: self.verdict is not None and r.id != self.verdict.says_most)

    def _state(self) -> list[str]:
        """Return the lines of the grading's state."""
        lines = [line for text in self.problems for line in wrapped(text, first="  ").splitlines()]
        if self.verdict:
            problem = [wrapped(told(self.verdict.problem), first="  ")] if self.verdict.problem else []
            lines += "\n".join([*problem, wrapped(summary(self.verdict), first="  "), *self.way_on]).splitlines()
        elif self.goes_on:
            lines.append("  " + tr("grading ..."))
        elif self.problems:
            lines.append("  " + tr("Not graded: it is tried again when you save."))
        return lines

    def _enter(self) -> None:
        import tty

        sys.stdout.flush()
        tty.setcbreak(sys.stdin)
        os.write(sys.stdout.fileno(), OTHER_SCREEN.encode())
        if hasattr(self, "technique"):
            self.draw()

    def _leave(self) -> None:
        import termios

        with contextlib.suppress(OSError, termios.error):  # the terminal may be gone
            os.write(sys.stdout.fileno(), OWN_SCREEN.encode())
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._settings)

    def _stop(self, _number: int, _frame: types.FrameType | None) -> None:
        """Handle Ctrl-Z: restore the terminal while this process is stopped."""
        self._leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._enter()


def _after(verdict: Verdict, technique: Technique) -> list[str]:
    """Return the lines of the next steps after a pass."""
    workspace = find_workspace()
    if not verdict.passed or workspace is None:
        return []
    from groundup.cli.course import what_follows

    return what_follows(workspace, technique)


def _end(number: int, _frame: types.FrameType | None) -> None:
    raise SystemExit(128 + number)


def _marked(result: PropertyResult) -> str:
    mark, colour = MARKS.get(result.status, ("·", "yellow"))
    return wrapped(told(result.claim), first=f"  {click.style(mark, fg=colour)} ")


def _said(say: Callable[[], None]) -> str:
    """Return what the call prints, with colours, or the message of the error that ends it."""
    from groundup.core.errors import GroundupError

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            say()
        except GroundupError as error:
            click.echo(told(error.message))
    return printed.getvalue()


def _run(command: click.Command, *arguments: str) -> None:
    """Run a command of ``learn``; its error is shown, and the watch continues."""
    from groundup.core.errors import GroundupError

    parent = click.get_current_context()
    try:
        with command.make_context(command.name, list(arguments), parent=parent) as context:
            command.invoke(context)
    except GroundupError as error:
        click.echo(told(error.message))
