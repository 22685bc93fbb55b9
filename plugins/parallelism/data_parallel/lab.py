"""The benefit of buckets: the same step with one bucket and with many, and how long ranks then wait.

Ranks are processes that communicate over gloo, and record when their calls and waits begin and end.
"""

from __future__ import annotations

import statistics
import time
from typing import Any, NamedTuple

import torch
from torch import Tensor

from groundup.core.lab import Bench, Outcome
from groundup.core.models import Batch, MultiTaskMLP
from groundup.core.testing import per_rank

MODEL = MultiTaskMLP((256, *[512] * 6), outputs=64)
QUICK_MODEL = MultiTaskMLP((64, *[128] * 4), outputs=16)
EXAMPLES, QUICK_EXAMPLES = 256, 32  # per rank
SMALLEST, LARGEST = 15, 23  # log2 of the bucket size in bytes: from one bucket per weight to a single bucket
DRAWN = 20  # the bucket size of the timeline: 1 MiB
STEPS, QUICK_STEPS = 4, 2  # after one warm-up step
HIDDEN = 0.2  # least fraction of the time until the last bucket starts in which other buckets are being sent
ONE_MACHINE = 1e-5  # tolerance against the float32 gradients of a single machine, relative to the largest


class Timed(NamedTuple):
    """The timeline of one rank in one step, in seconds: the start, its communication calls, and its waits."""

    called: float
    calls: list[tuple[float, float, int]]
    waits: list[tuple[float, float]]

    @property
    def whole(self) -> float:
        """Return the time from the start until all sums had arrived."""
        return self.waits[-1][1] - self.called

    @property
    def still(self) -> float:
        """Return the total time that the rank spent waiting."""
        return sum(end - begin for begin, end in self.waits)

    @property
    def overlaps(self) -> float:
        """Return the fraction of the time until the last bucket starts in which buckets were being sent.

        It is 0 if the rank waited before it started the last bucket.
        """
        first, last = self.calls[0][0], self.calls[-1][0]
        return (last - first) / (last - self.called) if self.waits[0][0] >= last else 0.0


def run(bench: Bench) -> Outcome:
    """Take a few steps with each bucket size, and draw a step with many buckets beside one with a single bucket."""
    model = QUICK_MODEL if bench.quick else MODEL
    params = model.init(bench.seed)
    total = sum(value.nbytes for value in params.values())
    exponents = (SMALLEST - 3, SMALLEST, DRAWN) if bench.quick else (SMALLEST, 17, 19, DRAWN, 21, LARGEST)
    sizes = (2,) if bench.quick else (2, 4)
    drawn, one = (SMALLEST, DRAWN) if bench.quick else (DRAWN, LARGEST)
    steps: dict[tuple[int, int], list[Timed]] = {}
    sound = True
    for number, size in enumerate(sizes):
        batches = examples(model, size, bench)
        expected = alone(model, params, batches)
        for count, exponent in enumerate(exponents, start=1):
            group = bench.impl("parallelism/data-parallel")(size, model, bucket_bytes_cap=1 << exponent)
            taken, grads = take(group, params, batches, QUICK_STEPS if bench.quick else STEPS)
            steps[size, exponent] = taken
            sound = sound and all(close(own, expected) for own in grads)
            bench.point(f"{size} ranks: whole step", exponent, 1000 * statistics.median(t.whole for t in taken))
            bench.point(f"{size} ranks: standing still", exponent, 1000 * statistics.median(t.still for t in taken))
            bench.progress((number + count / len(exponents)) / len(sizes))
    draw(bench, "many buckets", steps[2, drawn][-1])
    draw(bench, "one bucket", steps[2, one][-1])
    overlap = statistics.median(t.overlaps for t in steps[2, drawn])
    sent = [count for _, _, count in steps[2, drawn][-1].calls]
    return Outcome(
        figures=(
            bench.figure("buckets", len(sent)),
            bench.figure(
                "largest_bucket",
                max((count for count in sent if count <= 1 << drawn), default=0),
                bucket_bytes=1 << drawn,
            ),
            bench.figure("all_buckets", sum(sent), expected=total),
            bench.figure("calls_with_one_bucket", len(steps[2, one][-1].calls)),
        ),
        mark=bench.mark(sound and sum(sent) == total and overlap >= HIDDEN, share=HIDDEN),
    )


def examples(model: MultiTaskMLP, size: int, bench: Bench) -> list[Batch]:
    """Return a batch for each rank."""
    generator = torch.Generator().manual_seed(bench.seed)
    count = QUICK_EXAMPLES if bench.quick else EXAMPLES

    def normal(width: int) -> Tensor:
        return torch.randn(count, width, generator=generator)

    return [{"x": normal(model.widths[0]), "y": normal(model.outputs)} for _ in range(size)]


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


def take(
    group: Any, params: dict[str, Tensor], batches: list[Batch], steps: int
) -> tuple[list[Timed], list[dict[str, Tensor]]]:
    """Take a warm-up step and ``steps`` more; return rank 0's timelines of these, and all ranks' last gradients."""
    shards = per_rank(group.shard(params))
    seen = len(group.events()[0])
    taken: list[Timed] = []
    results: list[Any] = []
    for number in range(1 + steps):
        called = time.perf_counter()
        results = group.step(shards, per_rank(batches))
        events = group.events()[0]
        new, seen = events[seen:], len(events)
        calls = sorted((begin, end, count) for kind, begin, end, count in new if kind != "wait")
        if number:
            taken.append(Timed(called, calls, sorted((begin, end) for kind, begin, end, _ in new if kind == "wait")))
    return taken, [grads for _, grads in results]


def draw(bench: Bench, row: str, step: Timed) -> None:
    """Draw the timeline of rank 0 in one step, and below it its communication."""

    def bar(of: str, begin: float, end: float, kind: str) -> None:
        bench.bar(f"{row}: {of}", 1000 * (begin - step.called), 1000 * (end - step.called), kind)

    bar("rank 0", step.called, step.waits[0][0], "forward and backward")
    for waited, done in step.waits:
        bar("rank 0", waited, done, "standing still")
    for sent, done, _ in step.calls:
        bar("its wire", sent, done, "all-reduce")
