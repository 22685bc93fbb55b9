"""Wraps the parts that properties pass to ``impl``, to record their calls and backward passes in order."""

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

__all__ = ["Event", "handed", "now", "on_rank", "watcher", "watching_parts"]

PartT = TypeVar("PartT", bound=Part)
_order = itertools.count()
_rank: ContextVar[int | None] = ContextVar("rank", default=None)


def now() -> int:
    """Return the number of the next event: an event with a smaller number happened earlier."""
    return next(_order)


@contextmanager
def on_rank(rank: int) -> Iterator[None]:
    """Record the events inside the block as events of ``rank``."""
    token = _rank.set(rank)
    try:
        yield
    finally:
        _rank.reset(token)


@dataclass(frozen=True, eq=False)
class Event:
    """One call of a part, one backward pass through its answer, or one message of a rank."""

    at: int
    kind: str
    """``call`` or ``backward`` of a part, ``message`` of a rank."""
    part: str
    method: str
    args: tuple[Any, ...]
    """The arguments, positional ones first; for a backward pass, the incoming gradients."""
    answer: Any = None
    rank: int | None = None


_WATCHER: ContextVar[Callable[[Event], None] | None] = ContextVar("parts", default=None)


@contextmanager
def watching_parts(watcher: Callable[[Event], None]) -> Iterator[None]:
    """Inside the block, pass every event of a part or of a rank group made there to ``watcher``."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def watcher() -> Callable[[Event], None]:
    """Return the current watcher, to be called with every event of the parts and groups made now."""
    return _WATCHER.get() or (lambda event: None)


def handed(part: PartT, events: list[Event], name: str = "") -> PartT:
    """Wrap ``part`` so that its calls and backward passes are appended to ``events``.

    Events have the part name ``name``, or else the name of the declaring class. Arguments and answers are copied, so
    neither side can modify the other's tensors.
    """
    declared = declared_part(type(part))
    told = name or declared.__name__
    watch = watcher()

    def note(event: Event) -> None:
        events.append(event)
        watch(event)

    def noted(method: str) -> Any:
        flows = is_differentiable(declared, method)

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            rank = _rank.get()
            given: Any = _copied([args, kwargs])
            inputs = tensors_in([args, kwargs])
            if flows and torch.is_grad_enabled() and any(t.requires_grad for t in inputs):

                def passed_back(gradients: tuple[Any, ...]) -> None:
                    note(Event(now(), "backward", told, method, gradients, None, rank))

                function = _Function(getattr(part, method), [args, kwargs], passed_back)
                answer = function(inputs)
            else:
                with torch.no_grad():
                    answer = _copied(getattr(part, method)(*given[0], **given[1]))
            seen = (*given[0], *given[1].values())
            note(Event(now(), "call", told, method, seen, _copied(answer), rank))
            return answer

        return call

    kind = type(declared.__name__, (declared,), {method: noted(method) for method in methods_of(declared)})
    made: PartT = object.__new__(kind)
    return made


class _Function:
    """A part's method as a single node of the caller's graph, as when the caller is in another process."""

    def __init__(self, method: Any, arguments: Any, passed_back: Callable[[tuple[Any, ...]], None]) -> None:
        self.method, self.arguments, self.passed_back = method, arguments, passed_back
        self.leaves: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.answer: Any = None

    def __call__(self, inputs: list[Tensor]) -> Any:
        outputs = _Step.apply(self, *inputs)  # type: ignore[no-untyped-call]
        return with_tensors(self.answer, iter(outputs))

    def run(self, inputs: tuple[Tensor, ...]) -> list[Tensor]:
        self.leaves = [t.detach().clone().requires_grad_(t.requires_grad) for t in inputs]
        args, kwargs = with_tensors(self.arguments, iter(self.leaves))
        with torch.enable_grad():
            self.answer = self.method(*args, **kwargs)
        self.outputs = tensors_in(self.answer)
        return self.outputs

    def gradients(self, cotangents: tuple[Tensor | None, ...]) -> list[Tensor | None]:
        pairs = [(o, g) for o, g in zip(self.outputs, cotangents, strict=True) if g is not None and o.requires_grad]
        wanted = [leaf for leaf in self.leaves if leaf.requires_grad]
        found = iter(
            torch.autograd.grad(
                [o for o, _ in pairs], wanted, [g for _, g in pairs], retain_graph=True, allow_unused=True
            )
        )
        return [next(found) if leaf.requires_grad else None for leaf in self.leaves]


class _Step(torch.autograd.Function):
    """Autograd node that runs a :class:`_Function` and reports its backward pass."""

    @staticmethod
    def forward(ctx: Any, function: _Function, *inputs: Tensor) -> Any:
        ctx.function = function
        ctx.set_materialize_grads(False)
        outputs = [(t.detach().clone(), t.requires_grad) for t in function.run(inputs)]
        ctx.mark_non_differentiable(*[t for t, flows in outputs if not flows])
        return tuple(t for t, _ in outputs)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> Any:
        ctx.function.passed_back(cotangents)
        return (None, *ctx.function.gradients(cotangents))


def _copied(value: Any) -> Any:
    return with_tensors(value, iter([t.detach().clone() for t in tensors_in(value)]))
