"""``learn watch``: it grades each save, what it shows, and that it restores the terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from groundup.cli import watch
from groundup.cli.context import registry
from groundup.cli.judging import Event
from groundup.cli.screen import Screen, Terminal
from groundup.grader.learner.state import State
from groundup.grader.learner.workspace import Workspace

LEARN = str(Path(sys.executable).with_name("learn"))
PATIENCE = 120.0  # seconds: no test waits that long unless something is broken
WRONG = ("x * factor", "x + factor")


# What is watched


def attempts(name: str | None) -> list[str]:
    return list(watch._attempts(name, Workspace.find()))


def test_without_a_name_it_is_all_that_was_started(learn: Any, plugins: Any, here: Path) -> None:
    for name in ("scale", "shift", "turn"):
        plugins.technique(name)
    learn("start", "scale")
    learn("start", "turn")
    assert attempts(None) == ["toys/scale", "toys/turn"]
    assert attempts("turn") == ["toys/turn"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["watch"], "You have started nothing yet: 'learn start day-1' puts the first stubs there."),
        (["watch", "day-1"], "You have started nothing of day-1: 'learn start day-1' puts its stubs there."),
        (["watch", "scale"], "There is no workspace/toys/scale.py yet: 'learn start scale' puts the stub there."),
        (["watch", "scael"], "No technique 'scael'. Did you mean 'toys/scale'?"),
        (["watch", "day-99"], "No day or technique 'day-99'."),
    ],
)
def test_what_cannot_be_watched_is_told(learn: Any, toy: Path, here: Path, arguments: list[str], says: str) -> None:
    Workspace.create(here / "workspace")
    result = learn(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"learn: {says}")


def test_without_a_workspace_it_says_how_to_make_one(learn: Any) -> None:
    result = learn("watch")
    assert (result.exit_code, result.stderr) == (
        2,
        "learn: There is no workspace here. 'learn start day-1' makes one.\n",
    )


# Saves


@pytest.fixture
def saved(tmp_path: Path) -> Iterator[watch.Saves]:
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "b.py").write_text("1")
    with watch.Saves([tmp_path / "a.py", tmp_path / "b.py"]) as saves:
        deadline = time.monotonic() + PATIENCE
        while not select.select([saves.tells], [], [], 0.1)[0]:  # starting to listen takes a moment
            (tmp_path / "b.py").write_text("2")
            assert time.monotonic() < deadline
        time.sleep(0.5)
        saves.take()
        yield saves


@pytest.mark.parametrize("how", ["in place", "by renaming", "removed first"])
def test_a_save_is_heard_however_the_editor_writes(saved: watch.Saves, tmp_path: Path, how: str) -> None:
    file = tmp_path / "a.py"
    if how == "by renaming":
        (tmp_path / "a.py~").write_text("2")
        (tmp_path / "a.py~").replace(file)
    else:
        if how == "removed first":
            file.unlink()
        file.write_text("2")
    assert select.select([saved.tells], [], [], PATIENCE)[0]
    assert saved.take() == {file}


def test_other_files_are_not_heard_of(saved: watch.Saves, tmp_path: Path) -> None:
    (tmp_path / "c.py").write_text("2")
    (tmp_path / ".a.py.swp").write_text("2")
    (tmp_path / "a.py").write_text("2")
    assert select.select([saved.tells], [], [], PATIENCE)[0]
    assert saved.take() == {tmp_path / "a.py"}


# Grades that are started and abandoned


class Fake:
    """Stands in for a grading, its judge and the screen; records the calls of each."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.is_ready = True
        self.output = -1

    def begin(self, *arguments: Any) -> Any:
        first, *options = arguments
        self.done.append(("begin", [first, *options[0]] if isinstance(first, str) else first.id))
        return self

    def abandon(self) -> None:
        self.done.append("abandon")

    def problem(self, text: str) -> None:
        self.done.append(text)

    def end(self) -> None:
        self.done.append("end")

    def next_failure(self) -> bool:
        return False


