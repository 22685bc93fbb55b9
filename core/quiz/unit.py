"""Numbers with a unit, as people type them: ``1.7``, ``1.7e9 B``, ``1,600 MiB``, ``85 %``."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["UNITS", "NotANumber", "UnknownUnit", "convert", "fitting", "is_unit", "read_number"]

UNITS: dict[str, str] = {
    **dict.fromkeys(("B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"), "bytes"),
    **dict.fromkeys(("B/s", "kB/s", "MB/s", "GB/s", "TB/s"), "bytes a second"),
    **dict.fromkeys(("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP"), "operations"),
    **dict.fromkeys(("s", "ms", "µs", "ns", "us"), "seconds"),
    "%": "share",
}
"""The units that quizzes mostly have, with the quantity that each measures: they are offered in messages, and known
without loading pint. pint converts them, and knows many more. kB is 1000 bytes, KiB 1024."""

_FOLDED = {name.casefold() for name in UNITS}
_ONE = r"[A-Za-zµμΩ%‰°]{1,24}(?:(?:\*\*|\^)-?[1-4])?"
_UNIT = re.compile(rf"{_ONE}(?:\s*[*/·]\s*{_ONE}){{0,4}}")
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


def is_unit(name: str) -> bool:
    """Whether numbers in ``name`` can be converted to other units of the same quantity."""
    return name in UNITS or _measure(name) is not None


def fitting(unit: str) -> list[str]:
    """Return the units that a message offers beside ``unit``: the common ones of the same quantity."""
    if unit in UNITS:
        return [name for name, quantity in UNITS.items() if quantity == UNITS[unit]]
    return [unit, *(name for name in UNITS if _alike(_measure(name), _measure(unit)))]


def convert(number: float, unit: str, to: str) -> float:
    """Convert ``number`` from ``unit`` to the unit ``to``. Raises UnknownUnit if they measure different quantities."""
    unit, to = (name.replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}") for name in (unit, to))
    if unit == to:
        return number
    if unit in UNITS and to in UNITS and UNITS[unit] != UNITS[to]:
        raise UnknownUnit(unit)
    ours, theirs = _measure(unit), _measure(to)
    if not _alike(ours, theirs):
        raise UnknownUnit(unit)
    try:
        return float(_units().Quantity(number, ours).to(theirs).magnitude)
    except Exception as error:  # temperatures and logarithms have rules of their own
        raise UnknownUnit(unit) from error


@cache
def _units() -> Any:
    """Return pint's units, with those that it lacks. Loading them takes about half a second."""
    import pint

    units: Any = pint.UnitRegistry(None, on_redefinition="ignore")  # empty, as it computes dimensions while it is made
    units.load_definitions(Path(pint.__file__).with_name("default_en.txt"))
    for definition in (
        "bit = [information]",  # pint has it without a dimension, so that 3 % could be converted to bytes
        "byte = 8 * bit = B = octet",
        "FLOP = [operation]",
    ):
        units.define(definition)
    return units


@cache
def _measure(name: str) -> Any:
    """Return pint's unit of that name, None if it has none."""
    if _UNIT.fullmatch(name) is None:  # pint would evaluate an expression of any size
        return None
    if name not in UNITS and name.casefold() in _FOLDED:  # kb is a kilobarn to pint, and kB to whoever typed it
        return None
    try:
        return _units().Unit(name.replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}").replace("·", "*"))
    except Exception:  # pint's parser raises errors of many kinds
        return None


def _alike(one: Any, other: Any) -> bool:
    """Whether two units measure the same; of those without a dimension only shares do, and no angles."""
    if one is None or other is None or one.dimensionality != other.dimensionality:
        return False
    return bool(one.dimensionality) or all(str(unit) in ("percent", "ppm", "permille", "") for unit in (one, other))
