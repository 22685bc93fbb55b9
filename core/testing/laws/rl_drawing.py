"""Draws batches of any class, tensor by tensor from the annotations of its fields. See ``laws.rl``."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

import torch
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.testing.laws.rl_setting import layout
from groundup.core.testing.strategies import STEP, booleans, tensors

__all__ = ["batches"]

BatchT = TypeVar("BatchT")


def batches(
    kind: type[BatchT],
    sizes: Sequence[Mapping[str, int]],
    *,
    also: Collection[str] = (),
    below: Mapping[str, str | int] | None = None,
) -> st.SearchStrategy[BatchT]:
    """Draw batches of the class ``kind`` in float32 and float64, of these sizes by axis: ``{"B": 2, "T": 3}``.

    Floats are multiples of 0.1, most of which a narrower dtype rounds: log-probabilities from -4 to 0, entropies from 0
    to 2, others from -2 to 2. A mask of tokens is True at each row's first token and arbitrary at the others; other
    booleans are arbitrary. The integers of a field are at least 0 and less than ``below[field]``: a number, or the size
    of the axis of that name.

    Optional fields are None, except those named in ``also``. A starred axis without a size is left out of a shape.

    Raises ValueError for an axis without a size, an integer field that is not in ``below``, or an unknown name.
    """
    below = below or {}
    hints = typing.get_type_hints(kind)
    optional = {f.name for f in dataclasses.fields(typing.cast("Any", kind)) if f.default is None}
    known = layout(kind)
    if unknown := sorted({*also, *below} - known.keys()):
        raise ValueError(f"{kind.__name__} has no tensor {unknown[0]!r}: it has {', '.join(known)}")
    wanted = {name: _annotation(hint) for name, hint in hints.items() if name not in optional or name in also}
    return st.one_of(
        [
            st.builds(kind, **{name: _field(name, hint, size, dtype, below) for name, hint in wanted.items()})
            for size in sizes
            for dtype in (torch.float32, torch.float64)
        ]
    )


def _annotation(hint: Any) -> Any:
    """Return the jaxtyping annotation in a hint that may also allow None."""
    shaped = [h for h in (hint, *typing.get_args(hint)) if hasattr(h, "dim_str")]
    return shaped[0] if shaped else hint


def _field(
    name: str, hint: Any, size: Mapping[str, int], dtype: torch.dtype, below: Mapping[str, str | int]
) -> st.SearchStrategy[Tensor]:
    axes = [axis for axis in hint.dim_str.split() if not axis.startswith("*") or axis[1:] in size]
    if lacking := [axis for axis in axes if axis.lstrip("*") not in size]:
        raise ValueError(f"{name} has the axes {hint.dim_str!r}: give the size of {lacking[0]!r}")
    shape = tuple(size[axis.lstrip("*")] for axis in axes)
    if "bool" in hint.dtypes:
        is_mask = name.endswith("mask") and len(shape) == 2
        return booleans(shape, simplest=True).map(_first_is_real) if is_mask else booleans(shape)
    if any(kind.startswith("int") for kind in hint.dtypes):
        if name not in below:
            raise ValueError(f"{name} holds integers: give the number that they are below, below={{{name!r}: ...}}")
        limit = below[name]
        return _integers(shape, size[limit] if isinstance(limit, str) else limit)
    low, high = (-4, 0) if name.endswith("log_prob") else (0, 2) if name == "entropy" else (-2, 2)
    factor = 0.1 / STEP
    drawn = tensors(shape, dtype=dtype, low=low / factor, high=high / factor)
    return drawn.map(lambda numbers: numbers.mul_(factor))  # in place, which keeps the layout


def _first_is_real(mask: Tensor) -> Tensor:
    mask[:, :1] = True
    return mask


def _integers(shape: tuple[int, ...], limit: int) -> st.SearchStrategy[Tensor]:
    """Draw integers from 0 to ``limit`` - 1, shrinking towards 0."""
    return tensors(shape, high=(limit - 1) * STEP, low=0).map(lambda drawn: (drawn / STEP).round().long())
