"""The files that a process has read when it imported what it runs, and whether one of them is another one now."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping

from groundup.core.reloading import Seen, seen

__all__ = ["Watched", "have_changed", "look", "were_settled"]

SETTLED = 2_000_000_000  # ns: a file that is younger than this when it is read may have been read half-written


class Watched:
    """What tells of every file that was imported, of manifests, and of the distributions that there are.

    Properties, solutions and labs do not count: each grade reads them as they are.
    """

    def __init__(self) -> None:
        self.files: dict[str, Seen] = {}
        self.fresh = True

    def add(self, places: Iterable[str], began: int) -> None:
        """Watch what has been imported by now, and ``places``; what is new began to be read at ``began``, in ns."""
        added = look({*_imported(), *places} - self.files.keys())
        self.fresh = self.fresh and were_settled(added, began)
        self.files |= added

    def is_fresh(self) -> bool:
        """Look at them all: whether each is what it was when it was read. Once one is not, that stays so."""
        self.fresh = self.fresh and not have_changed(self.files)
        return self.fresh


def look(places: Iterable[str]) -> dict[str, Seen]:
    """Return what is seen of each place now."""
    return {place: seen(place) for place in places}


def have_changed(files: Mapping[str, Seen]) -> bool:
    """Whether one of the places looks otherwise than it did."""
    return any(seen(place) != before for place, before in files.items())


def were_settled(files: Mapping[str, Seen], began: int) -> bool:
    """Whether none of the files was written when, or just before, they began to be read."""
    times = [found[0] for found in files.values() if found and isinstance(found[0], int)]
    return max(times, default=0) < began - SETTLED


def _imported() -> Iterator[str]:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and getattr(module, "__spec__", None) is not None:
            yield file
