"""What an attempt may import: the standard library, torch and its company, the interfaces. Never a solution."""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import re
import sys
import types
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import groundup.core
from groundup.core.messages import Message
from groundup.grader.process.worker import sentences

if TYPE_CHECKING:
    from _typeshed.importlib import MetaPathFinderProtocol

LIBRARIES = frozenset({"torch", "numpy", "triton", "jaxtyping", "typing_extensions"})
# What these import in turn, some of it only when first needed.
THEIR_NEEDS = frozenset(
    {"_distutils_hack", "filelock", "fsspec", "functorch", "jinja2", "markupsafe", "mpmath", "networkx", "setuptools"}
    | {"sympy", "torchgen", "wadler_lindig"}
    | {"backports", "jaraco", "more_itertools", "packaging", "platformdirs", "wheel"}  # what setuptools brings along
)
OURS = "groundup.core."
IMPORTED = re.compile(r"^ *(?:from|import) groundup\.core(?:\.| import )(\w+)", re.MULTILINE)


@functools.cache
def own_modules() -> tuple[str, ...]:
    """Return the modules and packages of ``groundup.core`` that an attempt may import.

    These are the interfaces, and all that they and this package import in turn. The sources are read, not imported.
    """
    core, worker = Path(groundup.core.__path__[0]), Path(__file__).parent
    found = {f"{OURS}interfaces"}
    waiting = [*worker.glob("*.py"), *core.joinpath("interfaces").glob("*.py")]
    while waiting:
        for name in _imported_by(waiting.pop()) - found:
            found.add(name)
            place = core / name.removeprefix(OURS)
            waiting += place.glob("*.py") if place.is_dir() else [place.with_suffix(".py")]
    return tuple(sorted(found))


def _imported_by(source: Path) -> set[str]:
    """Return the names of the modules of ``groundup.core`` that a file of ours imports, or its functions do."""
    return {OURS + name for name in IMPORTED.findall(source.read_text(encoding="utf-8"))}


def _is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


class ImportRules(importlib.abc.MetaPathFinder):
    """Takes the place of the finders on ``sys.meta_path``: to an attempt, what it may not import is not there.

    It finds nothing rather than raise: libraries ask whether an optional module is installed, and go on without it.
    """

    def __init__(self, further: Iterable[str], finders: Iterable[MetaPathFinderProtocol]) -> None:
        self.further, self.finders = frozenset(further), tuple(finders)

    def allows(self, name: str) -> bool:
        """Whether an attempt may import the module ``name``."""
        top = name.partition(".")[0]
        if top == "groundup":
            return any(_is_in(name, ours) or _is_in(ours, name) for ours in own_modules())
        # _sysconfigdata_...: the standard library's too, under a name that each platform makes up
        standard = top in sys.stdlib_module_names or top.startswith("_sysconfigdata")
        return standard or top in LIBRARIES | THEIR_NEEDS | self.further

    def refusal(self, name: str) -> Message:
        """Return what to tell who tried to import ``name``."""
        there = sorted({"torch", "numpy", "triton", "jaxtyping"} | self.further)
        return sentences.NOT_IMPORTABLE.filled(name=name, names=there)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return where the module is found, or None where there is none or it is refused."""
        found = (finder.find_spec(name, path, target) for finder in self.finders if self.allows(name))
        return next((spec for spec in found if spec is not None), None)
