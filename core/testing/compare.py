"""Comparisons that report what was expected, what came, and the first difference."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from groundup.core.errors import AttemptRaised
from groundup.core.messages import Message, either
from groundup.core.testing.literals import literal

RESULT = Message("the result")
"""What is compared, where nothing else is said."""


class Mismatch(AssertionError):
    """A failed comparison: what was expected, what came, and the first place where they differ, as short texts."""

    def __init__(self, message: str, expected: str | None = None, got: str | None = None, where: str | None = None):
        super().__init__(message)
        self.expected, self.got, self.where = expected, got, where


class ChangedInput(Mismatch):
    """A call changed one of its inputs in place. ``answer`` is the call's answer."""

    def __init__(self, name: str, answer: Any) -> None:
        super().__init__(
            Message("the call changed its input {name!r} in place", name=name),
            Message("inputs left as they were"),
            Message("an input changed"),
        )
        self.answer = answer


_CHANGES: ContextVar[Callable[[ChangedInput], None] | None] = ContextVar("changes", default=None)


def note_change(change: ChangedInput) -> None:
    """Raise ``change``, or pass it to the handler of the enclosing ``forgiving_changes`` block."""
    handler = _CHANGES.get()
    if handler is None:
        raise change
    handler(change)


@contextmanager
def forgiving_changes(handler: Callable[[ChangedInput], None]) -> Iterator[None]:
    """Inside the block, pass changed inputs to ``handler`` instead of raising."""
    token = _CHANGES.set(handler)
    try:
        yield
    finally:
        _CHANGES.reset(token)


class OtherDtype(Mismatch):
    """An answer has the wrong dtype. ``answer`` is that answer."""

    def __init__(self, expected: torch.dtype, got: torch.dtype, answer: Any) -> None:
        super().__init__(Message("{what} has another dtype", what=RESULT), str(expected), str(got))
        self.answer = answer


@dataclass(frozen=True)
class Tolerance:
    """The largest accepted difference from the exact answer: ``atol + rtol * |expected|``."""

    rtol: float
    atol: float

    def __post_init__(self) -> None:
        if not (0 <= self.rtol <= 0.01 and self.atol >= 0):
            raise ValueError(f"{self} would let wrong answers pass: rtol is at most 0.01")


EXACT = Tolerance(0.0, 0.0)


def sum_tolerance(dtype: torch.dtype, terms: int, size: float = 1.0) -> Tolerance:
    """Return the tolerance of a sum of ``terms`` numbers of magnitude ``size``, each computed in a few operations.

    The error of a sum of n terms in any order is at most (n - 1) unit roundoffs times the sum of magnitudes (Higham,
    Accuracy and Stability of Numerical Algorithms, eq. 4.4); the factor 8 covers the operations that made each term.
    Raises ValueError if the tolerance would rival ``size`` itself.
    """
    unit = torch.finfo(dtype).eps
    tolerance = Tolerance(rtol=8 * unit, atol=8 * unit * max(terms, 1) * size)
    if tolerance.atol > 0.01 * size:
        raise ValueError(f"{terms} terms in {dtype} leave no room between rounding and error: use a wider dtype")
    return tolerance


def assert_form(got: Any, shape: Sequence[int], dtype: torch.dtype, *, what: str = RESULT) -> None:
    """Check that ``got`` is a tensor of that shape and dtype, with any numbers. Raises Mismatch."""
    _assert_tensor(got, shape, what)
    expected, found = (tuple(shape), dtype), (tuple(got.shape), got.dtype)
    if found != expected:
        raise Mismatch(Message("{what} has another shape or dtype", what=what), str(expected), str(found))


