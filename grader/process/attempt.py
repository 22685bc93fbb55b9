"""The judge's side of an attempt's process: requests with deadlines, and a classified cause of death."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any, NoReturn

from groundup.core.errors import AttemptDied, AttemptRaised
from groundup.core.messages import Message
from groundup.grader.process import interrupt, whereabouts
from groundup.grader.process.clock import CallClock, cpu_clock
from groundup.grader.process.fork_server import ForkServer, Spawned
from groundup.grader.process.parts import MOST_SECONDS, BrokenCall, Parts
from groundup.grader.process.text import printable
from groundup.grader.process.worker import WHERE, wire
from groundup.grader.process.worker.limits import MEMORY
from groundup.grader.process.worker.sentences import KNOWN

LOAD_SECONDS = 10.0
EXTRA_SECONDS = 40  # CPU time that the kernel allows beyond the process's limit, for a diagnosis
WHERE_SECONDS = 0.5  # grace period for a process to report the line it runs before it is killed
BURIAL_SECONDS = 5.0
HANG_UP_SECONDS = 5.0  # how long to wait for the end of a process that closed its connection
OUTPUT_KEPT = 1 << 16
OUTPUT_MOST = 64 << 20
CHUNK = 1 << 18
NO_MEMORY = {  # messages of the interpreter, numpy and torch; an attempt's own has another text
    "MemoryError": re.compile("^$|^Unable to allocate|std::bad_alloc"),
    "RuntimeError": re.compile("can't allocate memory|not enough memory|std::bad_alloc"),
}


@dataclass(frozen=True)
class Program:
    """The program to run: the attempt's source, its filename in messages, and the public name it must define."""

    source: str
    filename: str
    implements: str
    imports: tuple[str, ...] = ()
    meeting: str | None = None
    """In a lab: the rendezvous of its ranks' process group. They may then start threads and use the loopback."""