@pytest.fixture
def watching(learn: Any, plugins: Any, here: Path) -> tuple[watch.Watching, Fake, Fake]:
    for name in ("scale", "turn"):
        plugins.technique(name)
        learn("start", name)
    files = watch._attempts(None, Workspace.find())
    os.utime(files["toys/scale"], (0, 0))
    judge, screen = Fake(), Fake()
    return watch.Watching(files, judge, None, screen, ["--lang", "zh"]), judge, screen  # type: ignore[arg-type]


def test_it_begins_with_what_was_saved_last(watching: Any) -> None:
    watched, judge, _ = watching
    watched.begin()
    assert judge.done == [("begin", ["toys/turn", "--lang", "zh"])]


def test_a_save_ends_what_goes_on_and_begins_anew(watching: Any) -> None:
    watched, judge, _ = watching
    watched.begin()
    file = watched.attempts["toys/turn"]
    file.write_text(file.read_text() + "# more\n")
    watched.saved({file})
    assert watched.is_due
    watched.begin()
    assert judge.done[1:] == ["abandon", ("begin", ["toys/turn", "--lang", "zh"])]


def test_a_save_that_changes_nothing_lets_it_go_on(watching: Any) -> None:
    watched, judge, _ = watching
    watched.begin()
    watched.saved({watched.attempts["toys/turn"]})
    watched.begin()
    assert len(judge.done) == 1


def test_saving_another_attempt_goes_over_to_it(watching: Any) -> None:
    watched, judge, _ = watching
    watched.begin()
    watched.saved({watched.attempts["toys/scale"]})
    watched.begin()
    assert judge.done[1:] == ["abandon", ("begin", ["toys/scale", "--lang", "zh"])]


@pytest.mark.parametrize(
    ("text", "says"),
    [("def scale(x, by:\n", "SyntaxError, line 1: "), ("a\0", "null bytes"), ("x = '\\d'\n", None), ("", None)],
    ids=["half", "zeros", "warns", "empty"],
)
def test_a_half_saved_file_is_told_and_not_graded(watching: Any, text: str, says: str | None) -> None:
    watched, judge, screen = watching
    watched.attempts["toys/turn"].write_text(text)
    watched.begin()
    assert bool(judge.done) == (says is None)
    assert says is None or says in screen.done[-1]


def test_a_file_that_is_being_replaced_is_waited_for(watching: Any) -> None:
    watched, judge, _ = watching
    file = watched.attempts["toys/turn"]
    text = file.read_text()
    file.unlink()
    watched.begin()
    assert (judge.done, watched.is_due) == ([], False)
    file.write_text(text)
    watched.saved({file})
    watched.begin()
    assert len(judge.done) == 1


def test_what_stops_a_grading_is_shown_in_its_own_words(watching: Any) -> None:
    watched, _, screen = watching
    watched.begin()
    watched.hear([Event("problem", "learn: The machine is broken."), Event("ended")])
    assert screen.done[-2:] == ["The machine is broken.", "end"]
    assert watched.grade is None


def test_n_goes_to_the_next_technique_when_no_failure_is_left_and_q_ends(watching: Any) -> None:
    watched, judge, _ = watching
    watched.begin()
    assert watched.press("n")
    watched.begin()
    assert judge.done[-1] == ("begin", ["toys/scale", "--lang", "zh"])
    assert watched.press("x")
    assert not watched.press("q")


# What is shown


def result(name: str, status: str, **details: Any) -> dict[str, Any]:
    return {"id": name, "claim": f"Claim {name}.", "status": status, **details}


def on(screen: Screen, toy: Path) -> Screen:
    screen.begin(registry().technique("scale"), toy / "scale.py")
    return screen


