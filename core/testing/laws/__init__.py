"""What holds of every implementation of an interface, written once.

Each module holds the laws of one interface, and a ``Setting``: what a technique says of itself, so that the laws can
be tried on it (how it is constructed, which shapes it takes, how exact it is). A properties file makes its properties
of them::

    from groundup.core.testing.laws import kv_cache as laws

    CACHE = laws.Setting(construct=..., tolerance=EXACT)
    test_sequences_do_not_mix = laws.test_sequences_do_not_mix(CACHE, hole=1)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from groundup.core.testing.marks import about as mark_about
from groundup.core.testing.marks import after as mark_after
from groundup.core.testing.marks import claim as mark_claim
from groundup.core.testing.marks import hole as mark_hole
from groundup.core.testing.marks import marks_of
from groundup.core.testing.marks import points as mark_points

__all__ = ["Law", "Property", "law"]

SettingT = TypeVar("SettingT")
Property = Callable[..., None]


class Law(Generic[SettingT]):
    """A claim about every implementation of an interface. Called with a technique's setting it gives a property."""

    def __init__(self, build: Callable[[SettingT], Property], claim: dict[str, str]) -> None:
        self.name, self.claim, self.build = build.__name__, claim, build

    def __call__(
        self,
        setting: SettingT,
        *,
        hole: int | None = None,
        points: float = 1.0,
        after: Property | tuple[Property, ...] = (),
        claim: dict[str, str] | None = None,
    ) -> Property:
        """Return the property that states this law of one technique, to be assigned to the law's own name.

        ``hole``, ``points`` and ``after`` mark it as the decorators of those names do; ``claim`` says it in words that
        suit the technique better, by language.
        """
        property = self.build(setting)
        property.__name__ = property.__qualname__ = self.name
        said = claim or self.claim
        property = mark_claim(said["en"], **{lang: text for lang, text in said.items() if lang != "en"})(property)
        property = mark_points(points)(property)
        if (topic := marks_of(self.build).topic) is not None:
            property = mark_about(topic)(property)
        if hole is not None:
            property = mark_hole(hole)(property)
        earlier = after if isinstance(after, tuple) else (after,)
        return mark_after(*earlier)(property)


def law(en: str, **translations: str) -> Callable[[Callable[[SettingT], Property]], Law[SettingT]]:
    """Make a law of a function from a setting to a property: ``@law("What it claims.", zh="...")``.

    ``@about`` on the function marks what the property speaks of alone.
    """

    def decorate(build: Callable[[SettingT], Property]) -> Law[SettingT]:
        return Law(build, {"en": en, **translations})

    return decorate
