"""Plain data: what may cross between the judge and an attempt's process.

Tensors, numbers, strings, booleans, None, dtypes, lists, tuples, dicts with string keys, and frozen dataclasses of
these that were registered with :func:`plain`. Nothing else: no pickle, no code.
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any, TypeVar

__contract__ = ("plain",)

T = TypeVar("T")

_TYPES: dict[str, type[Any]] = {}
_FIELDS: dict[type[Any], tuple[str, ...]] = {}
_NAMES: dict[type[Any], str] = {}


def plain(cls: type[T]) -> type[T]:
    """Register a frozen dataclass (``eq=False``, no ``__post_init__``) as plain data.

    Raises TypeError for any other class: equality of tensors has no single truth value, and code that runs on
    construction would run in the judge on values that an attempt chose.
    """
    params = getattr(cls, "__dataclass_params__", None)
    if params is None or not params.frozen or params.eq or hasattr(cls, "__post_init__"):
        raise TypeError(f"{cls.__qualname__} must be @dataclass(frozen=True, eq=False) without __post_init__")
    name = f"{cls.__module__}:{cls.__qualname__}"
    if (earlier := _TYPES.get(name)) is not None:  # its module was executed again
        del _FIELDS[earlier], _NAMES[earlier]
    _TYPES[name], _NAMES[cls], _FIELDS[cls] = cls, name, tuple(f.name for f in dataclasses.fields(cls))  # type: ignore[arg-type]
    return cls


def plain_name(cls: type[Any]) -> str:
    """Return the name that a registered class goes by in a frame: ``module:Class``."""
    return _NAMES[cls]


def plain_type(name: str, *, imports: bool = False) -> type[Any]:
    """Return the registered class of that name; ``imports`` imports its module first (only in the worker).

    Raises KeyError if no class has that name.
    """
    if name not in _TYPES and imports:
        importlib.import_module(name.partition(":")[0])
    return _TYPES[name]


def is_plain(cls: type[Any]) -> bool:
    """Whether ``cls`` itself, not a subclass of it, is registered."""
    return cls in _FIELDS


def field_names(cls: type[Any]) -> tuple[str, ...]:
    """Return the names of a registered dataclass's fields, in order."""
    return _FIELDS[cls]
