"""Lists, replaces and compares the tensors of plain values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from groundup.core.plain import field_names, is_plain

__all__ = ["SCALARS", "outline", "same", "tensors_in", "with_tensors"]

SCALARS = frozenset({bool, int, float, str, type(None), torch.dtype})
"""The types of plain values without parts, all immutable."""


def tensors_in(value: Any) -> list[Tensor]:
    """Return the tensors of a plain value, in the order in which their parts are declared."""
    found: list[Tensor] = []
    _collect(value, found)
    return found


def with_tensors(value: Any, tensors: Iterator[Tensor]) -> Any:
    """Return ``value`` with its tensors replaced, in the same order."""
    if isinstance(value, Tensor):
        return next(tensors)
    kind = type(value)
    if kind is dict:
        return {k: with_tensors(v, tensors) for k, v in value.items()}
    if kind in (list, tuple):
        return kind(with_tensors(v, tensors) for v in value)
    if is_plain(kind):
        return kind(*(with_tensors(part, tensors) for part in _parts(value)))
    return value


def outline(value: Any) -> Any:
    """Return the structure of a plain value, without its tensors' numbers: equal unless the value was changed."""
    if isinstance(value, Tensor):
        return id(value)
    kind = type(value)
    if kind is dict:
        return {key: outline(part) for key, part in value.items()}
    if kind in (list, tuple) or is_plain(kind):
        return kind, [outline(part) for part in _parts(value)]
    return (kind, repr(value)) if kind in SCALARS else id(value)


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same numbers in the same shape and dtype; NaN equals NaN."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if torch.equal(one, other):
        return True
    one, other = one.detach(), other.detach()
    return bool(((one == other) | (one.isnan() & other.isnan())).all())


def _collect(value: Any, found: list[Tensor]) -> None:
    if isinstance(value, Tensor):
        found.append(value)
    elif type(value) not in SCALARS:
        for part in _parts(value):
            _collect(part, found)


def _parts(value: Any) -> Iterable[Any]:
    kind = type(value)
    if kind is dict:
        return value.values()  # type: ignore[no-any-return]
    if kind in (list, tuple):
        return value  # type: ignore[no-any-return]
    return [getattr(value, f) for f in field_names(kind)] if is_plain(kind) else ()
