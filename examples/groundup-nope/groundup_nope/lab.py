"""Positions from the mask alone: up to which length they are found, and where bfloat16 merges neighbours."""

from __future__ import annotations

import torch
from torch import Tensor

from groundup.core.lab import Bench, Outcome

BEGIN = 1
LENGTH, QUICK_LENGTH = 512, 320  # bfloat16 has 8 bits: neighbours merge by position 256


def run(bench: Bench) -> Outcome:
    """Compute the first token's weight along one long text, with and without the mask, and the positions from it."""
    attention = bench.impl("architecture/nope")()
    length = QUICK_LENGTH if bench.quick else LENGTH
    tokens = torch.randint(2, 99, (1, length), generator=torch.Generator().manual_seed(bench.seed))
    tokens[0, 0] = BEGIN
    first = (tokens == BEGIN).float()[:, None, :, None]
    nothing = torch.zeros_like(first)
    causal, everything = (attention.forward(nothing, nothing, first, causal=c)[0, 0, :, 0] for c in (True, False))
    for position in range(length):
        bench.point("causal", position, float(causal[position]))
        bench.point("all see all", position, float(everything[position]))
    bench.progress(0.5)
    found = attention.positions(tokens, begin=BEGIN)[0]
    right = int((found == torch.arange(length)).sum())
    bench.progress(1.0)
    return Outcome(
        figures=(
            bench.figure("found", right, length=length),
            bench.figure("shares", len(everything.unique())),
            bench.figure("merged", merged(causal)),
        ),
        mark=bench.mark(right == length and len(everything.unique()) == 1, length=length),
    )


def merged(share: Tensor) -> int:
    """Return the first position whose weight equals the next one's in bfloat16."""
    narrow = share.to(torch.bfloat16)
    return int((narrow[1:] == narrow[:-1]).nonzero()[0])
