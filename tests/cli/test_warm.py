"""The warm judge: what is graded there looks as if the command itself had graded it, and nothing is left behind."""

from __future__ import annotations

import contextlib
import functools
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import groundup.solutions
from groundup.cli import doctor, warm
from groundup.grader.learner.state import State

LEARN = str(Path(sys.executable).with_name("learn"))
PATIENCE = 120.0  # seconds: no test waits that long unless something is broken
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no warm judge")
whole = pytest.mark.soak  # commands as processes of their own, each importing everything


class Warmed:
    """A user of their own: a folder with a workspace, the toy technique, and a folder for the warm judge."""

    def __init__(self, folder: Path, plugins: Any, soon: Callable[..., bool]) -> None:
        self.folder, self.sockets = folder, folder / "run"
        self.soon = functools.partial(soon, seconds=PATIENCE)
        self.sockets.mkdir(mode=0o700)
        self.toy: Path = plugins.technique()
        self.solution = (self.toy / "solution.py").read_text()
        self.environment = {
            **os.environ, "PYTHONPATH": str(plugins.site), "XDG_RUNTIME_DIR": str(self.sockets), "COLUMNS": "100",
            "LEARN_WARM": "1",
        }  # fmt: skip
        assert self.learn("start", "scale").returncode == 0
        self.attempt = folder / "workspace" / "toys" / "scale.py"

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [LEARN, *arguments], cwd=self.folder, env=self.environment | environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def learn(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def asked(self) -> dict[str, Any] | None:
        """Return what the warm judge says of itself."""
        for socket in self.sockets.glob("*/*.socket"):
            with contextlib.suppress(TimeoutError):
                return warm.ask(warm.Place(socket.parent, socket.stem))
        return None

    def judge(self) -> int:
        """Return the process of the warm judge; where none runs, a grade starts one."""
        for _ in range(3):  # it does not stay when a source is edited while it starts
            if (told := self.asked()) is not None:
                return int(told["pid"])
            self.attempt.write_text(self.solution)
            assert self.learn("grade", "scale").returncode == 0
            deadline = time.monotonic() + PATIENCE / 3
            while self.asked() is None and time.monotonic() < deadline:
                time.sleep(0.1)
        raise AssertionError("\n".join(p.read_text() for p in self.sockets.glob("*/*.log")) or "none came")

    def grades(self) -> int:
        """Return how many gradings it has made."""
        return int((self.asked() or {"grades": -1})["grades"])

    def there(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        """Run a grade that the warm judge makes."""
        for _ in range(3):  # an edit of a source while the tests run ends a judge
            self.judge()
            before = self.grades()
            ended = self.learn(*arguments, **environment)
            if self.grades() == before + 1:
                return ended
        raise AssertionError("no warm judge has taken it")

    def end(self) -> None:
        """End the warm judge, one that is still starting as soon as it listens."""

        def ended() -> bool:
            if (told := self.asked()) is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(told["pid"], signal.SIGTERM)
            return not list(self.sockets.glob("*/*.lock"))

        assert self.soon(ended)


@pytest.fixture(scope="module")
def warmed(plugins_in: Any, soon: Callable[..., bool]) -> Iterator[Warmed]:
    with tempfile.TemporaryDirectory(prefix="warm-", dir="/tmp") as folder:  # a socket's path has to be short
        site = Path(folder) / "site"
        site.mkdir()
        made = Warmed(Path(folder), plugins_in(site), soon)
        yield made
        made.end()


def comparable(text: bytes) -> str:
    """Return what is printed without what differs from one grading to the next."""
    times = re.sub(r"\d+\.\d+ s(?=[,，、])|\d+\.\d+ 秒|(?<=\"seconds\": )[\d.]+", "TIME", text.decode())
    return re.sub(r'"given_at": "[^"]*"', "GIVEN", times)


# That it looks the same


@whole
@pytest.mark.parametrize(
    ("arguments", "edit"),
    [([], ("x * factor", "x + factor")), (["--json"], ("", "")), (["--lang", "zh", "--thorough"], ("x * factor", "("))],
    ids=["wrong", "right", "no Python"],
)
def test_a_warm_grade_prints_and_ends_as_a_cold_one(
    warmed: Warmed, arguments: list[str], edit: tuple[str, str]
) -> None:
    warmed.judge()
    warmed.attempt.write_text(warmed.solution.replace(*edit))
    there = warmed.there("grade", "scale", "--seed", "1", *arguments)
    here = warmed.learn("grade", "scale", "--seed", "1", *arguments, LEARN_WARM="0")
    assert (there.returncode, comparable(there.stdout), there.stderr) == (
        here.returncode, comparable(here.stdout), here.stderr,
    )  # fmt: skip
    assert there.returncode == (0 if edit == ("", "") else 1)


@whole
@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["grade", "scael"], {}),
        (["--lang", "zh", "grade", "scale", "--sead", "3"], {}),
        (["grade", "scale", "--seed", "1"], {"LEARN_CONTAINMENT": "walls"}),
        (["grade", "scale", "--seed", "1"], {"LEARN_CONTAINMENT": "process"}),
        (["grade", "scale", "--require-containment", "strong"], {"LEARN_CONTAINMENT": "process"}),
        (["grade", "scale", "--seed", "1"], {"COLUMNS": "44", "LEARN_COMMAND": "./learn"}),
    ],
    ids=str,
)
def test_what_is_refused_and_what_the_environment_says_is_the_same(
    warmed: Warmed, arguments: list[str], environment: dict[str, str]
) -> None:
    warmed.judge()
    warmed.attempt.write_text(warmed.solution)
    there = warmed.there(*arguments, **environment)
    here = warmed.learn(*arguments, LEARN_WARM="0", **environment)
    assert (there.returncode, comparable(there.stdout), there.stderr) == (
        here.returncode, comparable(here.stdout), here.stderr,
    )  # fmt: skip


