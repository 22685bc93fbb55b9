"""The dtype of a method's answers: declared on the interface's method, checked where answers arrive.

Without a declaration, an answer's floating tensors must have the promoted dtype of the call's floating inputs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import torch

__all__ = ["AnswerDtype", "answer_dtype", "declared_dtype"]

F = TypeVar("F", bound=Callable[..., Any])
AnswerDtype = torch.dtype | Literal["promoted", "any"]
"""``promoted``: the promoted dtype of the floating inputs. ``any``: the technique's properties check the dtype."""


def answer_dtype(dtype: AnswerDtype) -> Callable[[F], F]:
    """Declare the dtype of a method's or function's answers, where it is not the promoted dtype of the inputs.

    The declaration holds for every implementation of the interface; a subclass need not repeat it.
    """

    def decorate(method: F) -> F:
        method.groundup_answer_dtype = dtype  # type: ignore[attr-defined]
        return method

    return decorate


def declared_dtype(reference: Any, name: str = "") -> AnswerDtype:
    """Return the dtype declared for a function, or for method ``name`` of a class or of one of its base classes."""
    owners = reference.__mro__ if inspect.isclass(reference) else (None,)
    for owner in owners:
        method = reference if owner is None else vars(owner).get(name)
        if (found := getattr(method, "groundup_answer_dtype", None)) is not None:
            dtype: AnswerDtype = found
            return dtype
    return "promoted"
