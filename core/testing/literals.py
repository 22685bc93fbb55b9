"""Values as short Python literals that can be pasted into a shell."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor

LONGEST = 2000


def literal(value: Any) -> str:
    """Return ``value`` as a literal: ``torch.tensor([[0.5, -1.0]])``; very long ones are cut with '...'."""
    text = _literal(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 4] + " ..."


def _literal(value: Any) -> str:
    if isinstance(value, Tensor):
        return _tensor(value.detach())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = (f"{f.name}={_literal(getattr(value, f.name))}" for f in dataclasses.fields(value))
        return f"{type(value).__name__}({', '.join(fields)})"
    if isinstance(value, tuple) and (names := getattr(value, "_fields", None)):
        fields = (f"{n}={_literal(v)}" for n, v in zip(names, value, strict=True))
        return f"{type(value).__name__}({', '.join(fields)})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_literal, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"float('{value}')"
    return repr(value)


def _tensor(tensor: Tensor) -> str:
    if tensor.numel() == 0:
        return f"torch.empty({tuple(tensor.shape)}, dtype={tensor.dtype})"
    if tensor.numel() > LONGEST:  # the literal would be cut anyway, after a costly listing of all numbers
        return f"<a tensor of shape {tuple(tensor.shape)}, dtype={tensor.dtype}>"
    if tensor.is_floating_point():
        digits = 10 if tensor.dtype == torch.float64 else 7
        numbers = _nested(tensor.tolist(), digits)
        return f"torch.tensor({numbers}{'' if tensor.dtype == torch.float32 else f', dtype={tensor.dtype}'})"
    default = torch.bool if tensor.dtype == torch.bool else torch.int64
    return f"torch.tensor({tensor.tolist()}{'' if tensor.dtype == default else f', dtype={tensor.dtype}'})"


def _nested(values: Any, digits: int) -> str:
    if isinstance(values, list):
        return "[" + ", ".join(_nested(v, digits) for v in values) + "]"
    if not math.isfinite(values):
        return "torch.nan" if math.isnan(values) else "torch.inf" if values > 0 else "-torch.inf"
    text = f"{values:.{digits}g}"
    return text if "." in text or "e" in text else text + ".0"
