"""Sums over real processes: the bytes that each rank sends, and the time that it takes.

The ranks are processes that communicate over gloo. Tensors of several sizes are summed by 2 to 4 ranks; the bytes that
each rank sends are counted, and compared with the formula and with sending everything to all ranks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from groundup.core.lab import Bench, Outcome
from groundup.core.testing import per_rank

RANKS, QUICK_RANKS = (2, 3, 4), (2,)
UNIT = 12 * 8192  # elements, divisible by 2, 3 and 4 ranks: 384 KiB of float32
UNITS, QUICK_UNITS = (1, 4, 8, 16), (1, 2)
TIMES = 5  # repetitions of each size; the fastest counts, since other load on the machine slows some down
MIB = 1 << 20


Event = tuple[str, float, float, int]


def run(bench: Bench) -> Outcome:
    """Sum tensors over groups of each size, record the messages, and draw the fastest of the last calls."""
    ring = bench.impl("parallelism/ring-all-reduce")
    ranks, units = (QUICK_RANKS, QUICK_UNITS) if bench.quick else (RANKS, UNITS)
    factors: dict[int, float] = {}
    right = True
    for done, size in enumerate(ranks):
        group = Watched(ring(size), size)
        group.call("reduce_scatter", [torch.ones(size, 1)] * size)  # the first messages open the connections
        for count in units:
            given = numbers(bench.seed, size, count * UNIT)
            expected, calls = torch.stack(given).sum(0), []
            for _ in range(TIMES):
                sums = group.call("all_reduce", given)
                right &= all(torch.equal(tensor, expected) for tensor in sums)
                calls.append(group.events)
            group.events = min(calls, key=duration)
            factors[size] = group.sent() / given[0].nbytes
            bench.point(f"{size} ranks", group.sent() / MIB, duration(group.events) * 1000)
        bench.progress((done + 1) / len(ranks))
    group.draw(bench)
    last = ranks[-1]
    return Outcome(
        figures=(
            *(bench.figure("sent", factor, ranks=size, expected=formula(size)) for size, factor in factors.items()),
            bench.figure("all_to_all", last - 1, ranks=last),
            bench.figure("messages", group.messages(), ranks=last, expected=2 * (last - 1)),
        ),
        mark=bench.mark(right and all(factor == formula(size) for size, factor in factors.items())),
    )


def formula(size: int) -> float:
    """Return 2 (N - 1) / N."""
    return 2 * (size - 1) / size


def numbers(seed: int, size: int, count: int) -> list[Tensor]:
    """Return a tensor of integers for each rank, so that sums are exact in any order."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(-1000, 1000, (size, count), generator=generator)
    return list(drawn.to(torch.float32).unbind())


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

    def draw(self, bench: Bench) -> None:
        """Draw the communication of each rank over time: the first half of its calls, and the second half."""
        together = began(self.events)
        for rank, own in enumerate(self.events):
            for number, (_, begin, end, _) in enumerate(own):
                half = "reduce-scatter" if 2 * number < len(own) else "all-gather"
                if end > together:
                    bench.bar(f"rank {rank}", (max(begin, together) - together) * 1000, (end - together) * 1000, half)


def began(events: list[list[Event]]) -> float:
    """Return when the last rank made its first call: ranks are started in turn, and wait for each other."""
    return max((own[0][1] for own in events if own), default=0.0)


def duration(events: list[list[Event]]) -> float:
    """Return the seconds from ``began`` to the end of the last rank's last call."""
    return max((own[-1][2] for own in events if own), default=0.0) - began(events)
