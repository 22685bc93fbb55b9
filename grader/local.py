"""A trusted implementation in this process, its answers recorded: solutions, and edits of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor

from groundup.core.testing.ranks import LocalRanks
from groundup.grader.worker.wire import tensors_in, with_tensors


class LocalAttempt:
    """Wraps an implementation. ``trace`` lists every answer, error and gradient in order."""

    def __init__(self, implementation: Any) -> None:
        self.requests = 0
        self.death: None = None
        self.trace: list[Any] = []
        self.impl = traced(implementation, self._note)

    def _note(self, answer: Any) -> None:
        self.requests += 1
        self.trace.append(answer)

    def take_printed(self) -> str:
        """Return nothing: what trusted code prints is not captured."""
        return ""


def traced(implementation: Any, note: Callable[[Any], None], like: Any = None) -> Any:
    """Return a stand-in for a class or function that notes every answer of it, and every error by its type's name.

    ``implementation`` may itself be a proxy; ``like`` then says whether it stands for a class.
    """

    def answered(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                answer = function(*args, **kwargs)
            except Exception as error:
                note(getattr(error, "types", (type(error).__name__,))[0])
                raise
            note(with_tensors(answer, iter([_as_it_is(t) for t in tensors_in(answer)])))
            return answer

        return call

    constructed = like or implementation
    if not (inspect.isclass(constructed) or isinstance(constructed, LocalRanks)):
        return answered(implementation)

    class Traced:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            note("constructed")
            self._object = implementation(*args, **kwargs)

        def __getattr__(self, name: str) -> Any:
            return answered(getattr(self._object, name))

    return Traced


def _as_it_is(tensor: Tensor) -> Tensor:
    """Return a copy, whatever becomes of ``tensor``, that says whether it carries gradient."""
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)
