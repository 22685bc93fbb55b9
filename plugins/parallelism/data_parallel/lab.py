"""When buckets leave: observed against the backward pass of every layer, for buckets of many sizes.

The lab owns the model's layers, so it sees when the backward pass reaches each of them; the ranks' processes record
when they start an all-reduce. What follows from that order is computed for one stated machine (``LINK``, ``ALPHA``,
``BACKWARD``), since the clock of a machine whose ranks share its cores says little. The timeline below the curves is
the clock's.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from groundup.core.lab import Bench, Outcome
from groundup.core.models import Batch, Linears, MultiTaskMLP
from groundup.core.testing import Event, handed, per_rank

MODEL = MultiTaskMLP((248,) * 9, outputs=64)  # two layers fit into the chosen bucket
QUICK_MODEL = MultiTaskMLP((64,) * 5, outputs=16)
EXAMPLES, QUICK_EXAMPLES = 64, 8  # per rank
RANKS = 2
SMALLEST, LARGEST = 14, 22  # log2 of the bucket size in bytes: from a bucket per weight to a single bucket
CHOSEN, QUICK_CHOSEN = 19, 14  # the bucket size of the figures, the mark and the timeline: 512 KiB
LINK = 10e9  # bytes a second from rank to rank, on the stated machine
ALPHA = 20e-6  # seconds that a message costs besides its bytes
BACKWARD = 400e-6  # seconds of the whole backward pass; each layer's part is as large as its part of the weights
UNDER_WAY = 0.5  # least fraction of the bytes that is under way when the backward pass reaches the first layer
ONE_MACHINE = 1e-5  # tolerance against the float32 gradients of a single machine, relative to the largest


def run(bench: Bench) -> Outcome:
    """Take a step with each bucket size, and note after which layers' backward passes its buckets leave."""
    model, strategy = QUICK_MODEL if bench.quick else MODEL, bench.impl("parallelism/data-parallel")
    params, batches = model.init(bench.seed), examples(model, bench)
    expected = alone(model, params, batches)
    chosen = QUICK_CHOSEN if bench.quick else CHOSEN
    exponents = (chosen - 2, chosen, LARGEST) if bench.quick else range(SMALLEST, LARGEST + 1)
    steps: dict[int, Step] = {}
    sound = True
    for count, exponent in enumerate(exponents, start=1):
        steps[exponent], grads = watched(strategy, model, params, batches, 1 << exponent)
        sound = sound and all(close(own, expected) for own in grads)
        bench.point("step", exponent, 1e6 * (BACKWARD + steps[exponent].exposed(model, params)))
        bench.progress(count / (len(exponents) + 1))
    draw(bench, "buckets", strategy, model, params, batches, 1 << chosen)
    draw(bench, "one bucket", strategy, model, params, batches, 1 << LARGEST)
    step, one = steps[chosen], steps[LARGEST]
    under_way = step.under_way(model)
    said = {"bucket": (1 << chosen) >> 10, "link": LINK / 1e9, "alpha": ALPHA * 1e6, "backward": BACKWARD * 1e6}
    total = sum(value.nbytes for value in params.values())
    return Outcome(
        figures=(
            bench.figure("under_way", 100 * under_way, **said),
            bench.figure("calls", len(step.buckets), **said),
            bench.figure("hidden", 100 * step.hidden(model, params), **said),
            bench.figure("hidden_in_one", 100 * one.hidden(model, params), **said),
            bench.figure("bytes", sum(count for count, _ in step.buckets), expected=total, **said),
        ),
        mark=bench.mark(sound and under_way >= UNDER_WAY, share=UNDER_WAY, **said),
    )


class Step(NamedTuple):
    """Rank 0's buckets in one step, in the order in which they were started."""

    buckets: list[tuple[int, int]]
    """For each its bytes, and how many layers the backward pass had reached when it was started."""

    def under_way(self, model: MultiTaskMLP) -> float:
        """Return the fraction of the bytes that was started before the backward pass reached the first layer."""
        early = sum(count for count, reached in self.buckets if reached < len(model.layers()))
        return early / sum(count for count, _ in self.buckets)

    def exposed(self, model: MultiTaskMLP, params: dict[str, Tensor]) -> float:
        """Return the seconds that the stated machine's link still works after the backward pass has ended."""
        ends = ended(model, params)
        free = 0.0
        for count, reached in self.buckets:
            free = max(free, ends[reached - 1]) + seconds(count)
        return max(free - BACKWARD, 0.0)

    def hidden(self, model: MultiTaskMLP, params: dict[str, Tensor]) -> float:
        """Return the fraction of the link's time that lies within the backward pass."""
        total = sum(seconds(count) for count, _ in self.buckets)
        return max(total - self.exposed(model, params), 0.0) / total


