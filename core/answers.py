"""What dtype the answers of a method have: declared on the interface's method, checked where answers arrive.

Undeclared, an answer's floating tensors have the promoted dtype of the floating tensors that the call was given.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import torch

__all__ = ["AnswerDtype", "answer_dtype", "declared_dtype"]

F = TypeVar("F", bound=Callable[..., Any])
AnswerDtype = torch.dtype | Literal["promoted", "any"]
"""``promoted``: that of the floating inputs. ``any``: the properties of the technique say which."""


def answer_dtype(dtype: AnswerDtype) -> Callable[[F], F]:
    """Declare the dtype of a method's answers, or of a function's, where it is not that of the inputs.

    It counts for every implementation of the interface; a subclass need not repeat it.
    """

    def decorate(method: F) -> F:
        method.groundup_answer_dtype = dtype  # type: ignore[attr-defined]
        return method

    return decorate


def declared_dtype(reference: Any, name: str = "") -> AnswerDtype:
    """Return what is declared of a function, or of method ``name`` of a class or of one that it derives from."""
    owners = reference.__mro__ if inspect.isclass(reference) else (None,)
    for owner in owners:
        method = reference if owner is None else vars(owner).get(name)
        if (found := getattr(method, "groundup_answer_dtype", None)) is not None:
            dtype: AnswerDtype = found
            return dtype
    return "promoted"
