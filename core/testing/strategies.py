"""Hypothesis strategies for tensors.

Every number is a multiple of 1/8 in a small range: it is exact in every float dtype, quick to draw (one byte), short to
print, and shrinks towards 0. Memory layouts vary, to detect a ``.view`` that only works on contiguous inputs.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

STEP = 1 / 8
SHORTEST = 32  # the least number of bytes drawn for a tensor
LAYOUTS = ("contiguous", "transposed", "strided")


def float_dtypes() -> st.SearchStrategy[torch.dtype]:
    """Draw float32 or float64: the dtypes that every technique must carry through."""
    return st.sampled_from([torch.float32, torch.float64])


@functools.lru_cache(maxsize=4096)  # hypothesis validates each new strategy, which takes longer than drawing
def tensors(
    shape: tuple[int, ...],
    *,
    dtype: torch.dtype = torch.float32,
    low: float = -2.0,
    high: float = 2.0,
    layouts: bool = True,
) -> st.SearchStrategy[Tensor]:
    """Draw a tensor of multiples of 1/8 in [``low``, ``high``], shrinking towards the one nearest 0.

    Raises ValueError for a range with more than 256 steps.
    """
    first, last = math.ceil(low / STEP), math.floor(high / STEP)
    steps = torch.arange(first, max(first, last + 1), dtype=torch.float64) * STEP
    if not 0 < len(steps) <= 256:
        raise ValueError(f"[{low}, {high}] holds {len(steps)} multiples of 1/8; a tensor draws from 1 to 256")
    grid = steps[torch.argsort(steps.abs() + (steps < 0) * (STEP / 2))].to(dtype)  # 0, 1/8, -1/8, 1/4 ...
    return _drawn(shape, lambda raw: grid[raw.int() % len(grid)], layouts)


@functools.lru_cache(maxsize=4096)
def booleans(shape: tuple[int, ...], *, simplest: bool = False, layouts: bool = True) -> st.SearchStrategy[Tensor]:
    """Draw a boolean tensor, shrinking to ``simplest`` everywhere."""
    return _drawn(shape, lambda raw: (raw % 2 == 1) != simplest, layouts)


def _drawn(shape: tuple[int, ...], read: Any, layouts: bool) -> st.SearchStrategy[Tensor]:
    size = math.prod(shape)
    # A few byte lengths serve all shapes, and the bytes are read in reverse: hypothesis's shrinker leaves the non-zero
    # bytes at the end, so a case whose shape shrinks keeps the numbers that matter.
    length = max(SHORTEST, 1 << (size - 1).bit_length()) if size else SHORTEST

    def build(drawn: tuple[bytes, str]) -> Tensor:
        raw = torch.frombuffer(bytearray(drawn[0]), dtype=torch.uint8).flip(0)[:size]
        return laid_out(read(raw).reshape(shape), drawn[1])

    layout = st.sampled_from(LAYOUTS if layouts else LAYOUTS[:1])
    return st.tuples(st.binary(min_size=length, max_size=length), layout).map(build)


def laid_out(tensor: Tensor, layout: str) -> Tensor:
    """Return the same numbers in another memory layout: ``contiguous``, ``transposed`` or ``strided``."""
    if layout == "transposed" and tensor.dim() >= 2:
        return tensor.mT.contiguous().mT
    if layout == "strided" and tensor.dim() >= 1:
        return torch.stack([tensor, torch.zeros_like(tensor)], dim=-1)[..., 0]
    return tensor.contiguous()
