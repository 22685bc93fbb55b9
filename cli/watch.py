"""``learn watch``."""

from __future__ import annotations

import os
import select
import threading
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from groundup.cli.context import (
    TechniqueName,
    attempt_in,
    broken_attempts,
    demand_containment,
    find_workspace,
    first_day,
    lang_option,
    language,
    registry,
    roadmap_of,
    saved_last,
    stop_at_a_broken_one,
    technique_named,
)
from groundup.cli.words import tr
from groundup.core.errors import NoWorkspace, UnknownName, UsageProblem
from groundup.core.messages import Message

if TYPE_CHECKING:
    from groundup.cli.judging import Event, Grade, Judging
    from groundup.cli.screen import Screen
    from groundup.core.technique import Technique
    from groundup.grader.learner.workspace import Workspace

STEP_MS, MOST_MS = 10, 60  # debounce of saves: editors write a file, or several, in steps
AGAIN_SECONDS = 0.1  # between checks whether the judge is ready


@click.command("watch", short_help="Grade on every save.")
@click.argument("technique", metavar="[DAY|TECHNIQUE]", type=TechniqueName(days=True), required=False)
@lang_option
def command(technique: str | None, lang: str | None) -> None:
    """Grade your attempt each time that you save it, and show in place what holds.

    Without a name, it grades what you last worked on; saving another attempt switches to that one. What failed last is
    tried first, and a failure is shown as soon as it is found. A save cancels the running grading and starts a new
    one. Verdicts are recorded, as by 'learn grade'.

    \b
    Keys  n  the next property that fails, then the next technique
          c  the cases of up to two further properties that fail
          h  the next hint
          r  the lesson
          q  end

    \b
    learn watch        what you last worked on
    learn watch ppo    one technique
    learn watch day-7  the attempts of a day
    """
    workspace = find_workspace()
    if workspace is None:
        raise NoWorkspace("There is no workspace here. 'learn start {name}' makes one.", name=first_day())
    spoken = language(lang)
    demand_containment(workspace)
    attempts = _attempts(technique, workspace)
    from groundup.cli.judging import Judging
    from groundup.cli.screen import Screen

    with (
        Judging(saved_last(attempts)) as judging,
        Saves(attempts.values()) as saves,
        Screen.of_this_terminal(spoken) as screen,
    ):
        Watching(attempts, judging, saves, screen, ["--lang", lang] if lang else []).run()


class Watching:
    """Grades the current attempt whenever it is saved."""

    def __init__(
        self,
        attempts: dict[str, Path],
        judging: Judging,
        saves: Saves,
        screen: Screen,
        options: Sequence[str],
    ) -> None:
        self.attempts, self.judging, self.saves, self.screen, self.options = attempts, judging, saves, screen, options
        self.current = saved_last(attempts)
        self.graded: bytes | None = None
        """The attempt's content at the start of the latest grading."""
        self.grade: Grade | None = None
        self.is_due = True

    @property
    def technique(self) -> Technique:
        """The current technique."""
        return registry().techniques[self.current]

    def run(self) -> None:
        """Run the event loop until the learner quits."""
        self.screen.begin(self.technique, self.attempts[self.current])
        try:
            while True:
                if self.is_due and self.judging.is_ready:
                    self.begin()
                waits = [self.saves.tells, *self.screen.keys()]
                waits += [self.grade.output] if self.grade else []
                ready, _, _ = select.select(waits, [], [], AGAIN_SECONDS if self.is_due else None)
                if self.saves.tells in ready:
                    self.saved(self.saves.take())
                if self.grade and self.grade.output in ready:
                    self.hear(list(self.grade.events()))
                if (key := self.screen.pressed(ready)) and not self.press(key):
                    return
        finally:
            self.abandon()

    def saved(self, paths: set[Path]) -> None:
        """Grade the current attempt if it is among those saved, or else the one saved last."""
        of = {t: path for t, path in self.attempts.items() if path in paths}
        if of:
            self.go_to(self.current if self.current in of else saved_last(of))

    def go_to(self, technique: str) -> None:
        """Switch to the attempt at that technique and grade it."""
        if technique != self.current:
            self.graded = None
        self.current, self.is_due = technique, True

    def begin(self) -> None:
        """Start grading the current attempt, unless its text is the same as at the last start."""
        self.is_due = False
        path = self.attempts[self.current]
        try:
            content = path.read_bytes()
        except OSError:  # it is being replaced, or was deleted: a new file is another save
            return
        if content == self.graded:
            return
        self.abandon()
        self.graded = content
        self.screen.begin(self.technique, path)
        if problem := _no_python(content):
            self.screen.problem(problem)
            return
        self.grade = self.judging.begin(self.current, self.options)

    def abandon(self) -> None:
        """Cancel the running grading."""
        if self.grade:
            self.grade.abandon()
            self.grade = None

    def hear(self, events: Sequence[Event]) -> None:
        """Show the grading's new events."""
        for event in events:
            if event.kind == "ended":
                self.grade = None
                self.screen.end()
            elif event.kind == "problem":
                self.screen.problem(event.data.removeprefix("learn: "))
            else:
                self.screen.tell(event.kind, event.data)

    def press(self, key: str) -> bool:
        """Handle a key; return False to quit."""
        if key == "q":
            return False
        if key == "n" and not self.screen.next_failure():
            techniques = list(self.attempts)
            self.go_to(techniques[(techniques.index(self.current) + 1) % len(techniques)])
        elif key == "c":
            self.screen.show_further_cases()
        elif key == "h":
            self.screen.show_hint(self.technique)
        elif key == "r":
            self.screen.show_lesson(self.technique)
        return True


