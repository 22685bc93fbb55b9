"""Sums over real processes: the bytes that each rank sends, and whether all ranks end with the same bits.

The ranks are processes that communicate over gloo. Every byte is counted where a rank sends it, and the sums are
compared bit by bit: the numbers are floats, so that another order of addition gives other last bits.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from groundup.core.lab import Bench, Outcome
from groundup.core.testing import per_rank

RANKS, QUICK_RANKS = (2, 3, 4, 6, 8), (2, 3)
ELEMENTS = 24 * 1024  # divisible by every number of ranks: nothing is padded
TIMED, TIMED_RANKS = 12 << 17, 4  # elements and ranks of the timeline: 6 MiB of float32
TIMES = 3  # calls of which the fastest is drawn
ROUNDING = 1e-6  # against the sum in float64, relative to the sum of absolute values: 7 roundings of 2**-24 at most

Event = tuple[str, float, float, int]


def run(bench: Bench) -> Outcome:
    """Sum one tensor over more and more ranks; count what they send, and compare the results bit by bit."""
    ring = bench.impl("parallelism/ring-all-reduce")
    ranks = QUICK_RANKS if bench.quick else RANKS
    sent: dict[int, float] = {}
    differing: dict[int, float] = {}
    sound = True
    for done, size in enumerate(ranks):
        group = Watched(ring(size), size)
        given = numbers(bench.seed, size, ELEMENTS)
        sums = group.call("all_reduce", given)
        sound = sound and all(close(own, given) for own in sums)
        sent[size] = group.sent() / given[0].nbytes
        differing[size] = unlike(sums)
        messages = group.messages()
        bench.point("busiest rank", size, sent[size])
        bench.progress((done + 1) / (len(ranks) + 1))
    draw(bench, Watched(ring(min(TIMED_RANKS, ranks[-1])), min(TIMED_RANKS, ranks[-1])))
    last = ranks[-1]
    flat = all(factor <= formula(size) for size, factor in sent.items())
    return Outcome(
        figures=(
            bench.figure("sent", sent[ranks[0]], ranks=ranks[0], expected=formula(ranks[0])),
            bench.figure("sent", sent[last], ranks=last, expected=formula(last)),
            bench.figure("messages", messages, ranks=last, expected=2 * (last - 1)),
            bench.figure("differing", 100 * differing[last], ranks=last),
            bench.figure("other_order", 100 * unlike([sums[0], in_order(given)]), ranks=last),
        ),
        mark=bench.mark(sound and flat and not any(differing.values()), ranks=last),
    )


def formula(size: int) -> float:
    """Return 2 (N - 1) / N."""
    return 2 * (size - 1) / size


def numbers(seed: int, size: int, count: int) -> list[Tensor]:
    """Return a float32 tensor for each rank, as gradients are: their sum is rounded, and the order of adding shows."""
    generator = torch.Generator().manual_seed(seed)
    return list(torch.randn(size, count, generator=generator).unbind())


def close(total: Tensor, given: list[Tensor]) -> bool:
    """Whether ``total`` is the sum of ``given`` up to rounding."""
    exact = torch.stack(given).double()
    return bool(((total.double() - exact.sum(0)).abs() <= ROUNDING * exact.abs().sum(0)).all())


def in_order(given: list[Tensor]) -> Tensor:
    """Return the sum that one process finds: rank 0's tensor plus rank 1's plus rank 2's ..."""
    total = given[0]
    for tensor in given[1:]:
        total = total + tensor
    return total


def unlike(sums: list[Tensor]) -> float:
    """Return the fraction of elements of which not all of ``sums`` hold the same bits."""
    bits = torch.stack(sums).view(torch.int32)
    return float((bits != bits[0]).any(0).double().mean())


def draw(bench: Bench, group: Watched) -> None:
    """Draw the communication of each rank in one all-reduce of a larger tensor: its first half and its second half."""
    given = numbers(bench.seed, group.size, TIMED)
    calls = []
    for _ in range(TIMES):
        group.call("all_reduce", given)
        calls.append(group.events)
    events = min(calls, key=duration)  # other load on the machine slows some calls down
    together = began(events)
    for rank, own in enumerate(events):
        for number, (_, begin, end, _) in enumerate(own):
            half = "first half" if 2 * number < len(own) else "second half"
            if end > together:
                bench.bar(f"rank {rank}", (max(begin, together) - together) * 1000, (end - together) * 1000, half)


class Watched:
    """A group of ranks, and the communication events of its last call."""

    def __init__(self, group: Any, size: int) -> None:
        self.group, self.size = group, size
        self.seen = [0] * size
        self.events: list[list[Event]] = [[] for _ in range(size)]

    def call(self, method: str, given: list[Tensor]) -> list[Tensor]:
        """Call a method with one argument per rank; return one result per rank."""
        got: list[Tensor] = getattr(self.group, method)(per_rank(given))
        events: list[list[Event]] = self.group.events()
        self.events = [
            [event for event in own[seen:] if event[0] != "wait"] for own, seen in zip(events, self.seen, strict=True)
        ]
        self.seen = [len(own) for own in events]
        return got

    def sent(self) -> int:
        """Return the most bytes that any rank sent."""
        return max(sum(sent for *_, sent in own) for own in self.events)

    def messages(self) -> int:
        """Return the most messages that any rank sent."""
        return max(sum(sent > 0 for *_, sent in own) for own in self.events)


def began(events: list[list[Event]]) -> float:
    """Return when the last rank made its first call: ranks are started in turn, and wait for each other."""
    return max((own[0][1] for own in events if own), default=0.0)


def duration(events: list[list[Event]]) -> float:
    """Return the seconds from ``began`` to the end of the last rank's last call."""
    return max((own[-1][2] for own in events if own), default=0.0) - began(events)
