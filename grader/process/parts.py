"""Answers an attempt's calls of parts: objects that the judge owns and the attempt uses."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from groundup.core.parts import Part, declared_part, is_differentiable, methods_of
from groundup.core.tensors import tensors_in, with_tensors
from groundup.grader.process.text import printable

__all__ = ["BrokenCall", "Parts"]

MOST_GRAPHS = 512  # of calls whose gradient can still be requested
MOST_CALLS = 20_000  # per request
MOST_SECONDS = 60.0  # for these calls, wall clock: a part's work may run in other processes


class BrokenCall(Exception):
    """A frame that the proxy of a part never sends."""


class Parts:
    """The parts passed to one attempt's process, by number, and the autograd graphs of their calls."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._graphs: OrderedDict[int, tuple[list[Tensor], list[Tensor]]] = OrderedDict()
        self._tickets = 0
        self.calls = 0
        self.seconds = 0.0
        """The number of calls and their total duration since the last reset to 0."""

    def number(self, part: Part) -> int:
        """Return the number that identifies ``part`` in the attempt's process."""
        for number, known in enumerate(self._parts):
            if known is part:
                return number
        self._parts.append(part)
        return len(self._parts) - 1

    def answer(self, meta: dict[str, Any], value: Any) -> tuple[dict[str, Any], Any]:
        """Execute the call in a frame; return meta and value of the answer. Raises BrokenCall.

        An exception of a part is sent to the attempt as a refusal.
        """
        self.calls += 1
        if self.calls > MOST_CALLS:
            raise BrokenCall(f"more than {MOST_CALLS} calls of parts in one call")
        do = self._call if "part" in meta else self._backward
        with self._refusing() as refused:
            return do(meta, value)
        return {"ok": False}, refused[0]

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[list[str]]:
        refused: list[str] = []
        try:
            yield refused
        except BrokenCall:
            raise
        except Exception as error:  # any exception of the part: the attempt chose its arguments
            refused.append(printable(f"{type(error).__name__}: {error}")[:2000])

    def _call(self, meta: dict[str, Any], value: Any) -> tuple[dict[str, Any], Any]:
        number, method, wanted = meta.get("part"), meta.get("method"), meta.get("grad")
        if type(number) is not int or not 0 <= number < len(self._parts) or type(wanted) is not bool:
            raise BrokenCall("a call of a part that was not handed over")
        part = self._parts[number]
        declared = declared_part(type(part))
        if type(method) is not str or method not in methods_of(declared):
            raise BrokenCall("a call of a method that the part does not declare")
        match value:
            case [list(args), dict(kwargs)]:
                pass
            case _:
                raise BrokenCall("arguments of the wrong form")
        if not (wanted and is_differentiable(declared, method)):
            with torch.no_grad():
                return {"ok": True}, getattr(part, method)(*args, **kwargs)
        inputs = tensors_in((args, kwargs))
        flags = meta.get("wrt")
        if type(flags) is not list or len(flags) != len(inputs):
            raise BrokenCall("gradients of another number of inputs")
        leaves = [t.requires_grad_(bool(f) and t.is_floating_point()) for t, f in zip(inputs, flags, strict=True)]
        own: Any = with_tensors([args, kwargs], iter(leaves))
        with torch.enable_grad():
            answer = getattr(part, method)(*own[0], **own[1])
        self._tickets += 1
        self._graphs[self._tickets] = ([t for t in leaves if t.requires_grad], tensors_in(answer))
        while len(self._graphs) > MOST_GRAPHS:
            self._graphs.popitem(last=False)
        return {"ok": True, "ticket": self._tickets}, answer

    def _backward(self, meta: dict[str, Any], value: Any) -> tuple[dict[str, Any], Any]:
        ticket, which = meta.get("part_vjp"), meta.get("which")
        if type(ticket) is not int or ticket not in self._graphs:
            raise BrokenCall("a gradient of a call that was not made")
        inputs, outputs = self._graphs[ticket]
        if type(which) is not list or type(value) is not list or len(which) != len(value):
            raise BrokenCall("gradients of the wrong form")
        if not all(type(n) is int and 0 <= n < len(outputs) for n in which):
            raise BrokenCall("gradients of the wrong form")
        pairs = [(outputs[n], g) for n, g in zip(which, value, strict=True) if outputs[n].requires_grad]
        if not all(isinstance(g, Tensor) and g.shape == o.shape and g.dtype == o.dtype for o, g in pairs):
            raise BrokenCall("gradients of another shape or dtype")
        found: tuple[Tensor | None, ...] = (None,) * len(inputs)
        if pairs:
            found = torch.autograd.grad(
                [o for o, _ in pairs], inputs, [g for _, g in pairs], retain_graph=True, allow_unused=True
            )
        return {"ok": True}, list(found)