class Saves:
    """Watches for saves in a background thread. ``tells`` is readable when there are saves to take."""

    def __init__(self, files: Iterable[Path]) -> None:
        self.files = set(files)
        self.tells, self._told = os.pipe()
        self._lock = threading.Lock()
        self._saved: set[Path] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Saves:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()
        os.close(self.tells)
        os.close(self._told)

    def take(self) -> set[Path]:
        """Return the files that were saved since the last call."""
        os.read(self.tells, 4096)
        with self._lock:
            saved, self._saved = self._saved, set()
        return saved

    def _listen(self) -> None:
        from watchfiles import watch

        # The folders, not the files: many editors save by replacing the file.
        folders = {path.parent for path in self.files}
        changes = watch(
            *folders, watch_filter=None, debounce=MOST_MS, step=STEP_MS, rust_timeout=200, yield_on_timeout=True,
            stop_event=self._stop, recursive=False, raise_interrupt=False,
        )  # fmt: skip
        for changed in changes:
            saved = {Path(name) for _, name in changed} & self.files
            if saved:
                with self._lock:
                    self._saved |= saved
                os.write(self._told, b"s")


def _attempts(name: str | None, workspace: Workspace) -> dict[str, Path]:
    """Return the watched attempts by technique. Raises UsageProblem if there are none."""
    everything = {t.id: workspace.attempt_path(t).resolve() for t in registry().techniques.values()}
    started = {id: path for id, path in everything.items() if path.is_file()}
    if name is None:
        if not started:
            for problem in broken_attempts(workspace):
                raise problem
            raise UsageProblem(
                "You have started nothing yet: 'learn start {day}' puts the first stubs there.", day=first_day()
            )
        return started
    days = {day.name: day for day in roadmap_of(workspace).days}
    if name not in days:
        technique = _named(name, list(days))
        return {technique.id: attempt_in(workspace, technique).resolve()}
    of_the_day = {id: path for id, path in started.items() if id in days[name].techniques}
    if not of_the_day:
        stop_at_a_broken_one(days[name].techniques)
        raise UsageProblem("You have started nothing of {name}: 'learn start {name}' puts its stubs there.", name=name)
    return of_the_day


def _named(name: str, days: Sequence[str]) -> Technique:
    try:
        return technique_named(name)
    except UnknownName as error:
        if name.startswith("day"):
            raise UnknownName(Message("day or technique"), name, [*days, *registry().techniques]) from error
        raise


def _no_python(content: bytes) -> str | None:
    """Return the syntax error of a file, or None. A file with one may be half-saved, and is not graded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file's own warnings would be printed over the screen
            compile(content, "attempt", "exec", dont_inherit=True)
    except SyntaxError as error:
        where = tr("line {line}", line=error.lineno or 1)
        return f"SyntaxError, {where}: {error.msg}"
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return f"{type(error).__name__}: {error}"
    return None
