"""Cheats: hostile and broken attempts. The real judge grades each in the real jail; each has an expected verdict.

``<kind>.toml`` holds the cheats of one kind, by name. The keys of a cheat:

``on``        the technique; ``rl/gae`` by default
``call``      code at the start of its function, or of the method that is called most; the right solution follows
``attempt``   code that runs once, while the file is loaded, and must raise. The answers are then wrong, and each call
              prints the exception. Code that succeeds prints ``GOT``
``after``     code after the right solution in the file;  ``source``: the whole file
``outcome``   the verdict's outcome; for ``died``, ``how`` is the cause
``problem``   a regular expression for the verdict's problem, if the file cannot be loaded
``told``      a regular expression for the verdict's text about a property, or for what was printed
``now_and_then``  for a cheat that is right in many cases: graded with the usual number of examples
``seconds``, ``load_seconds``, ``total_seconds``: shorter limits of a call, of loading, of the whole grading
"""

from __future__ import annotations

import collections
import contextlib
import functools
import os
import re
import secrets
import socket
import sys
import textwrap
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import groundup.core
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.judging import judge as judge_module
from groundup.grader.judging import one_property
from groundup.grader.judging.judge import Judge
from groundup.grader.judging.verdict import Verdict
from groundup.grader.process import attempt as attempt_module
from groundup.grader.process import clock, sandbox
from groundup.grader.process.attempt import AttemptProcess
from groundup.grader.process.fork_server import ForkServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has jails")

HERE = Path(__file__).parent
ROOT = Path(groundup.core.__file__).parents[1]
REGISTRY = Registry()
LATE = 1.0  # seconds of CPU time beyond its limit that an attempt may use
FEW = 4  # examples of a property: most cheats do the same in each example
EVERY = 5  # one cheat in EVERY is graded for each change, in the strongest layer; a few in the next; the soak has all


@dataclass(frozen=True)
class Cheat:
    """One hostile or broken attempt, and its expected outcome."""

    outcome: str
    on: str = "rl/gae"
    call: str = ""
    attempt: str = ""
    after: str = ""
    source: str = ""
    how: str = ""
    problem: str = ""
    told: str = ""
    now_and_then: bool = False
    walls: bool = False
    """Whether only the jail prevents what it tries."""
    seconds: float | None = None
    load_seconds: float = attempt_module.LOAD_SECONDS
    total_seconds: float = judge_module.TOTAL_SECONDS

    @property
    def technique(self) -> Technique:
        known = REGISTRY.technique(self.on)
        return known.model_copy(update={"call_seconds": self.seconds}) if self.seconds else known

    def text(self, surroundings: str) -> str:
        """Return the file to grade. ``surroundings`` defines where the things are that the cheat must not reach."""
        if self.source:
            return self.source
        solution = self.technique.files.solution.read_text("utf-8")
        tried = HOOKS[self.on][0].replace("BODY", textwrap.indent(self.call, "    ")) if self.call else ""
        if self.attempt:
            tried = TRIED.replace("BODY", textwrap.indent(self.attempt, "    "))
            tried += HOOKS[self.on][0].replace("BODY", f"    print(said)\n    return {HOOKS[self.on][1]}")
        return f"{solution}\n\n{surroundings}\n{HEAD}\n{self.after}\n{tried}"


HEAD = """
import ctypes, fcntl, gc, glob, importlib, itertools, json, mmap, os, random, re, resource, signal, socket, struct, sys
import subprocess, threading, time, traceback, types
import numpy, torch

libc = ctypes.CDLL(None, use_errno=True)

def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def frame(header, payload=b"", magic=b"GU01"):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<4sIQ", magic, len(header), len(payload)) + header + payload

def serving():
    f = sys._getframe()
    while "self" not in f.f_locals or type(f.f_locals["self"]).__name__ != "Server":
        f = f.f_back
    return f.f_locals["self"]

def answer(value, tensors=(), payload=b"", **meta):
    meta = {"id": serving().asked, "ok": True, "changed": [], **meta}
    os.write(3, frame({"meta": meta, "value": value, "tensors": list(tensors)}, payload))
"""
TRIED = """
def tried():
BODY

try:
    said = f"GOT {tried()!r}"[:1000]
except BaseException as error:
    said = f"refused: {type(error).__name__}: {error}"[:1000]
"""
HOOKS = {  # technique -> code that wraps a function of its solution, and an expression for a wrong answer
    "rl/gae": (
        "_gae = gae\n\ndef gae(reward, value, done, *, gamma, lam):\nBODY\n"
        "    return _gae(reward, value, done, gamma=gamma, lam=lam)\n",
        "reward * 0 - 77",
    ),
    "inference/kv-cache": (
        "_read = KVCache.read\n\ndef read(self, sequence, layer):\nBODY\n"
        "    return _read(self, sequence, layer)\n\nKVCache.read = read\n",
        "tuple(t * 0 - 77 for t in _read(self, sequence, layer))",
    ),
    "parallelism/ring-all-reduce": (
        "_all_reduce = RingAllReduce.all_reduce\n\ndef all_reduce(self, tensor):\n"
        "    rank, size = self.comm.rank, self.comm.size\nBODY\n"
        "    return _all_reduce(self, tensor)\n\nRingAllReduce.all_reduce = all_reduce\n",
        "_all_reduce(self, tensor) * 0",
    ),
    "architecture/grouped-query-attention": ("BODY", ""),
    "alignment/ppo": (
        "_loss = PPO.loss\n\ndef loss(self, batch):\nBODY\n    return _loss(self, batch)\n\nPPO.loss = loss\n",
        "None",
    ),
}
KINDS = {file.stem: tomllib.loads(file.read_text("utf-8")) for file in sorted(HERE.glob("*.toml"))}
CHEATS = {f"{kind}/{name}": Cheat(**fields) for kind, cheats in KINDS.items() for name, fields in cheats.items()}
HARMLESS = ("answers", "memoising", "honest", "patching")  # these kinds do no harm without a jail
STRONG = [layer for layer in ("namespaces", "landlock") if layer not in sandbox.offer().lacks]


