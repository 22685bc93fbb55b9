"""Runs a trusted implementation (the solution or an edit of it) in this process and records its answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from groundup.core.answers import declared_dtype
from groundup.core.tensors import outline, same, tensors_in, with_tensors
from groundup.core.testing.answers import check_dtypes
from groundup.core.testing.compare import ChangedInput, OtherDtype, forgiving_changes, note_change
from groundup.core.testing.ranks import LocalRanks

Note = Callable[[str, Any], None]
"""Callback: the name of the called method (empty for a function), and its answer or the name of its error's type."""


class LocalAttempt:
    """Wraps an implementation. ``trace`` lists every answer and error in order."""

    def __init__(self, implementation: Any) -> None:
        self.requests = 0
        self.death: None = None
        self.trace: list[Any] = []
        self.impl = traced(implementation, self._note, guarded=True)

    def _note(self, name: str, answer: Any) -> None:
        self.requests += 1
        self.trace.append(answer)

    def reseed(self, seed: int) -> None:
        """Do nothing: the judge does not seed trusted code."""

    def allow(self, seconds: float) -> None:
        """Do nothing: trusted code has no time limit."""

    def take_printed(self) -> str:
        """Return nothing: what trusted code prints is not captured."""
        return ""

    def close(self) -> None:
        """Do nothing: there is no process to end."""


def traced(implementation: Any, note: Note, like: Any = None, *, guarded: bool = False, sent: bool = False) -> Any:
    """Wrap a class or function; the wrapper notes each answer, and each error by its type's name.

    ``implementation`` may itself be a proxy; ``like`` then says whether it stands for a class. ``guarded``: an input
    that a call changed in place is restored, and the call is noted as a ChangedInput, as in an attempt's process.
    ``sent``: after each call of a group of ranks, all that the ranks have sent so far is noted too.
    """

    def answered(name: str, function: Callable[..., Any], owner: Any = None) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            inputs = tensors_in((args, kwargs)) if guarded else []
            before = [tensor.detach().clone() for tensor in inputs]
            given: Any = with_tensors([list(args), kwargs], iter(inputs)) if guarded else [args, kwargs]
            form = outline(given)
            changes: list[ChangedInput] = []
            try:
                with forgiving_changes(changes.append):
                    answer = function(*given[0], **given[1])
                noted = _copied(answer)  # the answer may be one of the inputs
                changed = [(i, b) for i, b in zip(inputs, before, strict=True) if not same(b, i)]
                answer = _apart_from([tensor for tensor, _ in changed], answer)
                for tensor, old in changed:
                    tensor.data.copy_(old)
                if guarded and (changed or outline(given) != form or getattr(owner, "_changed_inputs", False)):
                    changes.append(ChangedInput("?", noted))
                if reference is not None:
                    check_dtypes(declared_dtype(reference, name), (args, kwargs), answer)
            except OtherDtype as error:
                note(name, [type(error).__name__, _copied(error.answer)])
                raise
            except Exception as error:
                note(name, getattr(error, "types", (type(error).__name__,))[0])
                raise
            finally:
                if sent and owner is not None:
                    note("sent", owner.traffic())
            note(name, [ChangedInput.__name__, noted] if changes else noted)
            for change in changes[:1]:
                note_change(change)
            return answer

        return call

    constructed = like or implementation
    reference = None if isinstance(constructed, LocalRanks) else constructed  # a group checks each rank by itself
    if not (inspect.isclass(constructed) or isinstance(constructed, LocalRanks)):
        return answered("", implementation)

    class Traced:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            note("", "constructed")
            given: Any = [list(args), kwargs]
            inputs = tensors_in(given) if guarded else []
            if guarded:  # the object keeps copies, as it does in an attempt's process
                given = with_tensors(given, iter([tensor.detach().clone() for tensor in inputs]))
            form, changes = outline(given), list[ChangedInput]()
            with forgiving_changes(changes.append):
                self._object = implementation(*given[0], **given[1])
            kept = guarded and outline(given) == form and all(map(same, inputs, tensors_in(given)))
            if guarded and (not kept or getattr(self._object, "_changed_inputs", False)):
                changes.append(ChangedInput("?", None))
            for change in changes[:1]:
                note("", ChangedInput.__name__)
                note_change(change)

        def __getattr__(self, name: str) -> Any:
            if name in ("messages", "traffic") and isinstance(constructed, LocalRanks):
                return getattr(self._object, name)  # transfers are not answers; they are compared separately
            return answered(name, getattr(self._object, name), self._object)

    return Traced


def _copied(answer: Any) -> Any:
    """Return a copy of ``answer`` that later in-place changes do not affect; its tensors keep ``requires_grad``."""
    return with_tensors(answer, iter([_as_it_is(t) for t in tensors_in(answer)]))


def _apart_from(inputs: Sequence[Tensor], answer: Any) -> Any:
    """Return ``answer`` with tensors that share memory with ``inputs`` copied: the inputs are restored next."""
    shared = {tensor.untyped_storage().data_ptr() for tensor in inputs}
    if not shared:
        return answer
    tensors = [_as_it_is(t) if t.untyped_storage().data_ptr() in shared else t for t in tensors_in(answer)]
    return with_tensors(answer, iter(tensors))


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)
