"""Loads plugins and their declarations: built-ins by walking ``groundup.plugins``, others by their entry points."""

from __future__ import annotations

import contextlib
import copy
import importlib
import importlib.metadata
import importlib.util
import os
import pkgutil
import re
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pluggy
from pydantic import ValidationError

from groundup.core import hookspecs
from groundup.core.errors import PluginProblem, UnknownName, UsageProblem, nearest
from groundup.core.manifest import languages, translated
from groundup.core.messages import Message, either
from groundup.core.moved import told
from groundup.core.reloading import Stamp, files_of, forget, have_changed, home_of, refresh, stamp
from groundup.core.technique import MANIFEST, Day, Roadmap, Technique, say

__contract__ = ("Registry",)

ENTRY_POINTS = "groundup"
BUILT_INS = "groundup.plugins"

_ID = re.compile(r"""^\s*id\s*=\s*["']([^"'\n]+)["']""", re.MULTILINE)

T = TypeVar("T")
Stamps = dict[str, Stamp | tuple[str, ...] | None]
"""By path: a file's stamp, or the languages of the manifest in a folder."""
Loaders = Iterable[tuple[str, Callable[[], Any]]]


class Registry:
    """All declarations of the installed plugins. A broken plugin is recorded in ``problems``; the others work."""

    def __init__(self, plugins: Loaders | None = None) -> None:
        """Load ``plugins``, pairs of name and loader; by default the built-ins, then the entry points."""
        self.began = time.time_ns()
        """The time, in ns, before the plugins' files were read."""
        self.problems: list[PluginProblem] = []
        self.techniques: dict[str, Technique] = {}
        self.roadmaps: dict[str, Roadmap] = {}
        self.manager = pluggy.PluginManager(hookspecs.PROJECT)
        self.manager.add_hookspecs(hookspecs)
        self._given = None if plugins is None else tuple(plugins)
        self._entries = _entry_points() if plugins is None else []
        self._broken: dict[str, PluginProblem] = {}
        self._owners: dict[str, str] = {}
        """The plugin's name, by the id of each technique that it declares, or would declare if it were not broken."""
        self._manifests: dict[str, list[Path]] = {}
        """TOML manifests, by the package to reload when one of them changes."""
        places = self._stamps()
        for name, load in self._loaders():
            try:
                self._add(name, load)
            except PluginProblem as problem:
                self._set_aside(name, problem, self._might_declare(name))
        for technique in self.techniques.values():
            if technique.files.manifest.name == MANIFEST:
                self._manifests.setdefault(home_of(technique.package), []).append(technique.files.manifest)
        self._places = self._stamps() | places
        have_changed(self._homes())  # records the stamps of the files now: a later difference is an edit

    def current(self) -> Registry:
        """Return a registry of the plugins as they are on disk now: this one if nothing has changed.

        For processes that outlive an edit; if nothing has changed it costs a few calls of ``stat``. Looking up a
        technique of a plugin that no longer loads raises the plugin's problem.
        """
        homes = self._homes()
        changed = [home for home in homes if refresh([home])] if have_changed(homes) else []
        loaded = [plugin for _, plugin in self.manager.list_name_plugin() if isinstance(plugin, types.ModuleType)]
        replaced = any(sys.modules.get(module.__name__) is not module for module in loaded)
        now = self._stamps()
        if not changed and not replaced and now == self._places:
            return self
        forget(home for home, files in self._manifests.items() if any(self._is_edited(f, now) for f in files))
        for name in self._broken:
            forget([self._home(name)])
        importlib.invalidate_caches()
        found = Registry(self._given)
        found._owners = self._owners | found._owners
        return found

    def in_language(self, lang: str) -> Registry:
        """Return this registry with all texts in ``lang`` read.

        In the returned registry a technique with a broken translation is a problem, like a broken plugin.
        """
        problems: dict[str, PluginProblem] = {}
        for technique in self.techniques.values():
            try:
                say(technique.title, lang)
            except PluginProblem as broken:
                problems[technique.id] = broken
        if not problems:
            return self
        found = copy.copy(self)
        found.techniques = {i: t for i, t in self.techniques.items() if i not in problems}
        found.problems, found._broken, found._owners = [*self.problems], {**self._broken}, {**self._owners}
        for identity, problem in problems.items():
            name = self._owners[identity]
            told = PluginProblem(
                "Plugin {name!r} is broken in the language {lang!r}: {problem}", name=name, lang=lang, problem=problem
            )
            found._set_aside(name, told, [identity])
        return found

    def ask(self, hook: str, read: Callable[[Any], T], **given: Any) -> tuple[list[tuple[str, T]], list[PluginProblem]]:
        """Call a hook of each plugin separately; return each plugin's name with ``read(answer)``, and the problems.

        A plugin that raises, or whose answer makes ``read`` raise, becomes a problem; the other plugins still run. What
        a plugin prints goes to stderr, since stdout belongs to the command.
        """
        answers: list[tuple[str, T]] = []
        problems: list[PluginProblem] = []
        order = [name for name, _ in self.manager.list_name_plugin()]
        implementations = getattr(self.manager.hook, hook).get_hookimpls()
        for plugin in sorted(implementations, key=lambda p: order.index(p.plugin_name)):
            arguments = copy.deepcopy([given[name] for name in plugin.argnames])
            try:
                with contextlib.redirect_stdout(sys.stderr):
                    answers.append((plugin.plugin_name, read(plugin.function(*arguments))))
            except (Exception, SystemExit) as error:
                told = _told(error)
                problems.append(
                    PluginProblem(
                        "Plugin {name!r} failed in {hook}(): {why}", name=plugin.plugin_name, hook=hook, why=told
                    )
                )
        return answers, problems

    def technique(self, name: str) -> Technique:
        """Return the technique with the full id or short name ``name``.

        Raises UnknownName, UsageProblem; PluginProblem if the plugin that would declare it is broken.
        """
        if name in self.techniques:
            return self.techniques[name]
        named = [t for t in self.techniques.values() if t.name == name]
        if len(named) > 1:
            ids = either(t.id for t in named)
            raise UsageProblem("{name!r} names several techniques: say {ids}.", name=name, ids=ids)
        if named:
            return named[0]
        if problem := self.problem_of(name):
            raise problem
        for roadmap in self.roadmaps.values():
            for day in roadmap.days:
                if name in day.techniques or name in (i.partition("/")[2] for i in day.techniques):
                    raise UsageProblem(
                        "Technique {name!r} ({day} of {roadmap}) is not written yet. 'learn list' shows what there is.",
                        name=name,
                        day=day.name,
                        roadmap=roadmap.id,
                    )
        raise UnknownName(Message("technique"), name, self.techniques, Message("'learn list' shows what there is."))

    def problem_of(self, name: str) -> PluginProblem | None:
        """Return the problem of the broken plugin that would declare technique or roadmap ``name``, None if none."""
        if name in self.techniques or name in self.roadmaps:
            return None
        return next((problem for identity, problem in self.broken.items() if _means(name, identity)), None)

    def places(self) -> list[str]:
        """Return the files and folders that the plugins' declarations depend on; ``seen`` detects their changes.

        Other modules that a plugin imports are not included.
        """
        found = [*files_of(self._homes()), *self._places]
        for folder in dict.fromkeys(sys.path):
            with contextlib.suppress(OSError):
                names = os.listdir(folder)  # noqa: PTH208
                found += [f"{folder}/{name}/entry_points.txt" for name in names if name.endswith("-info")]
                found += [f"{folder}/{name}" for name in names if name.endswith(".pth")]
        return list(dict.fromkeys(found))

    @property
    def broken(self) -> dict[str, PluginProblem]:
        """The problems of broken plugins, by the id each would declare, or by the plugin's name if that is unknown."""
        owners = self._owners.items()
        return {i: self._broken[name] for i, name in owners if name in self._broken and i not in self.techniques}

    def roadmap(self, name: str) -> Roadmap:
        """Return the roadmap with the id ``name``. Raises UnknownName, PluginProblem."""
        if name not in self.roadmaps:
            if problem := self.problem_of(name):
                raise problem
            raise UnknownName(Message("roadmap"), name, self.roadmaps)
        return self.roadmaps[name]

    def day(self, name: str, roadmap: str) -> Day:
        """Return the day ``day-N`` of ``roadmap``. Raises UnknownName, UsageProblem."""
        days = {d.name: d for d in self.roadmap(roadmap).days}
        if name not in days:
            raise UsageProblem(
                "Roadmap {roadmap!r} has {count} days, day-1 to day-{count}; no {name!r}.",
                roadmap=roadmap,
                count=len(days),
                name=name,
            )
        return days[name]

    def with_prerequisites(self, techniques: Iterable[Technique]) -> list[Technique]:
        """Return ``techniques`` and all that they require, each after its own requirements."""
        ordered: dict[str, Technique] = {}

        def visit(technique: Technique, path: tuple[str, ...]) -> None:
            if technique.id in path:
                raise PluginProblem(
                    "Techniques require each other in a circle: {circle}.", circle=" -> ".join((*path, technique.id))
                )
            for required in technique.requires:
                if required in self.techniques:  # a requirement may not be written yet
                    visit(self.techniques[required], (*path, technique.id))
            ordered.setdefault(technique.id, technique)

        for technique in techniques:
            visit(technique, ())
        return list(ordered.values())

    def _add(self, name: str, load: Callable[[], Any]) -> None:
        if self.manager.has_plugin(name):
            raise PluginProblem(
                "Plugin {name!r} is left out: another one has that name. Give its entry point a name of its own.",
                name=name,
            )
        try:
            plugin = load()
        except (Exception, SystemExit) as error:
            raise PluginProblem("Plugin {name!r} cannot be imported: {why}", name=name, why=_told(error)) from error
        if other := self.manager.get_name(plugin):
            raise PluginProblem(
                "Plugin {name!r} is left out: it is the same module as plugin {other!r}.", name=name, other=other
            )
        try:
            self.manager.register(plugin, name)
            techniques = self._declared(name, "techniques", Technique)
            roadmaps = self._declared(name, "roadmaps", Roadmap)
            self._check_hooks(name)
            for technique in techniques:
                if technique.id in self.techniques:
                    raise ValueError(f"{technique.id} is already declared by {self.techniques[technique.id].package}")
                if sum(t.id == technique.id for t in techniques) > 1:
                    raise ValueError(f"{technique.id} is declared twice")
                _ = technique.files  # raises if the package does not exist
            for roadmap in roadmaps:
                if roadmap.id in self.roadmaps:
                    raise ValueError(f"roadmap {roadmap.id} is already declared")
        except (Exception, SystemExit) as error:
            if self.manager.has_plugin(name):
                self.manager.unregister(name=name)
            says_it_all = type(error) in (ValueError, TypeError, pluggy.PluginValidationError, PluginProblem)
            raise PluginProblem(
                "Plugin {name!r} is broken: {why}", name=name, why=error if says_it_all else _told(error)
            ) from error
        self.techniques |= {t.id: t for t in techniques}
        self.roadmaps |= {r.id: r for r in roadmaps}
        self._owners |= {t.id: name for t in techniques}

    def _set_aside(self, name: str, problem: PluginProblem, identities: Iterable[str]) -> None:
        self.problems.append(problem)
        self._broken.setdefault(name, problem)
        for identity in identities:
            self._owners.setdefault(identity, name)

    def _might_declare(self, name: str) -> list[str]:
        """Return the ids that the broken plugin ``name`` would declare, as far as its files show, or else its name."""
        if name.startswith(f"{BUILT_INS}."):
            return [name.removeprefix(f"{BUILT_INS}.").replace(".", "/").replace("_", "-")]
        module = next((e.module for e in self._entries if e.name == name), name)
        with contextlib.suppress(Exception):  # find_spec imports the parent packages, which may raise anything
            spec = importlib.util.find_spec(module)
            folders = (spec and spec.submodule_search_locations) or ()
            texts = [file.read_text("utf-8") for folder in folders for file in Path(folder).rglob(MANIFEST)]
            return [found[1] for text in texts if (found := _ID.search(text))] or [name]
        return [name]

    def _declared(self, name: str, hook: str, kind: type[T]) -> list[T]:
        """Return what plugin ``name`` declares. Raises what its hook raises, TypeError for a value of another type."""
        declared: list[T] = []
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            if implementation.plugin_name != name or _wraps(implementation):
                continue
            returned: Any = implementation.function()
            if isinstance(returned, str | dict) or not isinstance(returned, Iterable):
                raise TypeError(f"{hook}() returned {returned!r:.80}, which is no list of {kind.__name__}s")
            declared += returned
        for value in declared:
            if not isinstance(value, kind):
                raise TypeError(f"{hook}() returned {value!r:.80}, which is no {kind.__name__}")
        return declared

    def _check_hooks(self, name: str) -> None:
        """Raise ValueError for a marked function that is no hook, or that is a hook wrapper."""
        known = [n for n, value in vars(hookspecs).items() if hasattr(value, f"{hookspecs.PROJECT}_spec")]
        for caller in self.manager.get_hookcallers(self.manager.get_plugin(name)) or ():
            if caller.name not in known:
                near = nearest(caller.name, known)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"there is no hook {caller.name!r}.{hint} The hooks are {', '.join(known)}.")
            if any(_wraps(i) for i in caller.get_hookimpls() if i.plugin_name == name):
                raise ValueError(f"{caller.name}() is a hook wrapper: a plugin answers for itself alone")

    def _is_edited(self, manifest: Path, now: Stamps) -> bool:
        return any(now.get(place) != self._places.get(place) for place, _ in _stamps_of(manifest))

    def _loaders(self) -> Loaders:
        if self._given is not None:
            return self._given
        return [*_builtins(), *((entry.name, entry.load) for entry in self._entries)]

    def _homes(self) -> list[str]:
        """Return the home packages of the loaded plugins and techniques."""
        modules = [p.__name__ for _, p in self.manager.list_name_plugin() if isinstance(p, types.ModuleType)]
        packages = [t.package for t in self.techniques.values()]
        return list(dict.fromkeys(home_of(name) for name in [*modules, *packages]))

    def _home(self, name: str) -> str:
        """Return the home package of plugin ``name``, loaded or not."""
        return home_of(next((e.module for e in self._entries if e.name == name), name))

    def _stamps(self) -> Stamps:
        """Return the stamps of the places where plugins are found, of manifests, and of broken plugins' files."""
        places = [p for name in self._broken for p in _files_of(self._home(name))]
        if self._given is None:
            plugins = importlib.import_module(BUILT_INS).__path__
            tracks = [str(p) for folder in plugins for p in Path(folder).iterdir() if p.is_dir()]
            places += [*plugins, *(t for t in tracks if not t.endswith("__pycache__")), *sys.path]
        manifests = (each for files in self._manifests.values() for file in files for each in _stamps_of(file))
        return {place: stamp(place) for place in places} | dict(manifests)