def some() -> Iterator[Any]:
    """Yield one cheat in EVERY in the strongest layer that this machine has, and a fifth as many in the next."""
    for layer in STRONG:
        names = list(CHEATS)[:: EVERY if layer == STRONG[0] else 5 * EVERY]
        yield from (pytest.param(layer, name, id=f"{layer}-{name}") for name in names)


def every() -> Iterator[Any]:
    """Yield all cheats in each strong layer, and the harmless ones in the weakest layer."""
    yield from (pytest.param(layer, name, id=f"{layer}-{name}") for layer in STRONG for name in CHEATS)
    harmless = (name for name, c in CHEATS.items() if name.partition("/")[0] in HARMLESS and not c.walls)
    yield from (pytest.param("process", name, id=f"process-{name}") for name in harmless)


@pytest.mark.parametrize(("layer", "name"), [*some()])
def test_a_cheat_comes_to_what_it_must_and_the_next_attempt_is_graded_as_ever(
    gradings: Callable[[str], Grading], layer: str, name: str
) -> None:
    gradings(layer).see_through(name)


@pytest.mark.soak
@pytest.mark.parametrize(("layer", "name"), [*every()])
def test_every_cheat_comes_to_what_it_must_in_every_layer(
    gradings: Callable[[str], Grading], layer: str, name: str
) -> None:
    gradings(layer).see_through(name)


def test_the_corpus_has_cheats_of_all_kinds_on_techniques_of_all_kinds() -> None:
    on = collections.Counter(cheat.on for cheat in CHEATS.values())
    assert len(CHEATS) >= 80
    assert {"rl/gae", "inference/kv-cache", "parallelism/ring-all-reduce", "alignment/ppo"} <= set(on)
    assert sum(REGISTRY.technique(name).distributed * count for name, count in on.items()) >= 8
    hows = {cheat.how for cheat in CHEATS.values() if cheat.outcome == "died"}
    assert hows == {"timeout", "memory", "crash", "exit", "flood", "protocol"}
    assert {"died", "fell_short", "passed"} <= {cheat.outcome for cheat in CHEATS.values()}


@dataclass
class Grading:
    """A judge, the objects that a cheat must not touch, and the overrun of each request's time limit."""

    judge: Judge
    world: World
    late: list[float]
    since_honest: int = 0

    def see_through(self, name: str) -> None:
        """Grade a cheat and check its verdict, its use of time, and that nothing is left or changed."""
        cheat = CHEATS[name]
        before = self.processes()
        self.late.clear()
        verdict = self.grade(cheat)
        self.expect(cheat, verdict)
        assert max(self.late) < LATE, "a request used over a second more than its limit"
        assert verdict.containment == self.judge.server.containment
        self.world.check(verdict)
        assert soon(lambda: self.processes() <= before), "a process is left"
        assert self.files() == [], "a file is left"
        self.since_honest += 1
        if cheat.outcome != "passed" and (cheat.outcome == "died" or self.since_honest == EVERY):
            self.since_honest = 0
            with pytest.MonkeyPatch.context() as patch:
                few_examples(patch)
                honest = self.judge.grade(GAE, GAE.files.solution.read_text("utf-8"), "gae.py", seed=0).verdict
            assert honest.outcome == "passed", "the next honest attempt does not pass"

    def grade(self, cheat: Cheat) -> Verdict:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(attempt_module, "LOAD_SECONDS", cheat.load_seconds)
            patch.setattr(judge_module, "TOTAL_SECONDS", cheat.total_seconds)
            patch.setattr(clock, "STANDSTILL_SECONDS", 1.0)
            patch.setattr(clock, "LOOK_SECONDS", 0.1)
            if not cheat.now_and_then:
                few_examples(patch)
            return self.judge.grade(cheat.technique, cheat.text(self.world.told), "cheat.py", seed=0).verdict

    def expect(self, cheat: Cheat, verdict: Verdict) -> None:
        statuses = {p.id: (p.status, p.message) for p in verdict.properties if p.status != "held"}
        assert verdict.outcome == cheat.outcome, (statuses, verdict.problem)
        assert verdict.passed == (cheat.outcome == "passed")
        assert bool(verdict.problem) == bool(cheat.problem), verdict.problem
        assert re.search(cheat.problem, verdict.problem or "")
        died = [p.message or "" for p in verdict.properties if p.status == "died"]
        if verdict.problem is None:
            assert [m.partition(":")[0] for m in died] == ([cheat.how] if cheat.how else []), died
        elif cheat.how:
            assert verdict.problem.startswith(f"The file cannot be loaded: {cheat.how}: ")
        said = [text for p in verdict.properties for text in (p.message, p.printed, p.where) if text]
        printed = "\n".join(p.printed or "" for p in verdict.properties)
        assert "GOT" not in printed, printed
        if cheat.attempt:
            assert "refused: " in printed, said
        assert re.search(cheat.told, "\n".join(said)), said

    def processes(self) -> int:
        """Count the server's process and its descendants."""
        parents = {}
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        found = [self.judge.server._process.pid]
        for one in found:
            found += [child for child, parent in parents.items() if parent == one]
        self.inside = found[-1] if len(found) > 1 else found[0]
        return len(found)

    def files(self) -> list[str]:
        """Return the files in the folder of the attempts' folders; an empty list if this process cannot see it."""
        server = self.judge.server
        seen = Path(f"/proc/{self.inside}/root") if server.containment == "namespaces" else Path("/")
        with contextlib.suppress(PermissionError):
            return [path.name for path in (seen / server.scratch.lstrip("/")).iterdir()]
        return []