def test_without_a_terminal_lines_come_one_after_the_other(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    screen = on(Screen("en"), toy)
    for _ in range(2):
        screen.tell("failing", result("one", "failed"))
    screen.problem("Something.")
    assert capsys.readouterr().out == f"toys/scale: grading {toy / 'scale.py'} ...\n  ✗ Claim one.\n  Something.\n\n"
    assert screen.keys() == []


@pytest.fixture
def terminal(toy: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setattr(Terminal, "draw", lambda self: None)
    with click.Context(click.Command("watch")).scope():
        yield on(Terminal("en"), toy)  # type: ignore[misc]


def lines(screen: Terminal, most: int = 40) -> list[str]:
    return [click.unstyle(line) for line in screen._lines(most)]


def test_what_fails_is_shown_first_and_what_holds_is_counted_where_there_is_no_room(terminal: Terminal) -> None:
    for number in range(6):
        terminal.tell("result", result(f"h{number}", "held"))
    terminal.tell("failing", result("f", "failed"))
    assert lines(terminal)[3:10] == ["  ✗ Claim f.", *(f"  ✓ Claim h{n}." for n in range(6))]
    assert "grading ..." in lines(terminal)[-3]
    assert lines(terminal, 10)[3:5] == ["  ✓ 6 hold", "  ✗ Claim f."]
    assert len(lines(terminal, 8)) == 8


def test_n_shows_one_failing_case_after_the_other(terminal: Terminal) -> None:
    for name in "fg":
        terminal.tell("result", result(name, "failed", message=f"wrong {name}"))
    assert "      wrong f" in lines(terminal)
    assert terminal.next_failure()
    assert "      wrong g" in lines(terminal)
    assert "      wrong f" not in lines(terminal)
    assert not terminal.next_failure()


def test_c_shows_further_cases_and_leaves_them_out_again(terminal: Terminal) -> None:
    for name in "fghi":
        terminal.tell("result", result(name, "failed", message=f"wrong {name}"))
    for wanted in ("fgh", "f"):
        terminal.show_further_cases()
        assert [line.split()[1] for line in lines(terminal) if line.startswith("      wrong")] == list(wanted)


# The command


class Typed:
    """``learn watch`` on a pseudo-terminal."""

    def __init__(self, folder: Path, environment: dict[str, str], *arguments: str) -> None:
        self.main, self.other = pty.openpty()
        fcntl.ioctl(self.other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.settings = termios.tcgetattr(self.other)
        self.shown = b""
        self.process = subprocess.Popen(
            [LEARN, "watch", *arguments], cwd=folder, env=environment, stdin=self.other, stdout=self.other,
            stderr=self.other, start_new_session=True,
        )  # fmt: skip

    def until(self, *texts: str) -> str:
        """Read until the screen shows all of the texts, and return that screen."""
        deadline = time.monotonic() + PATIENCE
        while not all(text in self.screen() for text in texts):
            assert time.monotonic() < deadline, f"not shown: {texts}\n{self.screen()}"
            assert self.process.poll() is None, self.screen()
            self.read()
        return self.screen()

    def read(self) -> None:
        if select.select([self.main], [], [], 0.05)[0]:
            self.shown += os.read(self.main, 1 << 16)

    def screen(self) -> str:
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.shown.decode(errors="replace").rpartition("\x1b[H")[2])
        return text.replace("\r\n", "\n")

    def clear(self) -> None:
        self.shown = b""

    def press(self, key: str) -> None:
        os.write(self.main, key.encode())

    def ended(self) -> int:
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline
            self.read()
        self.read()
        return self.process.returncode

    def is_as_it_was(self) -> bool:
        return (
            termios.tcgetattr(self.other) == self.settings
            and self.shown.rstrip().rpartition(b"\x1b[?1049")[2][:1] == b"l"
        )

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.main)
        os.close(self.other)


@pytest.fixture
def typed(learn: Any, toy: Path, plugins: Any, here: Path) -> Iterator[Any]:
    learn("start", "scale")
    environment = {**os.environ, "PYTHONPATH": str(plugins.site), "TERM": "xterm"}
    for name in ("COLUMNS", "LESS", "PAGER"):
        environment.pop(name, None)
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, **more: str) -> Typed:
            started = Typed(here, environment | more, *arguments)
            stack.callback(started.close)
            return started

        yield start


