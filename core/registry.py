"""Finds plugins and what they declare: built-ins by walking ``groundup.plugins``, others by their entry points."""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pluggy

from groundup.core import hookspecs
from groundup.core.errors import PluginProblem, UnknownName, UsageProblem
from groundup.core.technique import CONTRACT, Day, Roadmap, Technique

ENTRY_POINTS = "groundup"


class Registry:
    """Everything that the installed plugins declare. A broken plugin is set aside in ``problems``; the rest work."""

    def __init__(self, plugins: Iterable[tuple[str, Callable[[], Any]]] | None = None) -> None:
        """Load ``plugins`` (name, loader), by default the built-ins and then the entry points."""
        self.problems: list[PluginProblem] = []
        self.techniques: dict[str, Technique] = {}
        self.roadmaps: dict[str, Roadmap] = {}
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        for name, load in plugins if plugins is not None else [*_builtins(), *_entry_points()]:
            try:
                self._add(name, load)
            except PluginProblem as problem:
                self.problems.append(problem)

    def _add(self, name: str, load: Callable[[], Any]) -> None:
        try:
            plugin = load()
        except Exception as error:
            raise PluginProblem(f"Plugin {name!r} cannot be imported: {type(error).__name__}: {error}") from error
        try:
            self.manager.register(plugin, name)
            self.manager.check_pending()
            techniques = _declared(plugin, "techniques", Technique)
            roadmaps = _declared(plugin, "roadmaps", Roadmap)
            for technique in techniques:
                if technique.contract > CONTRACT:
                    raise ValueError(
                        f"{technique.id} is written for plugin contract {technique.contract}, this Groundup speaks "
                        f"{CONTRACT}: update Groundup"
                    )
                if technique.id in self.techniques:
                    raise ValueError(f"{technique.id} is already declared by {self.techniques[technique.id].package}")
                if sum(t.id == technique.id for t in techniques) > 1:
                    raise ValueError(f"{technique.id} is declared twice")
                _ = technique.files  # raises for a package that is not there
            for roadmap in roadmaps:
                if roadmap.id in self.roadmaps:
                    raise ValueError(f"roadmap {roadmap.id} is already declared")
        except Exception as error:
            if self.manager.has_plugin(name):
                self.manager.unregister(name=name)
            raise PluginProblem(f"Plugin {name!r} is broken: {error}") from error
        self.techniques |= {t.id: t for t in techniques}
        self.roadmaps |= {r.id: r for r in roadmaps}

    def technique(self, name: str) -> Technique:
        """Return the technique called ``name``, by full id or by short name. Raises UnknownName, UsageProblem."""
        if name in self.techniques:
            return self.techniques[name]
        named = [t for t in self.techniques.values() if t.name == name]
        if len(named) > 1:
            ids = " or ".join(t.id for t in named)
            raise UsageProblem(f"{name!r} names several techniques: say {ids}.")
        if named:
            return named[0]
        for roadmap in self.roadmaps.values():
            for day in roadmap.days:
                if name in day.techniques or name in (i.partition("/")[2] for i in day.techniques):
                    raise UsageProblem(
                        f"Technique {name!r} ({day.name} of {roadmap.id}) is not written yet. "
                        "'learn list' shows what there is."
                    )
        raise UnknownName("technique", name, self.techniques, "'learn list' shows what there is.")

    def roadmap(self, name: str) -> Roadmap:
        """Return the roadmap called ``name``. Raises UnknownName."""
        if name not in self.roadmaps:
            raise UnknownName("roadmap", name, self.roadmaps)
        return self.roadmaps[name]

    def day(self, name: str, roadmap: str) -> Day:
        """Return the day ``day-N`` of ``roadmap``. Raises UnknownName, UsageProblem."""
        days = {d.name: d for d in self.roadmap(roadmap).days}
        if name not in days:
            raise UsageProblem(f"Roadmap {roadmap!r} has {len(days)} days, day-1 to day-{len(days)}; no {name!r}.")
        return days[name]

    def with_prerequisites(self, techniques: Iterable[Technique]) -> list[Technique]:
        """Return ``techniques`` and everything they require, each after its own requirements."""
        ordered: dict[str, Technique] = {}

        def visit(technique: Technique, path: tuple[str, ...]) -> None:
            if technique.id in path:
                raise PluginProblem(f"Techniques require each other in a circle: {' -> '.join((*path, technique.id))}.")
            for required in technique.requires:
                if required in self.techniques:  # one that is not written yet cannot be asked for
                    visit(self.techniques[required], (*path, technique.id))
            ordered.setdefault(technique.id, technique)

        for technique in techniques:
            visit(technique, ())
        return list(ordered.values())


def _declared(plugin: Any, hook: str, kind: type[Any]) -> list[Any]:
    implementation = getattr(plugin, hook, None)
    if implementation is None or not hasattr(implementation, f"{hookspecs.PROJECT}_impl"):
        return []
    declared = list(implementation())
    for value in declared:
        if not isinstance(value, kind):
            raise TypeError(f"{hook}() returned {value!r}, which is no {kind.__name__}")
    return declared


def _builtins() -> Iterator[tuple[str, Callable[[], types.ModuleType]]]:
    package = importlib.import_module("groundup.plugins")
    for track in pkgutil.iter_modules(package.__path__):
        name = f"groundup.plugins.{track.name}"
        if not track.ispkg:
            yield name, lambda name=name: importlib.import_module(name)  # type: ignore[misc]
            continue
        for technique in pkgutil.iter_modules(importlib.import_module(name).__path__):
            full = f"{name}.{technique.name}"
            yield full, lambda full=full: importlib.import_module(full)  # type: ignore[misc]


def _entry_points() -> Iterator[tuple[str, Callable[[], Any]]]:
    for entry in sorted(importlib.metadata.entry_points(group=ENTRY_POINTS), key=lambda e: e.name):
        yield entry.name, entry.load
