"""Wrong implementations that can be made for every technique automatically, from its solution."""

from __future__ import annotations

import inspect
from typing import Any

from groundup.core.technique import Technique

# What each cheat does to every float tensor of an answer, or with the call.
ANSWERS = {
    "zeros": "torch.zeros_like(x)",
    "ones": "torch.ones_like(x)",
    "sign-flipped": "-x",
    "doubled": "2 * x",
    "nan": "x * float('nan')",
    "other-dtype": "x.to(torch.float64 if x.dtype == torch.float32 else torch.float32)",
}
CALLS = {
    "first-answer-for-ever": "memory.setdefault(name, answer())",
    "none": "None",
    "input-returned": "floats((args, kwargs))[0]",
    "input-changed": "(answer(), floats((args, kwargs))[0].data.add_(1))[0]",
}
NAMES = (*ANSWERS, *CALLS)

_WRAPPER = """

import dataclasses as _dataclasses

import torch


def _mapped(change, value):
    if isinstance(value, torch.Tensor):
        return change(value) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {{k: _mapped(change, v) for k, v in value.items()}}
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(change, v) for v in value)
    if _dataclasses.is_dataclass(value):
        fields = {{f.name: _mapped(change, getattr(value, f.name)) for f in _dataclasses.fields(value)}}
        return type(value)(**fields)
    return value


def _floats(value):
    found = []
    _mapped(lambda x: found.append(x) or x, value)
    return found


def _cheating(original, name, memory={{}}):
    def cheat(*args, **kwargs):
        answer, floats = (lambda: original(*args, **kwargs)), _floats
        return {call}
    return cheat


_changed = lambda x: {answer}
"""
_FUNCTION = "{public} = _cheating({public}, {public!r})\n"
_METHOD = "{public}.{name} = _cheating({public}.{name}, {name!r})\n"


def cheat(technique: Technique, solution: str, reference: Any, name: str) -> str:
    """Return the source of the cheat ``name``: the solution with its public callables wrapped to be wrong."""
    answer = ANSWERS.get(name, "x")
    call = CALLS.get(name, "_mapped(_changed, answer())")
    wrapped = solution + _WRAPPER.format(answer=answer, call=call)
    public = technique.implements
    if not inspect.isclass(reference):
        return wrapped + _FUNCTION.format(public=public)
    methods = [n for n, m in vars(reference).items() if inspect.isfunction(m) and not n.startswith("_")]
    return wrapped + "".join(_METHOD.format(public=public, name=n) for n in methods)
