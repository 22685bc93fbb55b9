"""Distance between two traces, as a whole and number by number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from groundup.core.plain import field_names, is_plain

__all__ = ["Leaf", "Leaves", "agreement", "distance", "leaves", "traces_apart"]

SCALAR_ROUNDING = 4 * 2.0**-23  # a loss is a sum of terms of about 1, and may itself be next to 0


def traces_apart(one: Sequence[Any], other: Sequence[Any], coarse: float = 0.0) -> float:
    """Return the distance over the entries that both traces have; one may end earlier, where its property failed."""
    pairs = zip(one, other, strict=False)
    return max((distance(a, b, coarse) for a, b in pairs), default=0.0 if len(one) == len(other) else math.inf)


def distance(one: Any, other: Any, coarse: float = 0.0) -> float:
    """Return the distance of two plain values, relative to their size; infinity if their types or shapes differ.

    For tensors of lower precision than float64, a distance below ``coarse`` counts as 0.
    """
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        same = one.requires_grad == other.requires_grad
        apart = _tensor_distance(one.detach(), other.detach()) if same else math.inf
        return 0.0 if apart < coarse and one.dtype != torch.float64 else apart
    if type(one) in (int, float) and type(other) in (int, float):
        return _tensor_distance(torch.tensor(float(one)), torch.tensor(float(other)))
    if type(one) is not type(other):
        return math.inf
    if type(one) in (list, tuple):
        if len(one) != len(other):
            return math.inf
        return max((distance(a, b, coarse) for a, b in zip(one, other, strict=True)), default=0.0)
    if type(one) is dict:
        if one.keys() != other.keys():
            return math.inf
        return max((distance(v, other[k], coarse) for k, v in one.items()), default=0.0)
    if is_plain(type(one)):
        return max((distance(getattr(one, f), getattr(other, f), coarse) for f in field_names(type(one))), default=0.0)
    return 0.0 if one is other or one == other else math.inf


@dataclass(frozen=True)
class Leaf:
    """One leaf of a trace: its numbers, and its ``form``. Numbers of two leaves are compared if the forms are equal."""

    form: Any
    numbers: Tensor
    size: float

    @classmethod
    def of(cls, value: Any) -> Leaf:
        """Return the leaf of a number, a tensor, or any other value."""
        if type(value) in (int, float):
            value = torch.tensor(float(value))
        if not isinstance(value, Tensor):
            return cls(value, torch.zeros(1), 0.0)
        parts = torch.view_as_real(value.detach()) if value.is_complex() else value.detach()
        numbers = parts.flatten().to(torch.float64).nan_to_num(nan=3e38, posinf=2e38, neginf=-2e38)
        known = numbers[numbers.abs() < 1e38]
        return cls((value.shape, value.dtype), numbers, float(known.abs().max()) if len(known) else 0.0)


Leaves = dict[tuple[Any, ...], Leaf]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the leaves of a plain value, each with its path."""
    if type(value) in (list, tuple):
        parts: Any = enumerate(value)
    elif type(value) is dict:
        parts = value.items()
    elif is_plain(type(value)):
        parts = ((name, getattr(value, name)) for name in field_names(type(value)))
    else:
        yield path, value
        return
    for key, part in parts:
        yield from leaves(part, (*path, key))


def agreement(one: Leaves, other: Leaves, like: Leaves, within: float) -> Tensor:
    """Return, for each number in ``like``, whether two traces agree on it, up to ``within`` times the leaf's maximum.

    A number after the end of one of the traces counts as agreeing.
    """
    end = min(max((path[0] for path in trace), default=-1) for trace in (one, other))
    found = [torch.empty(0, dtype=torch.bool)]
    for path, leaf in like.items():
        a, b = one.get(path), other.get(path)
        if a is None or b is None or a.form != b.form:
            found.append(torch.tensor([path[0] > end]).expand(len(leaf.numbers)))
            continue
        same = (a.numbers - b.numbers).abs() <= within * max(a.size, b.size, 1e-12)
        found.append(same if len(same) == len(leaf.numbers) else same.all().expand(len(leaf.numbers)))
    return torch.cat(found)


def _tensor_distance(one: Tensor, other: Tensor) -> float:
    if one.shape != other.shape or one.dtype != other.dtype:
        return math.inf
    if one.numel() == 0:
        return 0.0
    if one.is_complex():
        one, other = torch.view_as_real(one), torch.view_as_real(other)
    a, b = one.to(torch.float64), other.to(torch.float64)
    if not torch.equal(a.isfinite(), b.isfinite()):
        return math.inf
    finite = a.isfinite()
    if not torch.equal(a[~finite].nan_to_num(nan=0.5), b[~finite].nan_to_num(nan=0.5)):
        return math.inf
    if not finite.any():
        return 0.0
    size = max(float(a[finite].abs().max()), float(b[finite].abs().max()), 1e-12)
    apart = float((a[finite] - b[finite]).abs().max())
    if one.dim() == 0 and one.dtype == torch.float32 and apart < SCALAR_ROUNDING:
        return 0.0
    return apart / size
