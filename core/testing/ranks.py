"""The ``impl`` of a distributed technique's properties: a class whose objects live on all ranks of a group.

``impl(4, ...)`` constructs one object on each of 4 ranks; a method call runs on all ranks and returns a list with one
result per rank. Here the ranks are threads, for solutions and edited solutions; an attempt's ranks are processes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from groundup.core.answers import declared_dtype
from groundup.core.communicator import Call, CommunicationError, Communicator
from groundup.core.technique import Technique
from groundup.core.tensors import outline, same, tensors_in, with_tensors
from groundup.core.testing.answers import check_dtypes
from groundup.core.testing.compare import Mismatch
from groundup.core.testing.parts import Event, on_rank
from groundup.core.testing.switch import Switch, Transfer

__all__ = ["LocalRanks", "PerRank", "as_impl", "outcome", "per_rank"]

T = TypeVar("T")


class PerRank(list[T], Generic[T]):
    """An argument that differs between ranks: one value per rank, in order."""


def per_rank(values: Iterable[T]) -> PerRank[T]:
    """Return ``values`` as an argument: rank r receives the r-th value."""
    return PerRank(values)


def arguments_of(rank: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments for ``rank``. Raises IndexError if a PerRank has no value for it."""

    def own(value: Any) -> Any:
        return value[rank] if isinstance(value, PerRank) else value

    return tuple(own(a) for a in args), {k: own(v) for k, v in kwargs.items()}


def outcome(results: list[Any], errors: dict[int, Exception], failure: Mismatch | None) -> list[Any]:
    """Return the results of a joint call, or raise the root cause of its failure.

    An exception that a rank raised by itself comes first: it explains why other ranks wait. Next is the ``failure`` of
    mismatched calls, which explains the remaining exceptions.
    """
    for rank in sorted(errors):
        if not _because_of_others(errors[rank]):
            raise errors[rank]
    if failure is not None:
        raise failure
    for error in errors.values():
        raise error
    return results


def as_impl(technique: Technique, implementation: Any) -> Any:
    """Return the ``impl`` for properties in this process: the implementation, wrapped in LocalRanks if distributed."""
    return LocalRanks(implementation) if technique.distributed else implementation


class LocalRanks:
    """Stands in for a distributed class: constructing it makes one object per rank. Ranks are threads."""

    def __init__(self, implementation: type[Any]) -> None:
        self.implementation = implementation

    def __call__(self, size: int, *args: Any, **kwargs: Any) -> LocalGroup:
        """Construct one object on each of ``size`` ranks."""
        return LocalGroup(self.implementation, size, args, kwargs)


class LocalGroup:
    """The objects of one class on all ranks of a group."""

    def __init__(self, implementation: type[Any], size: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._implementation = implementation
        self._switch, self._changed = Switch(size), threading.Condition()
        self._communicators: list[_ThreadCommunicator] = []
        for rank in range(size):
            self._communicators.append(
                _ThreadCommunicator(rank, size, self._switch, self._changed, self._communicators)
            )
        makers = [self._maker(communicator) for communicator in self._communicators]
        self._changed_inputs = False  # whether the last call changed its inputs on any rank
        self._objects = self._together(makers, args, kwargs)

    def traffic(self) -> list[Transfer]:
        """Return the ranks' transfers so far: rank 0's in order, then rank 1's ..."""
        return sorted(self._switch.traffic, key=lambda transfer: transfer.rank)

    def messages(self) -> list[Event]:
        """Return the transfers as events in the order of sending; each event holds its ``Transfer``."""
        return list(self._switch.messages)

    def __getattr__(self, name: str) -> Callable[..., list[Any]]:
        if name.startswith("_") or not callable(getattr(self._implementation, name, None)):
            raise AttributeError(f"{self._implementation.__name__} has no public method {name!r}")
        declared = declared_dtype(self._implementation, name)

        def call(*args: Any, **kwargs: Any) -> list[Any]:
            results = self._together([getattr(o, name) for o in self._objects], args, kwargs)
            for rank, result in enumerate(results):
                check_dtypes(declared, arguments_of(rank, args, kwargs), result)
            return results

        return call

    def _maker(self, communicator: Communicator) -> Callable[..., Any]:
        return lambda *args, **kwargs: self._implementation(communicator, *args, **kwargs)

    def _together(
        self, functions: list[Callable[..., Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[Any]:
        """Call one function on each rank, all concurrently."""
        results: list[Any] = [None] * len(functions)
        errors: dict[int, Exception] = {}
        threads = torch.get_num_threads()
        given = [arguments_of(rank, args, kwargs) for rank in range(len(functions))]
        copies = [with_tensors(own, iter([_copy(t) for t in tensors_in(own)])) for own in given]
        forms = [outline(own) for own in copies]

        def run(rank: int) -> None:
            torch.set_num_threads(threads)  # a new thread starts with torch's default, all cores
            own_args, own_kwargs = copies[rank]
            try:
                with on_rank(rank):
                    results[rank] = functions[rank](*own_args, **own_kwargs)
            except Exception as error:
                errors[rank] = error
            with self._changed:
                self._switch.returned(rank)
                _pass_on(self._switch, self._changed, self._communicators)

        self._switch.begin()
        ranks = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(len(functions))]
        for thread in ranks:
            thread.start()
        for thread in ranks:
            thread.join()
        kept = zip(map(tensors_in, given), map(tensors_in, copies), strict=True)
        self._changed_inputs = forms != [outline(own) for own in copies] or not all(
            same(b, a) for before, after in kept for b, a in zip(before, after, strict=True)
        )
        return outcome(results, errors, self._switch.failure)


class _ThreadCommunicator(Communicator):
    """The communicator of a rank that is a thread."""

    def __init__(
        self, rank: int, size: int, switch: Switch, changed: threading.Condition, group: list[_ThreadCommunicator]
    ) -> None:
        super().__init__(rank, size)
        self.switch, self.changed, self.group = switch, changed, group
        self.tickets = 0
        self.answers: list[list[Tensor] | None] = []

    def _start(self, call: Call, *, wait: bool) -> Callable[[], list[Tensor]]:
        self.tickets += 1
        ticket = self.tickets
        sent = Call(call.kind, tuple(t.clone() for t in call.tensors), call.to, call.source)
        with self.changed:
            self.switch.post(self.rank, ticket, sent)
            _pass_on(self.switch, self.changed, self.group)

        def finish() -> list[Tensor]:
            with self.changed:
                self.switch.wait(self.rank, ticket)
                _pass_on(self.switch, self.changed, self.group)
                self.changed.wait_for(lambda: self.answers)
                answer = self.answers.pop()
            if answer is None:
                raise CommunicationError(str(self.switch.failure))
            return [t.clone() for t in answer]

        return finish


def _copy(tensor: Tensor) -> Tensor:
    """Return a copy of an argument in the same memory layout; an expanded tensor is copied without overlap."""
    if 0 in tensor.stride():
        return tensor.detach().clone()
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype).copy_(tensor.detach())


def _pass_on(switch: Switch, changed: threading.Condition, group: list[_ThreadCommunicator]) -> None:
    """Deliver the switch's answers to the waiting ranks."""
    if answers := switch.take_answers():
        for rank, answer in answers:
            group[rank].answers.append(answer)
        changed.notify_all()


def _because_of_others(error: Exception) -> bool:
    return CommunicationError.__name__ in getattr(error, "types", (type(error).__name__,))
