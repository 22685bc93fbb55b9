"""What an attempt may import: the standard library, torch and its company, the interfaces. Never a solution."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Iterable, Sequence

LIBRARIES = frozenset({"torch", "numpy", "triton", "jaxtyping", "typing_extensions"})
# What these import in turn, some of it only when first needed.
THEIR_NEEDS = frozenset(
    {"filelock", "fsspec", "functorch", "jinja2", "markupsafe", "mpmath", "networkx", "setuptools", "sympy"}
    | {"torchgen", "wadler_lindig"}
)
OURS = ("groundup.core.interfaces", "groundup.core.plain", "groundup.core.communicator")


class ImportRules(importlib.abc.MetaPathFinder):
    """Refuses every other import, with a sentence. Goes first on ``sys.meta_path``; finds nothing itself."""

    def __init__(self, further: Iterable[str]) -> None:
        self.further = frozenset(further)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Raise ModuleNotFoundError for what an attempt may not import."""
        top = name.partition(".")[0]
        if top == "groundup":
            allowed = any(name == ours or name.startswith(ours + ".") or ours.startswith(name + ".") for ours in OURS)
        else:
            allowed = top in sys.stdlib_module_names or top in LIBRARIES | THEIR_NEEDS | self.further
        if not allowed:
            told = ", ".join(sorted({"torch", "numpy", "triton", "jaxtyping"} | self.further))
            raise ModuleNotFoundError(
                f"an attempt cannot import {name!r}; it has the standard library, {told} and groundup.core.interfaces",
                name=name,
            )
        return None
