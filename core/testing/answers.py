"""The dtype of an answer, checked before a property sees it."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from groundup.core.answers import AnswerDtype
from groundup.core.tensors import tensors_in
from groundup.core.testing.compare import OtherDtype

__all__ = ["check_dtypes"]


def check_dtypes(declared: AnswerDtype, given: Any, answer: Any) -> None:
    """Raise OtherDtype if a floating tensor of ``answer`` lacks the ``declared`` dtype for the arguments ``given``."""
    if declared == "any":
        return
    expected = declared if isinstance(declared, torch.dtype) else promoted(given)
    if expected is None:
        return
    for tensor in tensors_in(answer):
        if _is_float(tensor) and tensor.dtype != expected:
            raise OtherDtype(expected, tensor.dtype, answer)


def promoted(given: Any) -> torch.dtype | None:
    """Return the dtype that the floating tensors of a plain value promote to; None if it has none."""
    dtypes = [tensor.dtype for tensor in tensors_in(given) if _is_float(tensor)]
    return functools.reduce(torch.promote_types, dtypes) if dtypes else None


def _is_float(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()