@whole
def test_a_warm_grade_is_recorded_with_its_file_and_its_cases(warmed: Warmed) -> None:
    warmed.judge()
    source = warmed.solution.replace("x * factor", "x + factor")
    warmed.attempt.write_text(source)
    assert warmed.there("grade", "scale").returncode == 1
    with State(warmed.folder / "workspace" / ".learn" / "learn.db") as state:
        latest = state.verdicts("toys/scale")[0]
        assert state.source(latest.attempt.sha256) == source
        assert [d.id for d in latest.diagnosis] == ["adds"]
        assert state.cases("toys/scale") != {}


def on_a_terminal(warmed: Warmed, *arguments: str, **environment: str) -> bytes:
    """Return what ``learn`` writes to a terminal."""
    main, other = pty.openpty()
    process = subprocess.Popen(
        [LEARN, *arguments],
        cwd=warmed.folder,
        env=warmed.environment | environment,
        stdin=other,
        stdout=other,
        stderr=other,
    )
    os.close(other)
    written = b""
    with contextlib.suppress(OSError):  # the terminal is closed
        while came := os.read(main, 4096):
            written += came
    process.wait(PATIENCE)
    os.close(main)
    return written


@whole
def test_a_terminal_shows_the_same_colours(warmed: Warmed) -> None:
    warmed.judge()
    warmed.attempt.write_text(warmed.solution)
    before = warmed.grades()
    there = on_a_terminal(warmed, "grade", "scale", "--seed", "1")
    assert warmed.grades() == before + 1
    assert b"\x1b[32m" in there
    assert b"grading toys/scale ..." in there
    assert comparable(there) == comparable(on_a_terminal(warmed, "grade", "scale", "--seed", "1", LEARN_WARM="0"))


# That it gets ready for what is graded


@whole
def test_what_was_graded_last_is_rehearsed_and_nothing_else(warmed: Warmed) -> None:
    warmed.end()
    warmed.judge()
    assert (warmed.asked() or {})["rehearsed"] == ["toys/scale"]
    solution = Path(groundup.solutions.__path__[0], "rl", "gae.py")
    assert warmed.there("grade", "gae", "--attempt", str(solution)).returncode == 0

    def are_rehearsed() -> bool:
        told = warmed.asked() or {}
        return told.get("rehearsed") == ["rl/gae", "toys/scale"] and not told["busy"]

    assert warmed.soon(are_rehearsed)
    assert warmed.there("grade", "scale").returncode == 0
    assert (warmed.asked() or {})["rehearsed"] == ["rl/gae", "toys/scale"]
    warmed.end()


# That edits count


@whole
def test_properties_that_were_edited_are_used_by_the_next_grade(warmed: Warmed) -> None:
    judge = warmed.judge()
    warmed.attempt.write_text(warmed.solution)
    properties = warmed.toy / "properties.py"
    text = properties.read_text()
    try:
        properties.write_text(text.replace("Times one nothing changes.", "Once is nothing."))
        assert b"Once is nothing." in warmed.learn("grade", "scale").stdout
        assert (warmed.asked() or {}).get("pid") == judge
    finally:
        properties.write_text(text)


