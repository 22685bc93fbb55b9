"""The processes of a distributed attempt, one per rank, whose messages pass through the judge's switch."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from torch import Tensor

from groundup.core.communicator import COLLECTIVES, POINT_TO_POINT, Call
from groundup.core.errors import AttemptDied, AttemptRaised
from groundup.core.messages import Message
from groundup.core.technique import Technique
from groundup.core.testing.parts import on_rank
from groundup.core.testing.ranks import outcome
from groundup.core.testing.switch import Switch
from groundup.grader.process.attempt import AttemptProcess, Program, next_frames
from groundup.grader.process.fork_server import ForkServer
from groundup.grader.process.worker import wire

MOST_RANKS = 8
MOST_BYTES = wire.MAX_PAYLOAD  # per rank and call

Request = tuple[dict[str, Any], Any]
"""A request's meta and value."""
Answer = tuple[int, dict[str, Any], Any]
"""A request's number, and the answer's meta and value."""


def start(
    server: ForkServer,
    technique: Technique,
    source: str,
    filename: str,
    *,
    seed: int,
    total_seconds: float,
    call_seconds: float | None = None,
    lab: bool = False,
) -> AttemptProcess | AttemptGroup:
    """Start an attempt at ``technique``: in one process, or one per rank.

    In a ``lab`` the ranks communicate over a process group. Raises AttemptRaised if loading raises, or AttemptDied.
    """
    meeting = f"meeting-{secrets.token_hex(8)}" if lab and technique.distributed else None
    program = Program(source, filename, technique.implements, technique.imports, meeting)

    def process(rank: int) -> AttemptProcess:
        return AttemptProcess(
            server, program, seed=(seed + rank) % (1 << 63), call_seconds=call_seconds or technique.call_seconds,
            total_seconds=total_seconds,
        )  # fmt: skip

    if not technique.distributed:
        return process(0)
    return AttemptGroup(process, f"{server.scratch}/{meeting}" if meeting else None)


class AttemptGroup:
    """Runs one program on several ranks. When one of its processes dies, the others are ended."""

    def __init__(self, start: Callable[[int], AttemptProcess], meeting: str | None = None) -> None:
        """``start(rank)`` starts a process and loads the program: rank 0 now, the other ranks when they are needed.

        With ``meeting``, a rendezvous file, ranks communicate over a process group instead of the judge's switch.
        """
        self._start, self._meeting = start, meeting
        self._groups = 0
        self._seed: int | None = None
        self.death: AttemptDied | None = None
        self.processes = [start(0)]

    @property
    def requests(self) -> int:
        """The number of requests sent to all processes."""
        return sum(process.requests for process in self.processes)

    def reseed(self, seed: int) -> None:
        """Seed the random number generators of every rank, and of ranks that start later."""
        self._seed = seed
        with self._dying_together(self.processes):
            for rank, process in enumerate(self.processes):
                process.reseed((seed + rank) % (1 << 63))

    def allow(self, seconds: float) -> None:
        """Limit every rank to ``seconds`` of CPU time from now on."""
        for process in self.processes:
            process.allow(seconds)

    def take_printed(self) -> str:
        """Return what the ranks printed since the last call; without rank labels if only one printed."""
        printed = {rank: text for rank, p in enumerate(self.processes) if (text := p.take_printed())}
        if len(printed) == 1:
            return next(iter(printed.values()))
        return "\n".join(f"rank {rank}:\n{text}" for rank, text in printed.items())

    def close(self) -> None:
        """End all processes. Safe to call twice."""
        for process in self.processes:
            process.close()

    def ranks(self, size: int) -> list[AttemptProcess]:
        """Return the first ``size`` processes. Raises ValueError for an invalid size."""
        if self.death is not None:
            raise self.death
        if not 1 <= size <= MOST_RANKS:
            raise ValueError(f"a group has 1 to {MOST_RANKS} ranks, not {size}")
        while len(self.processes) < size:
            self.processes.append(self._start(len(self.processes)))
            if self._seed is not None:
                self.processes[-1].reseed((self._seed + len(self.processes) - 1) % (1 << 63))
        return self.processes[:size]

    def next_meeting(self) -> dict[str, Any]:
        """Return the next group's rendezvous as meta; None in it means that ranks communicate through the switch."""
        self._groups += 1
        return {"meeting": self._meeting, "group": self._groups}

    def together(self, operation: str, switch: Switch, requests: Sequence[Request]) -> list[Answer]:
        """Send one request to each rank, run them concurrently, and return their answers.

        Raises AttemptRaised, AttemptDied, and Mismatch if the ranks' calls do not match.
        """
        ranks = self.ranks(len(requests))
        with self._dying_together(ranks):
            return _JointCall(ranks, switch, operation, requests).answers()

    @contextmanager
    def _dying_together(self, ranks: Sequence[AttemptProcess]) -> Iterator[None]:
        try:
            yield
        except AttemptDied as died:
            rank = next((r for r, process in enumerate(ranks) if process.death is died), None)
            self.close()
            self.death = (
                died
                if rank is None
                else AttemptDied(died.how, Message("rank {rank}: {detail}", rank=rank, detail=died.detail), died.lines)
            )
            raise self.death from None


