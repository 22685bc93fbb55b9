"""Parts as properties hand them to ``impl``: calls of them are noted in order, and so are backward passes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from groundup.core.parts import Part, declared_part, is_differentiable, methods_of
from groundup.core.tensors import tensors_in, with_tensors

__all__ = ["Event", "handed", "now", "on_rank", "watching_parts"]

PartT = TypeVar("PartT", bound=Part)
_order = itertools.count()
_rank: ContextVar[int | None] = ContextVar("rank", default=None)


def now() -> int:
    """Return a number that grows from event to event: of two things, the one with the smaller number came first."""
    return next(_order)


@contextmanager
def on_rank(rank: int) -> Iterator[None]:
    """Have what is noted inside the block count as done by that rank."""
    token = _rank.set(rank)
    try:
        yield
    finally:
        _rank.reset(token)


@dataclass(frozen=True, eq=False)
class Event:
    """One call of a part, or one backward pass through an answer of it."""

    at: int
    kind: str
    """``call`` or ``backward``."""
    part: str
    method: str
    args: tuple[Any, ...]
    """What it was called with, arguments by keyword after the others; of a backward pass, the gradients that came."""
    answer: Any = None
    rank: int | None = None


_WATCHER: ContextVar[Callable[[Event], None] | None] = ContextVar("parts", default=None)


@contextmanager
def watching_parts(watcher: Callable[[Event], None]) -> Iterator[None]:
    """Have ``watcher`` called with every event of a given part inside the block."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def handed(part: PartT, events: list[Event], name: str = "") -> PartT:
    """Return ``part`` as one that notes in ``events`` what is done with it, under ``name`` or its declaration's name.

    What it is called with and what it answers are copies: neither side can change what the other holds.
    """
    declared = declared_part(type(part))
    told = name or declared.__name__
    watcher = _WATCHER.get()

    def note(event: Event) -> None:
        events.append(event)
        if watcher is not None:
            watcher(event)

    def noted(method: str) -> Any:
        flows = is_differentiable(declared, method)

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            own_args, own_kwargs = (_copied(value, gradient=flows) for value in (args, kwargs))
            with torch.set_grad_enabled(flows and torch.is_grad_enabled()):
                answer = _copied(getattr(part, method)(*own_args, **own_kwargs), gradient=flows)
            seen = tuple(_copied([*args, *kwargs.values()], gradient=False))
            note(Event(now(), "call", told, method, seen, _copied(answer, gradient=False), _rank.get()))
            outputs = tensors_in(answer)
            if not any(t.requires_grad for t in outputs):
                return answer

            def passed_back(gradients: tuple[Any, ...]) -> None:
                note(Event(now(), "backward", told, method, gradients, None, rank))

            rank = _rank.get()
            return with_tensors(answer, iter(_Noted.apply(passed_back, *outputs)))  # type: ignore[no-untyped-call]

        return call

    kind = type(declared.__name__, (declared,), {method: noted(method) for method in methods_of(declared)})
    made: PartT = object.__new__(kind)
    return made


class _Noted(torch.autograd.Function):
    """Identity, whose backward says that it runs."""

    @staticmethod
    def forward(ctx: Any, passed_back: Any, *tensors: Tensor) -> Any:
        ctx.passed_back = passed_back
        outputs = [t.view_as(t) for t in tensors]
        ctx.mark_non_differentiable(*[o for o, t in zip(outputs, tensors, strict=True) if not t.requires_grad])
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        ctx.passed_back(gradients)
        return (None, *gradients)


def _copied(value: Any, *, gradient: bool) -> Any:
    return with_tensors(value, iter([t.clone() if gradient else t.detach().clone() for t in tensors_in(value)]))
