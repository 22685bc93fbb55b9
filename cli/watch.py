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

STEP_MS, MOST_MS = 10, 60  # how long a save may go on: editors write a file, or several, in steps
AGAIN_SECONDS = 0.1  # between looks at whether the judge has come


@click.command("watch", short_help="Grade on every save.")
@click.argument("technique", metavar="[DAY|TECHNIQUE]", type=TechniqueName(days=True), required=False)
@lang_option
def command(technique: str | None, lang: str | None) -> None:
    """Grade your attempt each time that you save it, and show in place what holds.

    Without a name it is what you last worked on; saving another attempt goes over to that one. What failed last is
    tried first, and a failure is shown as soon as it is found. A save ends the grading that goes on and begins anew.
    Verdicts are recorded as those of 'learn grade' are.

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
    """Grades one attempt, the current one, whenever it is saved."""

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
        """What the file held when the latest grading began."""
        self.grade: Grade | None = None
        self.is_due = True

    @property
    def technique(self) -> Technique:
        """The current technique."""
        return registry().techniques[self.current]

    def run(self) -> None:
        """Go on until the learner ends it."""
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
        """Have graded what was saved: the current attempt, or else the one that was saved last."""
        of = {t: path for t, path in self.attempts.items() if path in paths}
        if of:
            self.go_to(self.current if self.current in of else saved_last(of))

    def go_to(self, technique: str) -> None:
        """Have the attempt at the technique of that id graded."""
        if technique != self.current:
            self.graded = None
        self.current, self.is_due = technique, True

    def begin(self) -> None:
        """Begin to grade the current attempt, unless it reads as when it was last begun."""
        self.is_due = False
        path = self.attempts[self.current]
        try:
            content = path.read_bytes()
        except OSError:  # it is being replaced, or is gone: what comes in its place is a save again
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
        """End the grading that goes on."""
        if self.grade:
            self.grade.abandon()
            self.grade = None

    def hear(self, events: Sequence[Event]) -> None:
        """Show what a grading tells."""
        for event in events:
            if event.kind == "ended":
                self.grade = None
                self.screen.end()
            elif event.kind == "problem":
                self.screen.problem(event.data.removeprefix("learn: "))
            else:
                self.screen.tell(event.kind, event.data)

    def press(self, key: str) -> bool:
        """Do what a key asks for; return whether to go on."""
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
    """Hears of saves in the background. ``tells`` is readable when there is something to take."""

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
        """Return the files that were saved since this was last asked."""
        os.read(self.tells, 4096)
        with self._lock:
            saved, self._saved = self._saved, set()
        return saved

    def _listen(self) -> None:
        from watchfiles import watch

        # The folders, not the files: many editors put a new file in the place of the old one.
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
    """Return the learner's files that are watched, by technique. Raises UsageProblem where there are none."""
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
    """Return what keeps a file that was just written from being Python: it may be half-saved, and is not graded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file's own: they would be written over the screen
            compile(content, "attempt", "exec", dont_inherit=True)
    except SyntaxError as error:
        where = tr("line {line}", line=error.lineno or 1)
        return f"SyntaxError, {where}: {error.msg}"
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return f"{type(error).__name__}: {error}"
    return None
