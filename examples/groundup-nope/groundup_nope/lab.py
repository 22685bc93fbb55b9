"""What the scale is for: how much of the weight lies on one key, as heads grow larger."""

from __future__ import annotations

import torch

from groundup.core.lab import Bench, Figure, Lab, Mark, Outcome

SIZES = (4, 16, 64, 256)
KEYS, QUERIES, QUICK_QUERIES = 32, 256, 32

LAB = Lab(
    title={"en": "The largest weight of a query, by head size"},
    uses=("architecture/nope",),
    x={"en": "head size D"},
    y={"en": "largest weight, mean over queries"},
)


def run(bench: Bench) -> Outcome:
    """Attend with random queries and keys. Values that are unit vectors make the result the weights themselves."""
    torch.manual_seed(bench.seed)
    attention = bench.impl("architecture/nope")()
    queries = QUICK_QUERIES if bench.quick else QUERIES
    value = torch.eye(KEYS)[None, None]
    largest = {}
    for number, size in enumerate(SIZES, start=1):
        query, key = torch.randn(1, 1, queries, size), torch.randn(1, 1, KEYS, size)
        largest[size] = float(attention.forward(query, key, value).amax(-1).mean())
        bench.point("scaled", size, largest[size])
        bench.point("not scaled", size, float(torch.softmax(query @ key.mT, -1).amax(-1).mean()))
        bench.progress(number / len(SIZES))
    return Outcome(
        figures=tuple(Figure(name={"en": f"largest weight, D = {size}"}, value=w) for size, w in largest.items()),
        mark=Mark(
            says={"en": "However large the head is, the largest of 32 weights stays below one half on average."},
            reached=max(largest.values()) < 0.5,
        ),
    )
