"""The proxy, in an attempt's process, of a part that the judge owns: each call is a frame to the judge."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from groundup.core.parts import Part, is_differentiable, methods_of
from groundup.core.tensors import tensors_in, with_tensors

__all__ = ["Channel", "PartRaised", "remote_part"]


class PartRaised(Exception):
    """A part refused a call. The message comes from the part."""


class Channel(Protocol):
    """The attempt process's connection to the judge during a call."""

    def say(self, meta: dict[str, Any], value: Any) -> None:
        """Send a frame."""

    def hear(self) -> tuple[dict[str, Any], Any]:
        """Receive the next frame: its meta and its value."""


def remote_part(channel: Channel, number: int, declared: type[Part]) -> Part:
    """Return an object of the declared class whose methods call the judge's part ``number``."""

    def asking(method: str) -> Any:
        flows = is_differentiable(declared, method)

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            inputs = tensors_in((args, kwargs))
            wanted = flows and torch.is_grad_enabled() and any(t.requires_grad for t in inputs)
            meta = {"part": number, "method": method, "grad": wanted, "wrt": [t.requires_grad for t in inputs]}
            told, answer = _asked(channel, meta, [list(args), kwargs])
            if not wanted:
                return answer
            attached = _Attach.apply(channel, told["ticket"], tensors_in(answer), *inputs)  # type: ignore[no-untyped-call]
            return with_tensors(answer, iter(attached))

        return call

    kind = type(declared.__name__, (declared,), {method: asking(method) for method in methods_of(declared)})
    part: Part = object.__new__(kind)
    return part


def _asked(channel: Channel, meta: dict[str, Any], value: Any) -> tuple[dict[str, Any], Any]:
    channel.say(meta, value)
    told, answer = channel.hear()
    if not told["ok"]:
        raise PartRaised(answer)
    return told, answer


class _Attach(torch.autograd.Function):
    """Identity on a part's answer; its backward requests the vector-Jacobian product from the judge."""

    @staticmethod
    def forward(ctx: Any, channel: Channel, ticket: int, outputs: list[Tensor], *inputs: Tensor) -> Any:
        ctx.channel, ctx.ticket = channel, ticket
        ctx.wanted = [n for n, t in enumerate(inputs) if t.requires_grad]
        ctx.count = len(inputs)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*[t for t in outputs if not t.sent_with_grad])  # type: ignore[attr-defined]
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> Any:
        which = [n for n, g in enumerate(cotangents) if g is not None]
        meta = {"part_vjp": ctx.ticket, "which": which}
        _, found = _asked(ctx.channel, meta, [g.detach() for g in cotangents if g is not None])
        placed: list[Tensor | None] = [None] * ctx.count
        for position, gradient in zip(ctx.wanted, found, strict=True):
            placed[position] = gradient
        return (None, None, None, *placed)
