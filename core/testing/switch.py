"""Routes and counts the messages between ranks, and reports deadlocks and mismatched collectives.

The switch only does the bookkeeping: the code that runs the ranks, as threads or as processes, posts every call to it
and delivers its answers. Messages are matched in the order of sending, so an answer never depends on timing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import torch
from torch import Tensor

from groundup.core.communicator import POINT_TO_POINT, Call, wire_bytes
from groundup.core.messages import Message, series
from groundup.core.plain import plain
from groundup.core.testing.compare import Mismatch
from groundup.core.testing.parts import Event, now, watcher

__all__ = ["Deadlock", "Disagreement", "Switch", "Transfer"]


class Deadlock(Mismatch):
    """Ranks wait for messages that will never come."""


class Disagreement(Mismatch):
    """Ranks make different collective calls where all should make the same."""


@plain
@dataclass(frozen=True, eq=False)
class Transfer:
    """What one rank sent in one call; empty messages count too. ``to`` is None for a collective."""

    rank: int
    kind: str
    to: int | None
    bytes: int
    shapes: tuple[tuple[int, ...], ...] = ()
    dtypes: tuple[torch.dtype, ...] = ()


@dataclass(eq=False)
class _Open:
    """A call in progress."""

    rank: int
    call: Call
    place: str
    missing: int = 1
    result: list[Tensor] = field(default_factory=list)

    @property
    def described(self) -> str:
        return _described(self, self.call.kind)


class Switch:
    """The switch of one group. Call ``begin`` for each joint call of all ranks, then post everything the ranks do."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.traffic: list[Transfer] = []
        self.messages: list[Event] = []
        """The traffic as events in the order of sending, numbered together with the events of parts."""
        self._watch = watcher()
        self.newest = [0] * size  # each rank's latest ticket; tickets increase from call to call
        self.failure: Mismatch | None = None
        self.done: dict[tuple[int, int], list[Tensor]] = {}
        self.earlier: dict[tuple[int, int], list[Tensor]] = {}
        self.begin()

    def begin(self) -> None:
        """Begin a joint call: every rank is computing and no call is in progress.

        Calls that completed in the previous joint call without a wait can still be waited for in this one.
        """
        self.failure = None
        self.open: dict[tuple[int, int], _Open] = {}
        self.earlier, self.done = self.done, {}
        self.waiting: dict[int, int] = {}
        self.gone: set[int] = set()
        self.answers: list[tuple[int, list[Tensor] | None]] = []
        self.sends: dict[tuple[int, int], deque[tuple[int, Tensor]]] = {}
        self.receives: dict[tuple[int, int], deque[int]] = {}
        self.rounds: list[list[tuple[int, _Open]]] = []
        self.joined = [0] * self.size

    def post(self, rank: int, ticket: int, call: Call, place: str = "") -> None:
        """Record that ``rank`` has started ``call``; ``ticket`` identifies it in ``wait``."""
        self.newest[rank] = ticket
        if self.failure is not None:
            return
        entry = _Open(rank, call, place)
        self.open[rank, ticket] = entry
        if call.kind != "recv" and (self.size > 1 or call.kind in POINT_TO_POINT):
            self._note(rank, call)
        if call.kind in POINT_TO_POINT:
            entry.missing = (call.to is not None) + (call.source is not None)
            if call.to is not None:
                self.sends.setdefault((rank, call.to), deque()).append((ticket, call.tensors[0]))
                self._pair(rank, call.to)
            if call.source is not None:
                self.receives.setdefault((call.source, rank), deque()).append(ticket)
                self._pair(call.source, rank)
        else:
            self._join(rank, ticket, entry)

    def _note(self, rank: int, call: Call) -> None:
        shapes = tuple(tuple(t.shape) for t in call.tensors)
        dtypes = tuple(t.dtype for t in call.tensors)
        transfer = Transfer(rank, call.kind, call.to, wire_bytes(call, rank, self.size), shapes, dtypes)
        self.traffic.append(transfer)
        self.messages.append(Event(now(), "message", "group", call.kind, (transfer,), rank=rank))
        self._watch(self.messages[-1])

    def wait(self, rank: int, ticket: int) -> None:
        """Record that ``rank`` is blocked until its call ``ticket`` completes."""
        if self.failure is not None:
            self.answers.append((rank, None))
            return
        for done in (self.done, self.earlier):
            if (rank, ticket) in done:
                self.answers.append((rank, done.pop((rank, ticket))))
                return
        self.waiting[rank] = ticket
        if (rank, ticket) in self.open:
            self._check()
        else:
            self._fail(
                Deadlock(
                    Message(
                        "rank {rank} waits for a call that is not under way: it was begun in an earlier step", rank=rank
                    )
                )
            )

    def returned(self, rank: int) -> None:
        """Record that ``rank`` has returned from the joint call."""
        self.gone.add(rank)
        if self.failure is None:
            self._check()

    def take_answers(self) -> list[tuple[int, list[Tensor] | None]]:
        """Return and clear the pending answers, as (rank, tensors); None instead of tensors means failure."""
        answers, self.answers = self.answers, []
        return answers

    def _pair(self, source: int, to: int) -> None:
        sends, receives = self.sends.get((source, to)), self.receives.get((source, to))
        if sends and receives:
            (sent, tensor), received = sends.popleft(), receives.popleft()
            self.open[to, received].result.append(tensor)
            self._settle(source, sent)
            self._settle(to, received)

    def _join(self, rank: int, ticket: int, entry: _Open) -> None:
        number = self.joined[rank]
        self.joined[rank] += 1
        if number == len(self.rounds):
            self.rounds.append([])
        calls = self.rounds[number]
        calls.append((ticket, entry))
        if len(calls) < self.size:
            return
        by_rank = sorted(calls, key=lambda item: item[1].rank)
        if not self._disagree(number):
            results = _collective([e.call for _, e in by_rank])
            for (done, joined), result in zip(by_rank, results, strict=True):
                joined.result = result
                self._settle(joined.rank, done)

    def _disagree(self, number: int) -> bool:
        """Whether the ranks' collective calls with that number differ. If so, the failure is set."""
        calls = sorted((e for _, e in self.rounds[number]), key=lambda e: e.rank)
        if all(_agreement(e.call) == _agreement(calls[0].call) for e in calls):
            return False
        told = series(
            Message("rank {rank} calls {call}", rank=e.rank, call=_described(e, _with_tensors(e.call))) for e in calls
        )
        self._fail(
            Disagreement(
                Message("collective call {number} is not the same on all ranks: {ranks}", number=number + 1, ranks=told)
            )
        )
        return True

    def _settle(self, rank: int, ticket: int) -> None:
        entry = self.open[rank, ticket]
        entry.missing -= 1
        if entry.missing:
            return
        del self.open[rank, ticket]
        if self.waiting.get(rank) == ticket:
            del self.waiting[rank]
            self.answers.append((rank, entry.result))
        else:
            self.done[rank, ticket] = entry.result

    def _check(self) -> None:
        """Fail if no rank can make progress any more."""
        if len(self.waiting) + len(self.gone) < self.size or not self.open:
            return
        if any(self._disagree(number) for number in range(min(self.joined), len(self.rounds))):
            return
        told = [
            Message("rank {rank} waits in {call}", rank=rank, call=self.open[rank, self.waiting[rank]].described)
            if rank in self.waiting
            else Message("rank {rank} has returned", rank=rank)
            for rank in range(self.size)
        ]
        if self.waiting:
            self._fail(Deadlock(Message("the ranks wait for each other: {ranks}", ranks=series(told))))
        else:
            begun = series(
                Message("rank {rank} began {call}", rank=e.rank, call=e.described) for e in self.open.values()
            )
            self._fail(Deadlock(Message("a call was begun that not every rank made: {ranks}", ranks=begun)))

    def _fail(self, failure: Mismatch) -> None:
        self.failure = failure
        self.answers = [a for a in self.answers if a[0] not in self.waiting] + [(r, None) for r in self.waiting]
        self.waiting = {}