def seconds(count: int) -> float:
    """Return the time of a ring all-reduce of ``count`` bytes: 2 (N - 1) messages of an N-th of them."""
    return 2 * (RANKS - 1) * (ALPHA + count / RANKS / LINK)


def ended(model: MultiTaskMLP, params: dict[str, Tensor]) -> list[float]:
    """Return when the backward pass of each layer ends, the last layer's first."""
    weights = [sum(params[name].numel() for name in names) for names in reversed(model.layers())]
    return [BACKWARD * sum(weights[: count + 1]) / sum(weights) for count in range(len(weights))]


class Stamped(list[Event]):
    """The events of the model's layers; the time of each is kept beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def append(self, event: Event) -> None:
        """Add an event that happens now."""
        self.times.append(time.perf_counter())
        super().append(event)


def watched(
    strategy: Any, model: MultiTaskMLP, params: dict[str, Tensor], batches: list[Batch], cap: int
) -> tuple[Step, list[dict[str, Tensor]]]:
    """Take one step whose layers are run here; return rank 0's buckets, and all ranks' gradients.

    A rank waits while one of its layers is run, so whether a bucket is started before or after the backward pass of a
    layer does not depend on how fast the machine is.
    """
    layers = Stamped()
    seen = replace(model, linears=handed(Linears(), layers))
    group = strategy(RANKS, seen, bucket_bytes_cap=cap)
    shards = group.shard(params)
    before = len(group.events()[0])
    results = group.step(per_rank(shards), per_rank(batches))
    reached = [
        at for at, event in zip(layers.times, layers, strict=True) if event.kind == "backward" and event.rank == 0
    ]
    calls = sorted((begin, count) for kind, begin, _, count in group.events()[0][before:] if kind != "wait")
    return Step([(count, sum(at < begin for at in reached)) for begin, count in calls]), [own for _, own in results]


def examples(model: MultiTaskMLP, bench: Bench) -> list[Batch]:
    """Return a batch for each rank."""
    generator = torch.Generator().manual_seed(bench.seed)
    count = QUICK_EXAMPLES if bench.quick else EXAMPLES

    def normal(width: int) -> Tensor:
        return torch.randn(count, width, generator=generator)

    return [{"x": normal(model.widths[0]), "y": normal(model.outputs)} for _ in range(RANKS)]


def alone(model: MultiTaskMLP, params: dict[str, Tensor], batches: list[Batch]) -> dict[str, Tensor]:
    """Return the gradients of a single process with all examples."""
    leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
    torch.stack([model.loss(model.forward(leaves, batch), batch) for batch in batches]).mean().backward()
    return {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}


def close(grads: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    """Whether the gradients of one rank equal those of a single process up to rounding."""
    largest = max(float(grad.abs().max()) for grad in expected.values())
    return grads.keys() == expected.keys() and all(
        torch.allclose(grads[name], grad, rtol=0.0, atol=ONE_MACHINE * largest) for name, grad in expected.items()
    )


def draw(
    bench: Bench,
    row: str,
    strategy: Any,
    model: MultiTaskMLP,
    params: dict[str, Tensor],
    batches: list[Batch],
    cap: int,
) -> None:
    """Draw rank 0's clock in one step without an observer, after another to warm up, and its communication below."""
    group = strategy(RANKS, model, bucket_bytes_cap=cap)
    shards = per_rank(group.shard(params))
    seen = len(group.events()[0])
    for _ in range(2):
        called = time.perf_counter()
        group.step(shards, per_rank(batches))
        events = group.events()[0]
        new, seen = sorted(events[seen:], key=lambda event: event[1]), len(events)
    waits = [(begin, end) for kind, begin, end, _ in new if kind == "wait"]

    def bar(of: str, begin: float, end: float, kind: str) -> None:
        bench.bar(f"{row}: {of}", 1000 * (begin - called), 1000 * (end - called), kind)

    bar("rank 0", called, waits[0][0], "forward and backward")
    for begin, end in waits:
        bar("rank 0", begin, end, "standing still")
    for kind, begin, end, _ in new:
        if kind != "wait":
            bar("its wire", begin, end, "all-reduce")