@whole
def test_a_manifest_that_was_edited_is_used_and_ends_the_judge_that_read_the_older_one(warmed: Warmed) -> None:
    judge = warmed.judge()
    warmed.attempt.write_text(warmed.solution)
    manifest = warmed.toy / "__init__.py"
    text = manifest.read_text()
    try:
        manifest.write_text(text.replace("Scaling", "Stretching"))
        assert b"Stretching" in warmed.learn("grade", "scale").stdout
        assert warmed.soon(lambda: not Path(f"/proc/{judge}").exists())
    finally:
        manifest.write_text(text)
    warmed.end()


IN_TOML = """
id = "toys/scale"
title = "Scaling"
summary = "Numbers times a factor."
implements = "scale"
limits.call_seconds = 60
hole = [{hints = ["Which dtype?"]}, {hints = ["Multiply."]}]
source = [{title = "A toy", url = "https://example.org/toy"}]
"""
MODULE = """
from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Technique


@hookimpl
def techniques():
    return [Technique.from_package(__name__)]
"""


@whole
def test_a_manifest_in_toml_that_was_edited_is_used_and_ends_the_judge_too(warmed: Warmed) -> None:
    module, manifest = warmed.toy / "__init__.py", warmed.toy / "technique.toml"
    text = module.read_text()
    warmed.end()
    try:
        manifest.write_text(IN_TOML)
        module.write_text(MODULE)
        for edited, file in (("Stretching", manifest), ("拉伸", manifest.with_name("technique.zh.toml"))):
            judge = warmed.judge()
            warmed.attempt.write_text(warmed.solution)
            assert edited not in warmed.learn("grade", "scale", "--lang", "zh").stdout.decode()
            file.write_text(IN_TOML.replace("Scaling", edited) if file == manifest else f"title = {edited!r}\n")
            assert edited in warmed.learn("grade", "scale", "--lang", "zh").stdout.decode()
            assert warmed.soon(lambda judge=judge: not Path(f"/proc/{judge}").exists())
    finally:
        for path in warmed.toy.glob("technique*.toml"):
            path.unlink()
        module.write_text(text)
    warmed.end()


# What goes wrong


def running(warmed: Warmed, *arguments: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start a grade that does not end, in the warm judge; return it and the judge's child."""
    judge = warmed.judge()
    warmed.attempt.write_text(warmed.solution.replace("return result", "while True: pass"))
    process = warmed.start("grade", "scale", *arguments)
    found: list[int] = []

    def has_child() -> bool:
        found[:] = [
            int(pid) for pid in Path(f"/proc/{judge}/task/{judge}/children").read_text().split()
            if Path(f"/proc/{pid}/cwd").readlink() == warmed.folder
        ]  # fmt: skip
        return bool(found)

    assert warmed.soon(has_child)
    return process, found[0]


@whole
def test_ctrl_c_stops_the_grade_there_and_the_judge_goes_on(warmed: Warmed) -> None:
    process, child = running(warmed)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err.lstrip()) == (130, b"", b"learn: stopped.\n")  # click adds a line early on
    assert warmed.soon(lambda: not Path(f"/proc/{child}").exists())
    warmed.attempt.write_text(warmed.solution)
    assert warmed.there("grade", "scale").returncode == 0


@whole
def test_a_client_that_is_killed_takes_its_grade_with_it(warmed: Warmed) -> None:
    process, child = running(warmed)
    process.kill()
    process.communicate(timeout=PATIENCE)
    assert warmed.soon(lambda: not Path(f"/proc/{child}").exists())


@whole
def test_a_second_client_grades_by_itself_meanwhile(warmed: Warmed, tmp_path: Path) -> None:
    process, _ = running(warmed)
    before = warmed.grades()
    (tmp_path / "mine.py").write_text(warmed.solution)
    assert warmed.learn("grade", "scale", "--attempt", str(tmp_path / "mine.py")).returncode == 0
    assert warmed.grades() == before
    process.kill()
    process.communicate(timeout=PATIENCE)


@whole
def test_a_judge_that_is_killed_leaves_the_verdict_to_the_command(warmed: Warmed) -> None:
    process, child = running(warmed)
    warmed.attempt.write_text(warmed.solution)  # what the command reads when it begins anew
    os.kill(warmed.judge(), signal.SIGKILL)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, b"")
    assert b"Passed: all 3 properties hold." in out
    assert warmed.soon(lambda: not Path(f"/proc/{child}").exists())