class _JointCall:
    """One operation that runs on all ranks concurrently."""

    def __init__(
        self,
        ranks: list[AttemptProcess],
        switch: Switch,
        operation: str,
        requests: Sequence[Request],
    ) -> None:
        self.ranks, self.switch = ranks, switch
        switch.begin()
        self.numbers = [p.ask(operation, meta, value) for p, (meta, value) in zip(ranks, requests, strict=True)]
        self.sent = [0] * len(ranks)

    def answers(self) -> list[Answer]:
        """Forward the ranks' messages until all ranks have answered."""
        found: list[Any] = [None] * len(self.ranks)
        errors: dict[int, Exception] = {}
        left = set(range(len(self.ranks)))
        while left:
            next_frames(self.ranks)
            for rank, process in enumerate(self.ranks):
                if not process.has_frame:
                    continue
                meta, value = process.hear()
                if rank not in left or rank in self.switch.waiting:
                    process.end("protocol", Message("the process answered with {what}", what="more than one answer"))
                if process.asks_a_part(meta):
                    with on_rank(rank):
                        process.answer_for_a_part(self.numbers[rank], meta, value)
                    continue
                process.clock.pause()
                if "comm" in meta:
                    self.communicate(rank, meta, value)
                else:
                    try:
                        process.settle(self.numbers[rank], meta, value)
                        found[rank] = (self.numbers[rank], meta, value)
                    except AttemptRaised as error:
                        errors[rank] = AttemptRaised(error.types, error.message, error.lines, rank)
                    left.remove(rank)
                    self.switch.returned(rank)
                self.pass_on()
        if len(errors) == len(found) and len({str(_anywhere(e)) for e in errors.values()}) == 1:
            errors = {0: _anywhere(errors[0])}
        return outcome(found, errors, self.switch.failure)

    def communicate(self, rank: int, meta: dict[str, Any], value: Any) -> None:
        """Handle a rank's communicator call, or its wait for one. A rank that violates the protocol is ended."""
        ticket = meta.get("ticket")
        if meta.get("id") != self.numbers[rank] or type(ticket) is not int:
            self.broken(rank)
        if meta["comm"] == "wait":
            self.switch.wait(rank, ticket)
            return
        if ticket <= self.switch.newest[rank]:
            self.broken(rank)
        call = _checked(meta, value, rank, len(self.ranks))
        if call is None:
            self.broken(rank)
        self.sent[rank] += sum(t.nbytes for t in call.tensors) + 1024
        if self.sent[rank] > MOST_BYTES:
            self.ranks[rank].end("memory", Message("it sent more than {size} MiB in one call", size=MOST_BYTES >> 20))
        place = meta.get("at")
        at = Message("line {line}", line=place) if type(place) is int and place > 0 else ""
        self.switch.post(rank, ticket, call, at)
        if meta.get("wait") is True:
            self.switch.wait(rank, ticket)
        else:
            self.ranks[rank].clock.resume()

    def pass_on(self) -> None:
        """Send the switch's answers to the ranks that wait for them, so that they continue."""
        for rank, tensors in self.switch.take_answers():
            process = self.ranks[rank]
            process.clock.resume()
            if tensors is None:
                process.say({"ok": False}, str(self.switch.failure))
            else:
                process.say({"ok": True}, tensors)

    def broken(self, rank: int) -> NoReturn:
        """End a rank that sent a frame which no communicator sends."""
        self.ranks[rank].end(
            "protocol", Message("the process answered with {what}", what="a call that no communicator makes")
        )


def _anywhere(error: Exception) -> AttemptRaised:
    assert isinstance(error, AttemptRaised)
    return AttemptRaised(error.types, error.message, error.lines)


def _checked(meta: dict[str, Any], value: Any, rank: int, size: int) -> Call | None:
    """Return the call that a frame encodes, None if no communicator would make it."""
    kind, to, source = meta["comm"], meta.get("to"), meta.get("source")
    if type(kind) is not str or kind not in (*POINT_TO_POINT, *COLLECTIVES) or type(value) is not list:
        return None
    count = {"recv": 0, "barrier": 0, "all_to_all": size}.get(kind, 1)
    if len(value) != count or not all(isinstance(t, Tensor) for t in value):
        return None
    others = [r for r in range(size) if r != rank]
    to_whom = others if kind in ("send", "exchange") else [None]
    from_whom = {"recv": others, "exchange": others, "broadcast": range(size)}.get(kind, [None])
    if type(to) not in (int, type(None)) or to not in to_whom:
        return None
    if type(source) not in (int, type(None)) or source not in from_whom:
        return None
    if kind in ("reduce_scatter", "all_gather"):
        parts = size if kind == "reduce_scatter" else 1
        if value[0].dim() == 0 or value[0].shape[0] % parts:
            return None
    if kind in ("all_reduce", "reduce_scatter") and value[0].dtype in _NO_SUMS:
        return None
    return Call(kind, tuple(value), to, source)


_NO_SUMS = (torch.float8_e4m3fn, torch.float8_e5m2)
