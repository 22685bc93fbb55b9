"""The ``impl`` that properties get: a proxy for the attempt's class or function, which runs in another process.

Gradients cross the boundary: the answers of a call are outputs of an autograd function whose backward requests a
vector-Jacobian product from the attempt's process.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, SupportsIndex

import torch
from torch import Tensor

from groundup.core.answers import declared_dtype
from groundup.core.messages import Message
from groundup.core.plain import field_names, is_plain
from groundup.core.tensors import tensors_in, with_tensors
from groundup.core.testing.answers import check_dtypes
from groundup.core.testing.compare import ChangedInput, note_change
from groundup.core.testing.parts import Event
from groundup.core.testing.ranks import arguments_of
from groundup.core.testing.switch import Switch, Transfer
from groundup.grader.process.attempt import AttemptProcess
from groundup.grader.process.group import AttemptGroup


def proxy(process: AttemptProcess | AttemptGroup, name: str, reference: Any) -> Any:
    """Return a proxy for the attempt's public class or function; ``reference`` says which of the two it is."""
    if isinstance(process, AttemptGroup):
        return RemoteRanks(process, name, reference)
    if inspect.isclass(reference):
        return RemoteClass(process, name, reference)
    return RemoteFunction(process, None, name, reference)


class RemoteClass:
    """Proxy for a class: calling it constructs an object in the attempt's process."""

    def __init__(self, process: AttemptProcess, name: str, reference: type[Any]) -> None:
        self._process, self._name, self._reference = process, name, reference

    def __call__(self, *args: Any, **kwargs: Any) -> RemoteObject:
        """Construct an object in the attempt's process. Raises as a call does."""
        number, answer, _ = self._process.request("new", {"name": self._name}, (args, kwargs))
        made = RemoteObject(self._process, number, self._reference)
        _refuse_changes(answer, self._reference.__init__, True, args, kwargs, None)
        return made


class RemoteObject:
    """Proxy for an object: its public methods are those of the reference's class."""

    def __init__(self, process: AttemptProcess, number: int, reference: type[Any]) -> None:
        self._process, self._number, self._reference = process, number, reference

    def __getattr__(self, name: str) -> RemoteFunction:
        return RemoteFunction(self._process, self, name, _public_method(self._reference, name))

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(f"a {self._reference.__name__} cannot be copied: it lives in another process")

    def __del__(self) -> None:
        self._process.forgotten.append(self._number)