@whole
def test_a_judge_that_hangs_is_put_aside_and_the_command_goes_on(warmed: Warmed) -> None:
    judge = warmed.judge()
    os.kill(judge, signal.SIGSTOP)
    try:
        warmed.attempt.write_text(warmed.solution)
        ended = warmed.learn("grade", "scale")
        assert (ended.returncode, ended.stderr) == (0, b"")
    finally:
        os.kill(judge, signal.SIGCONT)
    assert warmed.judge() != judge
    assert warmed.soon(lambda: not Path(f"/proc/{judge}").exists())


@whole
def test_of_two_that_start_at_once_one_stays(warmed: Warmed) -> None:
    warmed.judge()
    warmed.end()
    warmed.attempt.write_text(warmed.solution)
    for process in [warmed.start("grade", "scale") for _ in range(2)]:
        assert process.communicate(timeout=PATIENCE)[1] == b""
    judge = warmed.judge()
    listening = [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(warmed.sockets).encode() in p.read_bytes()]
    assert [int(p.parent.name) for p in listening] == [judge]


# Without one


@whole
def test_turned_off_none_is_asked_and_none_started(warmed: Warmed) -> None:
    warmed.end()
    assert warmed.learn("grade", "scale", LEARN_WARM="0").returncode in (0, 1)
    assert list(warmed.sockets.glob("*/*.lock")) == []


@pytest.fixture
def called_plainly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have this process look like one that runs ``learn``."""
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, LEARN])
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p.startswith("/")])
    monkeypatch.setenv("LEARN_WARM", "1")
    monkeypatch.setenv("XDG_RUNTIME_DIR", tempfile.mkdtemp(dir="/tmp"))


@pytest.mark.parametrize("spoil", ["link", "open to others", "file"])
@pytest.mark.usefixtures("called_plainly")
def test_a_folder_that_others_could_use_is_not_used(spoil: str) -> None:
    assert warm.unusable() is None
    folder = warm.place().socket.parent
    if spoil == "open to others":
        folder.chmod(0o755)
    else:
        folder.rmdir()
        folder.symlink_to("/") if spoil == "link" else folder.touch()
    assert warm.unusable() == "folder"
    assert not warm.wants_one(["grade", "scale"])
    shutil.rmtree(folder.parent)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["grade", "scale"], True),
        (["--lang", "zh", "grade", "--all"], True),
        (["--lang=zh", "grade"], True),
        (["grade", "--help"], False),
        (["grade", "-h"], False),
        (["read", "grade"], False),
        (["--lang", "grade"], False),
        ([], False),
    ],
    ids=str,
)
@pytest.mark.usefixtures("called_plainly")
def test_only_grades_are_for_the_warm_judge(arguments: list[str], wanted: bool) -> None:
    assert warm.wants_one(arguments) is wanted
    shutil.rmtree(os.environ["XDG_RUNTIME_DIR"])


@pytest.mark.usefixtures("called_plainly")
def test_what_is_read_at_import_tells_judges_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    places = []
    for name, value in [
        ("COLUMNS", "3"),
        ("TERM", "x"),
        ("OMP_NUM_THREADS", "3"),
        ("LC_ALL", "C"),
        ("PYTHONPATH", "/x"),
    ]:
        monkeypatch.setenv(name, value)
        places.append(warm.place().socket)
    assert places[0] == places[1]
    assert len(set(places)) == 4
    shutil.rmtree(os.environ["XDG_RUNTIME_DIR"])


@pytest.mark.usefixtures("called_plainly")
def test_doctor_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor._warm().found == "not running; the next 'learn grade' starts one for later gradings"
    shutil.rmtree(os.environ["XDG_RUNTIME_DIR"])
    told = {"pid": 7, "grades": 3, "idle_seconds": 900}
    monkeypatch.setattr(warm, "place", lambda: None)
    monkeypatch.setattr(warm, "ask", lambda place: told)
    assert doctor._warm().found == "process 7, 3 gradings; it ends when none has come for 15 minutes"
    monkeypatch.setattr(warm, "ask", lambda place: (_ for _ in ()).throw(TimeoutError))
    assert doctor._warm().state == "lacking"
    monkeypatch.setenv("LEARN_WARM", "0")
    assert doctor._warm().found == "LEARN_WARM is 0"
