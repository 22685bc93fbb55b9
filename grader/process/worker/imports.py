"""What an attempt may import: the standard library, torch and a few libraries, the interfaces. Never a solution."""

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
# Dependencies of these, some imported only on first use.
THEIR_NEEDS = frozenset(
    {"_distutils_hack", "filelock", "fsspec", "functorch", "jinja2", "markupsafe", "mpmath", "networkx", "setuptools"}
    | {"sympy", "torchgen", "wadler_lindig"}
    | {"backports", "jaraco", "more_itertools", "packaging", "platformdirs", "wheel"}  # vendored by setuptools
)
OURS = "groundup.core."
IMPORTED = re.compile(r"^ *(?:from|import) groundup\.core(?:\.| import )(\w+)", re.MULTILINE)


@functools.cache
def own_modules() -> tuple[str, ...]:
    """Return the modules and packages of ``groundup.core`` that an attempt may import.

    These are the interfaces, and all that they and this package import. The sources are parsed, not imported.
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
    """Return the modules of ``groundup.core`` that a file imports, at its top or inside its functions."""
    return {OURS + name for name in IMPORTED.findall(source.read_text(encoding="utf-8"))}


def _is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


class ImportRules(importlib.abc.MetaPathFinder):
    """Replaces the finders on ``sys.meta_path``: for an attempt, forbidden modules do not exist.

    It does not find them rather than raise, since libraries probe for optional modules and do without them.
    """

    def __init__(self, further: Iterable[str], finders: Iterable[MetaPathFinderProtocol]) -> None:
        self.further, self.finders = frozenset(further), tuple(finders)

    def allows(self, name: str) -> bool:
        """Whether an attempt may import the module ``name``."""
        top = name.partition(".")[0]
        if top == "groundup":
            return any(_is_in(name, ours) or _is_in(ours, name) for ours in own_modules())
        # _sysconfigdata_... is in the standard library too; its name depends on the platform
        standard = top in sys.stdlib_module_names or top.startswith("_sysconfigdata")
        return standard or top in LIBRARIES | THEIR_NEEDS | self.further

    def refusal(self, name: str) -> Message:
        """Return the error message for an import of ``name``."""
        there = sorted({"torch", "numpy", "triton", "jaxtyping"} | self.further)
        return sentences.NOT_IMPORTABLE.filled(name=name, names=there)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the module's spec, None if it does not exist or is refused."""
        found = (finder.find_spec(name, path, target) for finder in self.finders if self.allows(name))
        return next((spec for spec in found if spec is not None), None)