class RemoteFunction:
    """Proxy for a function, or for a method of ``owner``, which it keeps alive."""

    def __init__(
        self, process: AttemptProcess, owner: RemoteObject | None, name: str, reference: Callable[..., Any]
    ) -> None:
        self._process, self._owner, self._name, self._reference = process, owner, name, reference
        self._declared = declared_dtype(reference) if owner is None else declared_dtype(owner._reference, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it in the attempt's process. Raises AttemptRaised, AttemptDied, ChangedInput if an input was changed."""
        inputs = tensors_in((args, kwargs))
        keep = torch.is_grad_enabled() and any(t.requires_grad for t in inputs)
        number, answer, result = self._process.request("call", self._meta(keep=keep), (args, kwargs))
        ticket = _Ticket(self._process, number) if keep else None
        self._refuse_changes(answer, args, kwargs, result)
        check_dtypes(self._declared, (args, kwargs), result)
        outputs = tensors_in(result)
        if ticket and any(t.sent_with_grad for t in outputs):  # type: ignore[attr-defined]
            attached = _Attach.apply(ticket, outputs, *inputs)  # type: ignore[no-untyped-call]
            return with_tensors(result, iter(attached))
        _mark_gradients(outputs)
        return result

    def each(self, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Make several calls with one request: see ``core.testing.each``."""
        if torch.is_grad_enabled() and any(t.requires_grad for t in tensors_in(list(calls))):
            return [self(*call) for call in calls]
        _, answer, results = self._process.request("each", self._meta(keep=False), list(calls))
        told = answer.get("each")
        if not (type(told) is type(results) is list and len(told) == len(results) == len(calls)):
            self._process.end("protocol", Message("the process answered with {what}", what="another number of answers"))
        for reply, call, result in zip(told, calls, results, strict=True):
            self._refuse_changes(reply if type(reply) is dict else {}, call, {}, result)
            check_dtypes(self._declared, call, result)
        _mark_gradients(tensors_in(results))
        return results

    def _meta(self, *, keep: bool) -> dict[str, Any]:
        owner = None if self._owner is None else self._owner._number
        return {"of": owner, "name": self._name, "grad": torch.is_grad_enabled(), "keep": keep}

    def _refuse_changes(self, answer: dict[str, Any], args: Any, kwargs: dict[str, Any], result: Any) -> None:
        _refuse_changes(answer, self._reference, self._owner is not None, args, kwargs, result)


class RemoteRanks:
    """Proxy for a distributed class: calling it constructs an object on each of several ranks."""

    def __init__(self, group: AttemptGroup, name: str, reference: type[Any]) -> None:
        self._group, self._name, self._reference = group, name, reference

    def __call__(self, size: int, *args: Any, **kwargs: Any) -> RemoteGroup:
        """Construct one object on each of ``size`` ranks."""
        return RemoteGroup(self._group, self._name, self._reference, size, args, kwargs)


class RemoteGroup:
    """Proxy for the objects of one class on all ranks: a method call runs on every rank concurrently."""

    def __init__(
        self, group: AttemptGroup, name: str, reference: type[Any], size: int, args: Any, kwargs: dict[str, Any]
    ) -> None:
        self._group, self._reference = group, reference
        self._processes: list[AttemptProcess] = []
        self._numbers: list[int] = []
        self._processes = group.ranks(size)
        self._switch = Switch(size)
        meeting = group.next_meeting()
        metas = [{"name": name, "rank": rank, "size": size, **meeting} for rank in range(size)]
        requests = [(meta, arguments_of(rank, args, kwargs)) for rank, meta in enumerate(metas)]
        made = group.together("new", self._switch, requests)
        self._numbers = [number for number, _, _ in made]
        for (_, answer, _), (_, (own_args, own_kwargs)) in zip(made, requests, strict=True):
            _refuse_changes(answer, reference.__init__, True, (None, *own_args), own_kwargs, None)

    def traffic(self) -> list[Transfer]:
        """Return what the ranks have sent so far: rank 0's transfers in order, then rank 1's ..."""
        return sorted(self._switch.traffic, key=lambda transfer: transfer.rank)

    def messages(self) -> list[Event]:
        """Return the transfers as events, in order of arrival; each event holds its ``Transfer``."""
        return list(self._switch.messages)

    def events(self) -> list[list[tuple[str, float, float, int]]]:
        """Return each rank's timeline in a lab: see ``ProcessGroupCommunicator``."""
        requests = [({"of": number}, None) for number in self._numbers]
        return [value for _, _, value in self._group.together("events", self._switch, requests)]

    def __getattr__(self, name: str) -> Callable[..., list[Any]]:
        method = _public_method(self._reference, name)
        declared = declared_dtype(self._reference, name)

        def call(*args: Any, **kwargs: Any) -> list[Any]:
            meta = {"name": name, "grad": torch.is_grad_enabled(), "keep": False}
            given = [arguments_of(rank, args, kwargs) for rank in range(len(self._numbers))]
            requests = [({**meta, "of": number}, own) for number, own in zip(self._numbers, given, strict=True)]
            answers = self._group.together("call", self._switch, requests)
            results = [result for _, _, result in answers]
            for (_, answer, _), (own_args, own_kwargs) in zip(answers, given, strict=True):
                _refuse_changes(answer, method, True, own_args, own_kwargs, results)
            for own, result in zip(given, results, strict=True):
                check_dtypes(declared, own, result)
            return results

        return call

    def __del__(self) -> None:
        for process, number in zip(self._processes, self._numbers, strict=False):
            process.forgotten.append(number)


class _Attach(torch.autograd.Function):
    """Identity on a call's answers; its backward requests their vector-Jacobian product from the process."""

    @staticmethod
    def forward(ctx: Any, ticket: _Ticket, outputs: list[Tensor], *inputs: Tensor) -> Any:
        ctx.ticket = ticket
        ctx.wrt = [n for n, needed in enumerate(ctx.needs_input_grad[2:]) if needed]
        ctx.inputs = [(inputs[n].shape, inputs[n].dtype) for n in ctx.wrt]
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*[t for t in outputs if not _differentiable(t)])
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> Any:
        if torch.is_grad_enabled():  # create_graph=True: the result would count as a constant
            raise RuntimeError("a gradient cannot be differentiated again across the attempt's process")
        which = [n for n, g in enumerate(cotangents) if g is not None]
        given = [g for g in cotangents if g is not None]
        process: AttemptProcess = ctx.ticket.process
        _, _, grads = process.request("vjp", {"of": ctx.ticket.number, "wrt": ctx.wrt, "which": which}, given)
        if type(grads) is not list or len(grads) != len(ctx.wrt):
            process.end("protocol", Message("the process answered with {what}", what="another number of gradients"))
        for grad, (shape, dtype) in zip(grads, ctx.inputs, strict=True):
            if grad is not None and not (isinstance(grad, Tensor) and (grad.shape, grad.dtype) == (shape, dtype)):
                process.end(
                    "protocol", Message("the process answered with {what}", what="a gradient of another shape or dtype")
                )
        placed: list[Tensor | None] = [None] * len(ctx.needs_input_grad[2:])
        for position, grad in zip(ctx.wrt, grads, strict=True):
            placed[position] = grad
        return (None, None, *placed)


class _Ticket:
    """Keeps a call's graph alive in the attempt's process; once the ticket is collected, it is dropped."""

    def __init__(self, process: AttemptProcess, number: int) -> None:
        self.process, self.number = process, number

    def __del__(self) -> None:
        self.process.forgotten.append(self.number)


def _public_method(reference: type[Any], name: str) -> Callable[..., Any]:
    if name.startswith("_"):
        raise AttributeError(name)
    method = getattr(reference, name, None)
    if not callable(method):
        raise AttributeError(f"{reference.__name__} has no public method {name!r}")
    found: Callable[..., Any] = method
    return found


def _refuse_changes(
    answer: dict[str, Any], reference: Callable[..., Any], bound: bool, args: Any, kwargs: dict[str, Any], result: Any
) -> None:
    """Report a ChangedInput if the attempt's process says that the call changed an input in place."""
    changed, altered = answer.get("changed"), answer.get("altered")
    if type(changed) is list and changed:
        note_change(ChangedInput(_input_name(changed[0], reference, bound, args, kwargs), result))
    elif type(altered) is list and altered:
        note_change(ChangedInput(_argument_name(altered[0], reference, bound, kwargs), result))


def _input_name(index: Any, reference: Callable[..., Any], bound: bool, args: Any, kwargs: dict[str, Any]) -> str:
    owner = (None,) if bound else ()
    try:
        named: dict[str, Any] = dict(inspect.signature(reference).bind(*owner, *args, **kwargs).arguments)
    except (TypeError, ValueError):
        named = {**{f"argument {n}": v for n, v in enumerate(args, start=1)}, **kwargs}
    names = [name for key, value in named.items() for name in _tensor_names(key, value)]
    return names[index] if type(index) is int and 0 <= index < len(names) else "?"


def _argument_name(place: Any, reference: Callable[..., Any], bound: bool, kwargs: dict[str, Any]) -> str:
    if type(place) is str and place in kwargs:
        return place
    names = list(inspect.signature(reference).parameters)[bound:]
    return names[place] if type(place) is int and 0 <= place < len(names) else "?"


def _mark_gradients(outputs: list[Tensor]) -> None:
    """Show gradients of an earlier call that an object keeps in its state: requires_grad is set, without a graph."""
    for tensor in outputs:
        if _differentiable(tensor):
            tensor.requires_grad_()


def _differentiable(tensor: Tensor) -> bool:
    floating = tensor.is_floating_point() or tensor.is_complex()
    return floating and bool(tensor.sent_with_grad)  # type: ignore[attr-defined]


def _tensor_names(name: str, value: Any) -> list[str]:
    if isinstance(value, Tensor):
        return [name]
    if type(value) is dict:
        return [n for key, part in value.items() for n in _tensor_names(f"{name}[{key!r}]", part)]
    if type(value) in (list, tuple):
        return [n for i, part in enumerate(value) for n in _tensor_names(f"{name}[{i}]", part)]
    if is_plain(type(value)):
        return [n for f in field_names(type(value)) for n in _tensor_names(f"{name}.{f}", getattr(value, f))]
    return []