def _means(name: str, identity: str) -> bool:
    """Whether ``name`` may refer to ``identity``; either may lack the track."""
    if "/" in name and "/" in identity:
        return name == identity
    return name.rpartition("/")[2] == identity.rpartition("/")[2]


def _wraps(implementation: pluggy.HookImpl) -> bool:
    return implementation.wrapper or implementation.hookwrapper


def _told(error: BaseException) -> str:
    """Return an exception as one line; a ValidationError as its first wrong field and message."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        words = first["msg"].removeprefix("Value error, ")
        return f"{'.'.join(map(str, (error.title, *first['loc'])))}: {words}" if first["loc"] else words
    return told(error)


def _files_of(module: str) -> list[str]:
    """Return the files and folders that importing ``module`` could read."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    folders = spec.submodule_search_locations
    if not folders:
        return [spec.origin or ""]
    files = [p for f in folders for kind in ("*.py", "technique*.toml") for p in Path(f).rglob(kind)]
    return [*folders, *map(str, files)]


def _stamps_of(manifest: Path) -> Iterator[tuple[str, Stamp | tuple[str, ...] | None]]:
    found = languages(manifest)
    yield str(manifest.parent), tuple(found)
    for file in (manifest, *(translated(manifest, lang) for lang in found)):
        yield str(file), stamp(file)


def _builtins() -> Iterator[tuple[str, Callable[[], types.ModuleType]]]:
    package = importlib.import_module(BUILT_INS)
    for track in pkgutil.iter_modules(package.__path__):
        name = f"{BUILT_INS}.{track.name}"
        if not track.ispkg:
            yield name, lambda name=name: importlib.import_module(name)  # type: ignore[misc]
            continue
        for technique in pkgutil.iter_modules(importlib.import_module(name).__path__):
            full = f"{name}.{technique.name}"
            yield full, lambda full=full: importlib.import_module(full)  # type: ignore[misc]


def _entry_points() -> list[importlib.metadata.EntryPoint]:
    return sorted(importlib.metadata.entry_points(group=ENTRY_POINTS), key=lambda e: e.name)
