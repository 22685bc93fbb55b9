"""Everything that Groundup uses of hypothesis and that hypothesis does not promise to keep.

Tried with hypothesis 6.151.0, 6.160.0 and 6.170.17. What breaks with a newer version is mended here.
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
NOWHERE = "/dev/null/hypothesis"  # a folder that cannot be made: hypothesis goes on without, and a kill leaves none


def is_hypothesis_test(test: Any) -> bool:
    """Whether ``test`` was made by ``@given``."""
    return hasattr(test, "hypothesis")


def configure(test: Any, *, settings: hypothesis.settings, seed: int, key: bytes) -> None:
    """Give a test its settings, its seed, and the key of its cases in the database; each may be given anew.

    The attributes are what ``hypothesis.seed()`` and ``settings()`` set; those functions allow each only once.
    """
    test._hypothesis_internal_use_settings = settings
    test._hypothesis_internal_use_seed = seed
    set_key(test, key)


def set_key(test: Any, key: bytes) -> None:
    """Have a test look for its cases in the database under ``key``."""
    test._hypothesis_internal_database_key = key


@contextmanager
def with_body(test: Any, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Have every example of ``test`` go through ``wrap(body)`` inside the block."""
    handle, body = test.hypothesis, test.hypothesis.inner_test
    handle.inner_test = wrap(body)
    try:
        yield
    finally:
        handle.inner_test = body


def choices_of(data: Any) -> Any:
    """Return the choices that a running example has made so far: ``data`` is its ``DataObject`` or its like."""
    return data.conjecture_data.choices


def as_database(key: bytes, choices: Any) -> InMemoryExampleDatabase:
    """Return a database that holds one case: these choices, under ``key``."""
    database = InMemoryExampleDatabase()
    database.save(key, choices_to_bytes(choices))
    return database


class KeptCases(InMemoryExampleDatabase):
    """Failing cases by property, as hypothesis's choices: in memory during a grading, kept in the state after it."""

    def __init__(self, kept: dict[bytes, set[bytes]] | None = None) -> None:
        super().__init__()
        for key, values in (kept or {}).items():
            for value in values:
                self.save(key, value)

    def of(self, key: bytes) -> set[bytes]:
        """Return the cases of one property."""
        return self.data.get(key, set())

    def replace(self, key: bytes, cases: set[bytes]) -> None:
        """Keep these cases of one property, and no others of it."""
        self.data[key] = cases

    def to_shrink(self, key: bytes) -> KeptCases:
        """Return the cases of one property as ones to look for smaller ones of.

        What stands under the key itself hypothesis takes for smallest already.
        """
        return KeptCases({key + SECONDARY: self.of(key)})

    def kept(self) -> dict[bytes, set[bytes]]:
        """Return what a later grading should try first: the smallest failing case of each property."""
        return {key: set(values) for key, values in self.data.items() if values and not key.endswith(SECONDARY)}


@contextmanager
def unreported() -> Iterator[None]:
    """Have hypothesis report no failing case inside the block, nor make the text of one.

    Tensors make that take longer than all else together, and the judge has a text of its own.
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
    """An empty text, and a printer that prints nothing."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Callable[..., _Nothing]:
        return lambda *_args, **_kwargs: self


@contextmanager
def reproducible() -> Iterator[None]:
    """Have a seed draw the same cases whatever modules are loaded, and nothing be written to a folder.

    Hypothesis also draws constants that it reads in the source of every module outside site-packages: with an editable
    installation those are this project's, and of other techniques graded before.
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