def below(process: int) -> list[int]:
    """Return the running child processes of a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == process:
                found.append(int(path.parent.name))
    return found


@pytest.mark.soak
def test_an_afternoon_of_saves_and_keys(typed: Any, toy: Path, here: Path) -> None:
    solution = (toy / "solution.py").read_text()
    attempt = here / "workspace" / "toys" / "scale.py"
    watched: Typed = typed("scale")
    watched.until("Not started", "q end")
    attempt.write_text(solution.replace(*WRONG))
    watched.until("✗ Times one nothing changes.", "This is what adds does.", "properties hold")
    watched.press("n")
    watched.clear()
    watched.until("✗ It gives what the reference gives.", "expected")
    attempt.write_text("def scale(x, by:")
    watched.until("SyntaxError, line 1", "Not graded: it is tried again when you save.")
    other = attempt.with_name("scale.py~")
    other.write_text(solution)
    other.replace(attempt)
    watched.until("Passed: all 3 properties hold.")
    watched.press("h")
    watched.until("Which dtype?", "Press any key to go on.")
    watched.press(" ")
    watched.clear()
    watched.until("q end")
    children = below(watched.process.pid)
    watched.press("q")
    assert watched.ended() == 0
    assert watched.is_as_it_was()
    assert children
    assert below(watched.process.pid) == []
    with State(here / "workspace" / ".learn" / "learn.db") as state:
        assert [v.outcome for v in state.verdicts("toys/scale")] == ["passed", "fell_short", "not_started"]


@pytest.mark.soak
@pytest.mark.skipif(shutil.which("less") is None, reason="the pager is less")
@pytest.mark.parametrize("options", [{}, {"LESS": "-S"}], ids=["any", "without colours"])
def test_the_lesson_is_paged_without_escape_codes(typed: Any, toy: Path, options: dict[str, str]) -> None:
    (toy / "lesson.md").write_text("# Scaling\n\n" + "It is a *factor*.\n\n" * 60)
    watched: Typed = typed("scale", **options)
    watched.until("q end")
    watched.clear()
    watched.press("r")
    while b"It is a" not in watched.shown:
        watched.read()
    watched.press("q")
    watched.until("q end")
    assert b"ESC" not in watched.shown
    assert b"^[" not in watched.shown
    watched.press("q")
    assert watched.ended() == 0
    assert watched.is_as_it_was()


@pytest.mark.soak
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_however_it_ends_the_terminal_is_as_it_was(typed: Any, number: signal.Signals, code: int) -> None:
    watched: Typed = typed()
    watched.until("q end")
    watched.process.send_signal(number)
    assert watched.ended() == code
    assert watched.is_as_it_was()
    assert below(watched.process.pid) == []


@pytest.mark.soak
def test_a_save_in_the_middle_of_a_grade_abandons_it(typed: Any, toy: Path, here: Path) -> None:
    solution = (toy / "solution.py").read_text()
    attempt = here / "workspace" / "toys" / "scale.py"
    attempt.write_text(solution.replace("return result", "while True: pass"))
    watched: Typed = typed("scale", "--lang", "zh")
    watched.until("正在评判")
    time.sleep(5)  # by now the attempt usually hangs
    attempt.write_text(solution)
    watched.until("通过：")
    watched.press("q")
    assert watched.ended() == 0


@pytest.mark.soak
def test_piped_it_writes_lines_until_it_is_stopped(learn: Any, toy: Path, here: Path, command: Any) -> None:
    learn("start", "scale")
    attempt = here / "workspace" / "toys" / "scale.py"
    process = command("watch", "scale")
    for wanted in ("toys/scale: grading workspace/toys/scale.py ...", "  Not started: every hole is still empty."):
        assert wanted in iter(lambda: process.stdout.readline().rstrip("\n"), None)
    attempt.write_text((toy / "solution.py").read_text().replace(*WRONG))
    assert "  ✗ Times one nothing changes." in iter(lambda: process.stdout.readline().rstrip("\n"), None)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (130, "learn: stopped.\n")