def assert_close(got: Any, expected: Tensor, *, dtype: torch.dtype, tolerance: Tolerance, what: str = RESULT) -> None:
    """Check that ``got`` is a tensor of ``dtype`` with the shape and numbers of ``expected`` (of any float dtype).

    Raises Mismatch.
    """
    _assert_tensor(got, expected.shape, what)
    if got.shape != expected.shape:
        raise Mismatch(Message("{what} has another shape", what=what), _shape(expected), _shape(got))
    if got.dtype != dtype:
        raise Mismatch(Message("{what} has another dtype", what=what), str(dtype), str(got.dtype))
    if tell := _TOLERANCES.get():
        tell(tolerance)
    if got.dtype == expected.dtype and torch.equal(got, expected):
        return
    ours, theirs = expected.detach().to(torch.float64), got.detach().to(torch.float64)
    off = ~torch.isclose(theirs, ours, rtol=tolerance.rtol, atol=tolerance.atol, equal_nan=False)
    if off.any():
        index = tuple(off.nonzero()[0].tolist())
        right, answer = literal(expected.detach().to(dtype)), literal(got.detach())
        if not index:
            raise Mismatch(Message("{what} differs", what=what), right, answer)
        place = ", ".join(map(str, index))
        where = Message(
            "[{index}]: expected {expected}, got {got}",
            index=place,
            expected=_number(ours[index]),
            got=_number(theirs[index]),
        )
        raise Mismatch(Message("{what} differs at [{index}]", what=what, index=place), right, answer, where)


def assert_equal(got: Any, expected: Any, *, what: str = RESULT) -> None:
    """Check that two plain values have the same type and are equal, tensors bit for bit. Raises Mismatch."""
    if isinstance(expected, Tensor):
        assert_close(got, expected, dtype=expected.dtype, tolerance=EXACT, what=what)
    elif type(got) is not type(expected) or got != expected:
        raise Mismatch(Message("{what} differs", what=what), literal(expected), literal(got))


def gradient(output: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradient of ``output``'s sum for each of ``inputs``; zeros for an input that it does not depend on.

    Raises Mismatch if the output carries no gradient at all.
    """
    if not output.requires_grad:
        raise Mismatch(
            Message("{what} carries no gradient", what=RESULT),
            Message("a result that depends on its inputs"),
            Message("one cut off from them"),
        )
    grads = torch.autograd.grad(output.sum(), inputs, allow_unused=True)
    found = [torch.zeros_like(i) if g is None else g for i, g in zip(inputs, grads, strict=True)]
    if watcher := _WATCHER.get():
        watcher(found)
    return found


_TOLERANCES: ContextVar[Callable[[Tolerance], None] | None] = ContextVar("tolerances", default=None)


@contextmanager
def watching_tolerances(watcher: Callable[[Tolerance], None]) -> Iterator[None]:
    """Inside the block, call ``watcher`` with the tolerance of each comparison of tensors."""
    token = _TOLERANCES.set(watcher)
    try:
        yield
    finally:
        _TOLERANCES.reset(token)


_WATCHER: ContextVar[Callable[[list[Tensor]], None] | None] = ContextVar("gradients", default=None)


@contextmanager
def watching_gradients(watcher: Callable[[list[Tensor]], None]) -> Iterator[None]:
    """Inside the block, call ``watcher`` with the gradients that each call of ``gradient`` returns."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


@contextmanager
def rejects(*types: type[Exception], what: str) -> Iterator[None]:
    """Check that one of ``types`` (or a subclass) is raised inside the block, in the attempt's process or here."""
    names = [t.__name__ for t in types]
    try:
        yield
    except types:
        return
    except AttemptRaised as raised:
        if "NotImplementedError" in raised.types or not {t.__name__ for t in types} & set(raised.types):
            raise
        return
    raise Mismatch(
        Message("{what} is accepted", what=what), Message("{error} raised", error=either(names)), Message("no error")
    )


def _assert_tensor(got: Any, shape: Sequence[int], what: str) -> None:
    if not isinstance(got, Tensor):
        kind = Message("None: is a 'return' missing?") if got is None else literal(got)
        wanted = Message("a tensor of shape {shape}", shape=_written(shape))
        raise Mismatch(Message("{what} is no tensor", what=what), wanted, kind)


def _shape(tensor: Tensor) -> Message:
    return Message("shape {shape}", shape=_written(tensor.shape))


def _written(shape: Sequence[int]) -> str:
    return str(tuple(shape))


def _number(value: Tensor) -> str:
    number = float(value)
    return f"{number:.6g}" if math.isfinite(number) else str(number)
