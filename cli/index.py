"""The index: names and titles of techniques and days, for 'learn list', shell completion and the first day.

It is made from the registry and cached per user, together with the state of each file that it was made from. While
none of these files has changed, no plugin is imported and no manifest is read. There is one index for each language.
While a plugin is broken, no index is cached: each command loads the plugins and reports the problem.

So a plugin's declarations may depend only on files of its own package and on modules that it imports.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundup.cli.watched import Watched, have_changed
from groundup.core.cache_folder import cache_folder, write_whole

if TYPE_CHECKING:
    from groundup.core.registry import Registry
    from groundup.core.reloading import Seen

__all__ = ["DayEntry", "Index", "RoadmapEntry", "TechniqueEntry", "keep_index", "kept_index", "made_index"]

SUFFIX = ".index.json"
KEPT_SECONDS = 30 * 86400.0  # an index unused for this long is removed: its environment may be gone


@dataclass(frozen=True)
class TechniqueEntry:
    """One technique."""

    id: str
    version: int
    title: str
    summary: str
    level: int | None = None
    minutes: int | None = None

    @property
    def track(self) -> str:
        """The family: ``alignment`` of ``alignment/ppo``."""
        return self.id.partition("/")[0]

    @property
    def name(self) -> str:
        """The short name: ``ppo`` of ``alignment/ppo``."""
        return self.id.partition("/")[2]


@dataclass(frozen=True)
class DayEntry:
    """One day of a roadmap."""

    name: str
    title: str
    techniques: tuple[str, ...]
    """Ids, including those not written yet or broken."""


@dataclass(frozen=True)
class RoadmapEntry:
    """One roadmap."""

    id: str
    title: str
    days: tuple[DayEntry, ...]


@dataclass(frozen=True)
class Index:
    """Techniques and roadmaps, with their texts in one language."""

    techniques: Mapping[str, TechniqueEntry]
    """By id, sorted."""
    roadmaps: Mapping[str, RoadmapEntry]
    broken: frozenset[str] = frozenset()
    """Ids of techniques that a day names and whose plugin is broken."""

    def tracks(self) -> dict[str, list[TechniqueEntry]]:
        """Return the techniques by their track."""
        found: dict[str, list[TechniqueEntry]] = {}
        for technique in self.techniques.values():
            found.setdefault(technique.track, []).append(technique)
        return found

    def begins_with(self, roadmap: RoadmapEntry) -> str:
        """Return the first day whose techniques are all written, or else the first that has a written technique."""
        days = [day for day in roadmap.days if day.techniques]
        whole = [day.name for day in days if all(i in self.techniques for i in day.techniques)]
        begun = [day.name for day in days if any(i in self.techniques for i in day.techniques)]
        return next(iter([*whole, *begun]), "day-1")


def made_index(registry: Registry, lang: str) -> Index:
    """Return the index of what the plugins declare, with texts in ``lang``."""
    from groundup.core.technique import say

    techniques = sorted(registry.techniques.values(), key=lambda t: t.id)
    roadmaps = registry.roadmaps.values()
    named = {i for roadmap in roadmaps for day in roadmap.days for i in day.techniques}
    return Index(
        {
            t.id: TechniqueEntry(t.id, t.version, say(t.title, lang), say(t.summary, lang), t.level, t.minutes)
            for t in techniques
        },
        {
            r.id: RoadmapEntry(
                r.id, say(r.title, lang), tuple(DayEntry(d.name, say(d.title, lang), d.techniques) for d in r.days)
            )
            for r in roadmaps
        },
        frozenset(i for i in named if registry.problem_of(i)),
    )


def kept_index(lang: str) -> Index | None:
    """Return the cached index; None if there is none or if a file that it was made from has changed."""
    if (path := _path(lang)) is None:
        return None
    try:
        data = json.loads(path.read_text("utf-8"))
        if have_changed({place: _seen(found) for place, found in data["files"].items()}):
            return None
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - KEPT_SECONDS / 2:
                os.utime(path)
        return _read(data)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # absent, or not in our format
        return None


def keep_index(index: Index, registry: Registry, lang: str) -> None:
    """Cache the registry's index, unless a plugin is broken or was edited while its files were read."""
    path, watched = _path(lang), Watched()
    if path is None or registry.problems:
        return
    watched.add(registry.places(), registry.began)
    if not watched.fresh:
        return
    data = {
        "files": watched.files,
        "techniques": [asdict(t) for t in index.techniques.values()],
        "roadmaps": [asdict(r) for r in index.roadmaps.values()],
    }
    with contextlib.suppress(OSError):
        write_whole(path, json.dumps(data, ensure_ascii=False).encode())
        for other in path.parent.glob(f"*{SUFFIX}"):
            if other.stat().st_mtime < time.time() - KEPT_SECONDS:
                other.unlink()


def _path(lang: str) -> Path | None:
    """Return the path of the cached index; None if this process or its user has no cache folder.

    Each environment, path of modules and language has its own.
    """
    if not all(place.startswith(("/", "__editable__")) for place in sys.path):
        return None
    if (folder := cache_folder()) is None:
        return None
    own = Path(__file__)
    about = [sys.version, sys.prefix, sys.path, str(own), own.stat().st_mtime_ns, lang]
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
    return folder / f"{key}{SUFFIX}"


def _seen(found: Any) -> Seen:
    return None if found is None else tuple(found)


def _read(data: Mapping[str, Any]) -> Index:
    return Index(
        {each["id"]: TechniqueEntry(**each) for each in data["techniques"]},
        {
            each["id"]: RoadmapEntry(
                each["id"],
                each["title"],
                tuple(DayEntry(d["name"], d["title"], tuple(d["techniques"])) for d in each["days"]),
            )
            for each in data["roadmaps"]
        },
    )