class AttemptProcess:
    """Runs one program in its own process. Every method may raise AttemptDied, and after a death always does."""

    def __init__(
        self, server: ForkServer, program: Program, *, seed: int, call_seconds: float, total_seconds: float
    ) -> None:
        """Start the process and load the program. Raises AttemptRaised if loading raises."""
        self._server, self._program = server, program
        interrupt.forget()
        self.call_seconds = call_seconds
        self.forgotten: list[int] = []
        self.death: AttemptDied | None = None
        self._printed = bytearray()
        self._printed_bytes = 0
        self.requests = 0
        self._outgoing: list[memoryview] = []
        self._incoming = wire.Incoming()
        self._output_closed = False
        self._open: Spawned | None = server.spawn(
            program.imports, cpu_seconds=int(total_seconds) + EXTRA_SECONDS, meeting=program.meeting
        )
        self.parts = Parts()
        self.clock = CallClock(cpu_clock(self._open.pid), total_seconds)
        self._open.data.setblocking(False)
        os.set_blocking(self._open.output, False)
        load = {"name": program.filename, "implements": program.implements, "seed": seed}
        try:
            self.request("load", load, program.source, seconds=LOAD_SECONDS)
        except BaseException:
            self.close()
            raise

    def request(
        self, operation: str, meta: dict[str, Any], value: Any, *, seconds: float | None = None
    ) -> tuple[int, dict[str, Any], Any]:
        """Request one operation; return the request's number, the answer's meta and its value.

        Raises AttemptRaised if the attempt's code raised, AttemptDied if the process has died or had to be killed.
        """
        number = self.ask(operation, meta, value, seconds=seconds)
        while True:
            next_frames([self])
            answer, result = self.hear()
            if not self.asks_a_part(answer):
                self.settle(number, answer, result)
                return number, answer, result
            self.answer_for_a_part(number, answer, result)

    def ask(self, operation: str, meta: dict[str, Any], value: Any, *, seconds: float | None = None) -> int:
        """Start to send a request without blocking, and return its number."""
        if self.death is not None:
            raise self.death
        self.requests += 1
        forgotten, self.forgotten = self.forgotten, []
        self.parts.calls, self.parts.seconds = 0, 0.0
        self.clock.start(seconds or self.call_seconds)
        self.say({**meta, "op": operation, "id": self.requests, "free": forgotten}, value)
        return self.requests

    def say(self, meta: dict[str, Any], value: Any) -> None:
        """Start to send a frame without blocking."""
        if self.death is not None:
            raise self.death
        self._outgoing += _joined(wire.encode(meta, value, keep_strides=True, number=self.parts.number))
        self._send()

    def hear(self) -> tuple[dict[str, Any], Any]:
        """Return meta and value of the frame that was received."""
        try:
            return wire.decode(*self._incoming.frame())
        except wire.ProtocolError as error:
            self.end("protocol", Message("the process answered with {what}", what=printable(str(error))))

    def asks_a_part(self, frame: dict[str, Any]) -> bool:
        """Whether a frame is a call of a part that the judge owns."""
        return "part" in frame or "part_vjp" in frame

    def answer_for_a_part(self, number: int, frame: dict[str, Any], value: Any) -> None:
        """Answer a call of a part during request ``number``; its time does not count as the attempt's."""
        self.clock.pause()
        began = time.monotonic()
        try:
            if frame.get("id") != number or self._incoming.more:
                raise BrokenCall("a call of a part that was not its turn")
            answer = self.parts.answer(frame, value)
        except BrokenCall as error:
            self.end("protocol", Message("the process answered with {what}", what=printable(str(error))))
        try:
            self.say(*answer)
        except wire.NotPlainError as error:
            self.say({"ok": False}, Message("the part's answer holds {what}", what=error))
        self.parts.seconds += time.monotonic() - began
        if self.parts.seconds > MOST_SECONDS:
            self.end(
                "timeout",
                Message(
                    "the parts that it was given worked for more than {seconds:.0f} s in one call", seconds=MOST_SECONDS
                ),
            )
        self.clock.resume()

    def settle(self, number: int, answer: dict[str, Any], result: Any) -> None:
        """Check that ``answer`` belongs to request ``number``. Raises AttemptRaised if it reports an error."""
        try:
            if answer.get("id") != number or type(answer.get("ok")) is not bool:
                raise wire.ProtocolError("an answer to a question that was not asked")
            if self._incoming.more:
                raise wire.ProtocolError("more than one answer")
            if not answer["ok"]:
                raise self._raised(result)
        except wire.ProtocolError as error:
            self.end("protocol", Message("the process answered with {what}", what=printable(str(error))))

    def reseed(self, seed: int) -> None:
        """Seed the random number generators in the attempt's process: its draws then depend on ``seed`` alone."""
        try:
            self.request("reseed", {}, seed)
        except AttemptRaised:
            self.end("protocol", Message("the process prevents its random number generators from being seeded again"))

    def allow(self, seconds: float) -> None:
        """Limit the process to ``seconds`` of CPU time from now on, for all calls together."""
        self.clock.allow(seconds)

    def take_printed(self) -> str:
        """Return what the attempt printed since the last call of this method, made printable, at most 64 KiB."""
        self._drain_output()
        text = printable(self._printed.decode(errors="replace"))
        self._printed.clear()
        return text

    def close(self) -> None:
        """End the process and wait until it is gone. Safe to call twice."""
        if self._open is not None:
            self._bury()

    def _raised(self, told: Any) -> AttemptRaised:
        if type(told) is not dict:
            raise wire.ProtocolError("an error of the wrong form")
        types, message, fields = told.get("types"), told.get("message"), told.get("fields")
        if type(types) is not list or not types or not all(type(t) is str for t in types) or type(message) is not str:
            raise wire.ProtocolError("an error of the wrong form")
        lines = _lines(told.get("lines"))
        if any(types[0] == kind and sign.search(message) for kind, sign in NO_MEMORY.items()):
            size = MEMORY >> 30
            self.end("memory", Message("it asked for more than the {size} GiB it may use", size=size), lines)
        says = printable(message) if fields is None else _ours(message, fields)
        return AttemptRaised(tuple(printable(t) for t in types), says, lines)

    def register(self, poll: select.poll) -> tuple[int, int]:
        """Register this process with ``poll``; return the registered descriptors."""
        assert self._open is not None
        if not self._output_closed:
            poll.register(self._open.output, select.POLLIN)
        poll.register(self._open.data, select.POLLIN | (select.POLLOUT if self._outgoing else 0))
        return self._open.output, self._open.data.fileno()

    def ready(self, descriptor: int, events: int, poll: select.poll) -> None:
        """Handle an event that ``poll`` reported for one of the descriptors, without blocking."""
        assert self._open is not None
        if descriptor == self._open.output:
            if not self._drain_output():
                self._output_closed = True
                poll.unregister(descriptor)
            return
        if events & select.POLLOUT:
            self._send()
            if not self._outgoing:
                poll.modify(descriptor, select.POLLIN)
        if events & ~select.POLLOUT:
            self._receive()

    @property
    def has_frame(self) -> bool:
        """Whether a complete frame was received."""
        return self._incoming.whole

    def look(self) -> None:
        """End the process if it has exceeded a time limit. The limits are checked only when the next check is due."""
        if self.clock.running and self.clock.next_look() <= 0 and (why := self.clock.over()):
            self.end("timeout", why)

    def _send(self) -> None:
        """Send what can be sent without blocking."""
        assert self._open is not None
        outgoing = self._outgoing
        try:
            while outgoing:
                sent = self._open.data.send(outgoing[0][:CHUNK])
                outgoing[0] = outgoing[0][sent:]
                if not outgoing[0]:
                    outgoing.pop(0)
        except (BlockingIOError, InterruptedError):
            return
        except ConnectionError:
            self._gone()

    def _receive(self) -> None:
        assert self._open is not None
        try:
            received = self._open.data.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except ConnectionError:
            received = b""
        if not received:
            self._gone()
        try:
            self._incoming.take(received)
        except wire.ProtocolError as error:
            self.end("protocol", Message("the process answered with {what}", what=printable(str(error))))

    def _drain_output(self) -> bool:
        """Read what the attempt has printed; return whether it may print more."""
        if self._open is None:
            return False
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._open.output, CHUNK):
                self._printed += chunk
                del self._printed[:-OUTPUT_KEPT]
                self._printed_bytes += len(chunk)
                if self._printed_bytes > OUTPUT_MOST:
                    self.end("flood", Message("it printed more than {size} MiB", size=OUTPUT_MOST >> 20))
            return False
        return True

    def _gone(self) -> NoReturn:
        """Raise the cause of a closed connection: the process crashed, exited, was killed, or only closed its end."""
        code = self._bury(patience=HANG_UP_SECONDS).get("exit")
        if code is None:
            self.end("protocol", Message("the process closed its connection"))
        if code == -signal.SIGKILL:
            self.end("crash", Message("the process was killed; most often the machine had no memory left for it"))
        if code == -signal.SIGXCPU:
            self.end("timeout", Message("it used up its processor time"))
        if code < 0:
            self.end("crash", Message("the process crashed with {signal}", signal=signal.Signals(-code).name))
        self.end("exit", Message("the process ended by itself with exit code {code}", code=code))

    def end(self, how: str, detail: str, lines: str = "") -> NoReturn:
        """End the process and raise AttemptDied with the reason, now and for every later request."""
        if how == "timeout" and self._open is not None:
            self._have_it_say_where()
        self.close()
        where = whereabouts.taken(self._printed, self._program.source, self._program.filename)
        self.death = AttemptDied(how, detail, lines or where)
        raise self.death

    def _have_it_say_where(self) -> None:
        """Make the process write which of its lines it is running, and wait briefly for it."""
        assert self._open is not None
        with contextlib.suppress(OSError):
            self._open.status.sendall(WHERE)
        until = time.monotonic() + WHERE_SECONDS
        while self._drain_output() and whereabouts.END not in self._printed and time.monotonic() < until:
            select.select([self._open.output], [], [], 0.05)
        time.sleep(0.01)  # faulthandler writes each stack frame with a separate write

    def _bury(self, patience: float = 0.0) -> dict[str, Any]:
        """Have the fork server kill and reap the process; return how it ended by itself, if it did.

        ``patience`` is how long to wait first for it to end by itself, in seconds.
        """
        assert self._open is not None
        self.clock.end()
        spawned, self._open = self._open, None
        self.death = AttemptDied("exit", Message("the process was ended by the judge"))
        by_itself = _how_it_ended(spawned.status, patience) if patience else {}
        if not by_itself:
            with contextlib.suppress(OSError):
                spawned.status.sendall(b"k")
            if not _how_it_ended(spawned.status, BURIAL_SECONDS):
                self._server.replace()
        for _ in range(OUTPUT_MOST // CHUNK):
            try:
                chunk = os.read(spawned.output, CHUNK)
            except BlockingIOError:
                break
            if not chunk:
                break
            self._printed += chunk
            del self._printed[:-OUTPUT_KEPT]
        os.close(spawned.output)
        spawned.data.close()
        spawned.status.close()
        return by_itself


def _how_it_ended(status: socket.socket, seconds: float) -> dict[str, Any]:
    """Return the fork server's report on a process that has ended; empty if none comes within ``seconds``."""
    status.settimeout(seconds)
    try:
        told: dict[str, Any] = json.loads(status.recv(4096))
        return told
    except (OSError, ValueError):
        return {}


def _ours(template: str, fields: Any) -> Message:
    """Return the known message with that template, filled with ``fields``. Raises ProtocolError for any other."""
    sentence = KNOWN.get(template)
    if sentence is None or type(fields) is not dict or fields.keys() != _fields(template):
        raise wire.ProtocolError("an error of the wrong form")
    for value in fields.values():
        if not all(type(text) is str for text in (value if type(value) is list else [value])):
            raise wire.ProtocolError("an error of the wrong form")
    return sentence.filled(**fields).with_texts(printable)


def _fields(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def _lines(told: Any) -> Message:
    """Return the lines of the attempt's code that a frame quotes. Raises ProtocolError for a malformed list."""
    if type(told) is not list:
        raise wire.ProtocolError("an error of the wrong form")
    for line in told:
        if type(line) is not list or [type(part) for part in line] != [int, str, str]:
            raise wire.ProtocolError("an error of the wrong form")
    return whereabouts.code_lines(told)


def _joined(parts: list[bytes]) -> list[memoryview]:
    """Return the parts of a frame as buffers to send; the parts of a small frame are joined."""
    if sum(len(part) for part in parts) <= CHUNK:
        return [memoryview(b"".join(parts))]
    return [memoryview(part) for part in parts]


def next_frames(processes: Sequence[AttemptProcess]) -> None:
    """Send and receive for all processes until one of them has sent a complete frame.

    No process can block the others: each has its own time limits. Raises AttemptDied.
    """
    poll = select.poll()
    owners = {descriptor: process for process in processes for descriptor in process.register(poll)}
    while not any(process.has_frame for process in processes):
        interrupt.check()
        soon = min(process.clock.next_look() for process in processes if process.clock.running)
        for descriptor, events in poll.poll(max(soon, 0) * 1000 + 1):
            owners[descriptor].ready(descriptor, events, poll)
        for process in processes:
            process.look()