def _agreement(call: Call) -> tuple[object, ...]:
    """Return what must be the same on all ranks."""
    if call.kind == "all_to_all":
        return call.kind, len(call.tensors)
    return call.kind, call.source, [(tuple(t.shape), t.dtype) for t in call.tensors]


def _described(entry: _Open, what: str) -> str:
    call = entry.call
    if call.to is not None:
        what = Message("{call} to rank {to}", call=what, to=call.to)
    if call.source is not None:
        what = Message("{call} from rank {source}", call=what, source=call.source)
    return Message("{call} ({place})", call=what, place=entry.place) if entry.place else what


def _with_tensors(call: Call) -> str:
    of = [f"{str(t.dtype).removeprefix('torch.')} {tuple(t.shape)}" for t in call.tensors]
    return Message("{call} of {tensors}", call=call.kind, tensors=of) if of else call.kind


def _collective(calls: list[Call]) -> list[list[Tensor]]:
    """Return the results of one collective call, rank by rank."""
    kind, size = calls[0].kind, len(calls)
    if kind == "barrier":
        return [[] for _ in calls]
    if kind == "all_to_all":
        return [[call.tensors[rank] for call in calls] for rank in range(size)]
    tensors = [call.tensors[0] for call in calls]
    if kind == "broadcast":
        return [[tensors[calls[0].source or 0]] for _ in calls]
    if kind == "all_gather":
        return [[torch.cat(tensors)] for _ in calls]
    total = tensors[0].clone()
    for tensor in tensors[1:]:
        total += tensor
    if kind == "all_reduce":
        return [[total] for _ in calls]
    return [[chunk] for chunk in total.chunk(size)]
