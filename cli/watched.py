"""The files that a process has imported, and whether one of them has changed since."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping

from groundup.core.reloading import Seen, seen

__all__ = ["Watched", "have_changed", "look", "were_settled"]

SETTLED = 2_000_000_000  # ns: a file modified more recently than this may have been read half-written


class Watched:
    """The state of every imported file, of manifests and of the installed distributions.

    Properties, solutions and labs are not watched: each grade reads them anew.
    """

    def __init__(self) -> None:
        self.files: dict[str, Seen] = {}
        self.fresh = True

    def add(self, places: Iterable[str], began: int) -> None:
        """Watch the modules imported so far, and ``places``. Reading of the new ones began at ``began``, in ns."""
        added = look({*_imported(), *places} - self.files.keys())
        self.fresh = self.fresh and were_settled(added, began)
        self.files |= added

    def is_fresh(self) -> bool:
        """Check whether every file is unchanged since it was read. Once false, it stays false."""
        self.fresh = self.fresh and not have_changed(self.files)
        return self.fresh


def look(places: Iterable[str]) -> dict[str, Seen]:
    """Return the current state of each place."""
    return {place: seen(place) for place in places}


def have_changed(files: Mapping[str, Seen]) -> bool:
    """Whether the state of one of the places has changed."""
    return any(seen(place) != before for place, before in files.items())


def were_settled(files: Mapping[str, Seen], began: int) -> bool:
    """Whether all files were last written well before their reading began."""
    times = [found[0] for found in files.values() if found and isinstance(found[0], int)]
    return max(times, default=0) < began - SETTLED


def _imported() -> Iterator[str]:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and getattr(module, "__spec__", None) is not None:
            yield file
