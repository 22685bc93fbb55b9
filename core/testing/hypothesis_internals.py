"""All uses of hypothesis's private API.

Tested with hypothesis 6.151.0, 6.160.0 and 6.170.17. Fixes for newer versions belong here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hypothesis
from hypothesis import core
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.database import InMemoryExampleDatabase, choices_to_bytes
from hypothesis.internal.conjecture import providers
from hypothesis.reporting import with_reporter
from hypothesis.strategies import DataObject

__all__ = [
    "DataObject",
    "KeptCases",
    "as_database",
    "choices_of",
    "configure",
    "is_hypothesis_test",
    "reproducible",
    "set_key",
    "unreported",
    "with_body",
]

SECONDARY = b".secondary"
NOWHERE = "/dev/null/hypothesis"  # cannot be created: hypothesis works without, and a killed process leaves no folder


def is_hypothesis_test(test: Any) -> bool:
    """Whether ``test`` was made by ``@given``."""
    return hasattr(test, "hypothesis")


def configure(test: Any, *, settings: hypothesis.settings, seed: int, key: bytes) -> None:
    """Set a test's settings, seed and database key; each may be set repeatedly.

    These are the attributes that ``hypothesis.seed()`` and ``settings()`` set, which allow it only once.
    """
    test._hypothesis_internal_use_settings = settings
    test._hypothesis_internal_use_seed = seed
    set_key(test, key)


def set_key(test: Any, key: bytes) -> None:
    """Set the database key of a test's cases."""
    test._hypothesis_internal_database_key = key


@contextmanager
def with_body(test: Any, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Inside the block, run every example of ``test`` through ``wrap(body)``."""
    handle, body = test.hypothesis, test.hypothesis.inner_test
    handle.inner_test = wrap(body)
    try:
        yield
    finally:
        handle.inner_test = body


def choices_of(data: Any) -> Any:
    """Return a running example's choices so far. ``data`` is its ``DataObject``, or has its ``conjecture_data``."""
    return data.conjecture_data.choices


def as_database(key: bytes, choices: Any) -> InMemoryExampleDatabase:
    """Return a database that holds one case: ``choices`` under ``key``."""
    database = InMemoryExampleDatabase()
    database.save(key, choices_to_bytes(choices))
    return database


class KeptCases(InMemoryExampleDatabase):
    """Failing cases by property, as hypothesis's choices: in memory during grading, then stored with the state."""

    def __init__(self, kept: dict[bytes, set[bytes]] | None = None) -> None:
        super().__init__()
        for key, values in (kept or {}).items():
            for value in values:
                self.save(key, value)

    def of(self, key: bytes) -> set[bytes]:
        """Return the cases of one property."""
        return self.data.get(key, set())

    def replace(self, key: bytes, cases: set[bytes]) -> None:
        """Replace the cases of one property."""
        self.data[key] = cases

    def to_shrink(self, key: bytes) -> KeptCases:
        """Return the cases of one property under the secondary key, so that hypothesis shrinks them.

        Hypothesis takes cases under the key itself as fully shrunk.
        """
        return KeptCases({key + SECONDARY: self.of(key)})

    def kept(self) -> dict[bytes, set[bytes]]:
        """Return the smallest failing cases of each property, for a later grading to try first."""
        return {key: set(values) for key, values in self.data.items() if values and not key.endswith(SECONDARY)}


@contextmanager
def unreported() -> Iterator[None]:
    """Inside the block, stop hypothesis from reporting failing cases and from formatting them.

    Formatting tensors would take longer than everything else together, and the judge formats cases itself.
    """
    names = [name for name in ("RepresentationPrinter", "repr_call") if hasattr(core, name)]
    made = {name: getattr(core, name) for name in names}
    for name in names:
        setattr(core, name, lambda *_args, **_kwargs: _Nothing())
    try:
        with with_reporter(lambda _: None):
            yield
    finally:
        for name, value in made.items():
            setattr(core, name, value)


class _Nothing(str):
    """An empty string that also serves as a printer without output."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Callable[..., _Nothing]:
        return lambda *_args, **_kwargs: self


@contextmanager
def reproducible() -> Iterator[None]:
    """Inside the block, a seed draws the same cases whatever modules are loaded, and hypothesis writes no files.

    Hypothesis also draws constants that it finds in the source of loaded modules outside site-packages. With an
    editable installation those include this project's modules and previously graded techniques.
    """
    from_modules = providers._get_local_constants
    providers._get_local_constants = providers.Constants  # type: ignore[attr-defined]
    providers.CONSTANTS_CACHE.cache.clear()
    set_hypothesis_home_dir(NOWHERE)
    try:
        yield
    finally:
        set_hypothesis_home_dir(None)
        providers._get_local_constants = from_modules
        providers.CONSTANTS_CACHE.cache.clear()
