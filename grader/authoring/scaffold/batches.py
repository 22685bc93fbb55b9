"""The batches that the rules of an interface take, read from the interface's module."""

from __future__ import annotations

import importlib
import pkgutil
import typing

from groundup.core import interfaces

__all__ = ["batches_of", "without_a_loss"]


def batches_of(interface: str) -> list[str]:
    """Return the names of the batches from which a rule of that interface can learn; none for most interfaces."""
    return [name for name, batch in _exported(interface).items() if _has_floats(batch)]


def without_a_loss(interface: str) -> list[str]:
    """Return the other batches of the interface's module: without a float, nothing in them can be trained."""
    return [name for name, batch in _exported(interface).items() if not _has_floats(batch)]


def _exported(interface: str) -> dict[str, type]:
    """Return the batch classes beside an interface that is generic over its batch, by name."""
    for found in pkgutil.iter_modules(interfaces.__path__):
        module = importlib.import_module(f"{interfaces.__name__}.{found.name}")
        if interface in module.__all__ and hasattr(getattr(module, interface), "__parameters__"):  # a Generic has them
            return {name: getattr(module, name) for name in module.__all__ if name.endswith("Batch")}
    return {}


def _has_floats(batch: type) -> bool:
    hints = typing.get_type_hints(batch).values()
    parts = [part for hint in hints for part in (hint, *typing.get_args(hint))]
    return any(kind.startswith("float") for part in parts if hasattr(part, "dtypes") for kind in part.dtypes)
