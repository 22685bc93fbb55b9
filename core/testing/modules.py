"""Makes modules from source text: properties files and solutions as they are on disk now, and edited solutions."""

from __future__ import annotations

import hashlib
import importlib
import linecache
import sys
import types
from pathlib import Path
from typing import Any

from groundup.core.reloading import made_from_text, refresh
from groundup.core.technique import Technique

_DIGESTS: dict[str, str] = {}


def properties_of(technique: Technique) -> types.ModuleType:
    """Return the technique's properties as they are on disk now, with what they import from its package reloaded."""
    return _current(technique, technique.files.properties_module, technique.files.properties)


def lab_of(technique: Technique) -> types.ModuleType:
    """Return the technique's lab as it is on disk now."""
    return _current(technique, f"{technique.package}.lab", technique.files.folder / "lab.py")


def reference_of(technique: Technique) -> Any:
    """Return the public class or function of the technique's solution as it is on disk now."""
    solution = _current(technique, technique.files.solution_module, technique.files.solution)
    return getattr(solution, technique.implements)


def current_module(name: str, path: Path) -> types.ModuleType:
    """Return module ``name`` with the current source of ``path``; it is executed again only if the source changed.

    Its imports are not reloaded; :func:`properties_of` and the other functions here reload them.
    """
    source = path.read_text(encoding="utf-8")
    digest = hashlib.sha256(source.encode()).hexdigest()
    if _DIGESTS.get(name) != digest or name not in sys.modules:
        parent, _, last = name.rpartition(".")
        package = importlib.import_module(parent)
        module = module_from_source(name, source, str(path))
        made_from_text(name)
        sys.modules[name] = module
        setattr(package, last, module)
        _DIGESTS[name] = digest
    return sys.modules[name]


def module_from_source(name: str, source: str, filename: str) -> types.ModuleType:
    """Execute ``source`` as a new module, which is stored neither in ``sys.modules`` nor in the bytecode cache."""
    module = types.ModuleType(name)
    module.__file__ = filename
    module.__package__ = name.rpartition(".")[0]
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    previous = sys.modules.get(name)
    sys.modules[name] = module  # the dataclass decorator looks up the class's module
    try:
        exec(compile(source, filename, "exec", dont_inherit=True), module.__dict__)
    finally:
        if previous is None:
            del sys.modules[name]
        else:
            sys.modules[name] = previous
    return module


def _current(technique: Technique, name: str, path: Path) -> types.ModuleType:
    refresh(technique.files.modules)
    return current_module(name, path)
