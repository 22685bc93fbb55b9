"""Numbers with a unit, as people type them: ``1.7``, ``1.7e9 B``, ``1,600 MiB``, ``85 %``."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["UNITS", "NotANumber", "UnknownUnit", "convert", "read_number"]

UNITS: dict[str, tuple[str, float]] = {
    **{f"{prefix}B": ("bytes", 1000**n) for n, prefix in enumerate(("", "k", "M", "G", "T"))},
    **{f"{prefix}iB": ("bytes", 1024**n) for n, prefix in enumerate(("K", "M", "G", "T"), start=1)},
    **{f"{prefix}B/s": ("bytes a second", 1000**n) for n, prefix in enumerate(("", "k", "M", "G", "T"))},
    **{f"{prefix}FLOP": ("operations", 1000**n) for n, prefix in enumerate(("", "k", "M", "G", "T", "P"))},
    **{f"{prefix}s": ("seconds", 1000.0**-n) for n, prefix in enumerate(("", "m", "µ", "n"))},
    "us": ("seconds", 1e-6),
    "%": ("share", 0.01),
}
"""By unit name: the quantity it measures, and its factor to that quantity's base unit. kB is 1000 bytes, KiB 1024."""

_NUMBER = re.compile(
    r"(?P<number>[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)\s*(?P<unit>.*)", re.DOTALL
)
LONGEST = 60  # characters


class NotANumber(ValueError):
    """The text does not begin with a number that can be read."""


class UnknownUnit(ValueError):
    """No unit has that name, or it measures another quantity."""


def read_number(text: str) -> tuple[float, str]:
    """Return the number in ``text`` and the rest, which may be a unit. Raises NotANumber.

    Commas may only separate thousands: ``1,7`` is ambiguous and raises. So do NaN and infinity.
    """
    text = unicodedata.normalize("NFKC", text).strip().replace("\N{MINUS SIGN}", "-")
    found = _NUMBER.fullmatch(text)
    if found is None or len(text) > LONGEST or not any(c.isdigit() for c in found["number"]):
        raise NotANumber(text)
    try:
        number = float(found["number"].replace(",", ""))
    except ValueError as error:
        raise NotANumber(text) from error
    if number in (float("inf"), float("-inf")) or found["unit"][:1] in (",", "."):
        raise NotANumber(text)
    return number, found["unit"].strip()


def convert(number: float, unit: str, to: str) -> float:
    """Convert ``number`` from ``unit`` to the unit ``to``. Raises UnknownUnit if they measure different quantities."""
    unit = unit.replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}")
    if unit not in UNITS or UNITS[unit][0] != UNITS[to][0]:
        raise UnknownUnit(unit)
    return number * (UNITS[unit][1] / UNITS[to][1]) if unit != to else number