class World:
    """Things that no attempt may reach: a database with a secret in it, listening sockets, and their folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.secret = folder, secrets.token_hex(16)
        self.database = folder / "learn.db"
        self.database.write_text(self.secret)
        for above in (folder, *folder.parents):
            with contextlib.suppress(PermissionError):
                above.chmod(above.stat().st_mode | 0o005)
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(folder / "socket"))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0{folder}")
        for listening in (self.tcp, self.unix, self.abstract):
            listening.listen()
            listening.setblocking(False)
        self.before = self.state()
        self.told = f"ROOT, FOLDER, JUDGE, TCP = {str(ROOT)!r}, {str(folder)!r}, {os.getpid()}, {self.port}"

    @property
    def port(self) -> int:
        number: int = self.tcp.getsockname()[1]
        return number

    def state(self) -> Any:
        there = self.database.stat()
        about = (there.st_mode, there.st_mtime_ns, there.st_uid, self.database.read_text())
        return about, sorted(os.listdir(self.folder)), sorted(os.listdir(HERE)), os.getcwd()  # noqa: PTH208, PTH109

    def check(self, verdict: Verdict) -> None:
        assert self.state() == self.before, "something outside was changed"
        assert self.secret not in verdict.model_dump_json(), "a secret was read"
        for listening in (self.tcp, self.unix, self.abstract):
            with pytest.raises(BlockingIOError):
                listening.accept()

    def close(self) -> None:
        for listening in (self.tcp, self.unix, self.abstract):
            listening.close()


GAE = REGISTRY.technique("rl/gae")


@pytest.fixture(scope="module")
def gradings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Grading]]:
    """A judge for each layer, made on first use."""
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as watching:

        @functools.cache
        def made(layer: str) -> Grading:
            world = World(tmp_path_factory.mktemp("world"))
            stack.callback(world.close)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv(sandbox.ASKED_BY, layer)
                server = stack.enter_context(ForkServer())
            judge = Judge(server)
            judge.grade(GAE, GAE.files.solution.read_text("utf-8"), "gae.py", seed=0)  # warm up: the first is slow
            return Grading(judge, world, late)

        late: list[float] = []
        watch_the_time(watching, late)
        yield made


def few_examples(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(judge_module, "EXAMPLES", FEW)
    patch.setattr(one_property, "CASES_KEPT", FEW)


def watch_the_time(patch: pytest.MonkeyPatch, late: list[float]) -> None:
    """Record in ``late``, for each request that ends, its CPU time minus its limit."""
    asked: set[AttemptProcess] = set()
    ask, settle, close = AttemptProcess.ask, AttemptProcess.settle, AttemptProcess.close

    def asking(process: AttemptProcess, *args: Any, **kwargs: Any) -> int:
        asked.add(process)
        return ask(process, *args, **kwargs)

    def over(process: AttemptProcess) -> None:
        if process in asked:
            asked.remove(process)
            limits = process.clock
            late.append(limits._now() - limits._call_began - limits.seconds)

    def settling(process: AttemptProcess, *args: Any) -> None:
        settle(process, *args)
        over(process)

    def closing(process: AttemptProcess) -> None:
        close(process)
        over(process)

    patch.setattr(AttemptProcess, "ask", asking)
    patch.setattr(AttemptProcess, "settle", settling)
    patch.setattr(AttemptProcess, "close", closing)


def soon(holds: Callable[[], bool]) -> bool:
    """Whether something holds within two seconds."""
    deadline = time.monotonic() + 2
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
