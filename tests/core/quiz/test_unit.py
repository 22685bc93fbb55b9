from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.quiz.unit import UNITS, NotANumber, UnknownUnit, convert, fitting, is_unit, read_number


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("1.7", 1.7, ""),
        (" 1.7e9 ", 1.7e9, ""),
        ("1.7 GB", 1.7, "GB"),
        ("1.7GB", 1.7, "GB"),
        ("-.5", -0.5, ""),
        ("+3.", 3.0, ""),
        ("1,677,721,600 B", 1677721600.0, "B"),
        ("50 %", 50.0, "%"),
        ("12 个词元", 12.0, "个词元"),
        ("１．７ＧＢ", 1.7, "GB"),
        ("\N{MINUS SIGN}2", -2.0, ""),
        ("3e2ms", 300.0, "ms"),
        ("1e", 1.0, "e"),
    ],
)
def test_a_number_and_its_unit_are_told_apart(text: str, number: float, unit: str) -> None:
    assert read_number(text) == (number, unit)


@pytest.mark.parametrize(
    "text", ["", "GB", "-", ".", "1,7", "1,7 GB", "12,34", "1.7.3", "nan", "inf", "-inf", "1e999", "e5", "9" * 100]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(NotANumber):
        read_number(text)


@pytest.mark.parametrize(
    ("number", "unit", "to", "expected"),
    [
        (1.5625, "GiB", "GB", 1.67772160),
        (819200, "B", "KiB", 800),
        (819.2, "kB", "KiB", 800),
        (0.0163, "s", "ms", 16.3),
        (7, "µs", "ms", 0.007),
        (7, "μs", "us", 7),
        (2, "TB/s", "GB/s", 2000),
        (312, "TFLOP", "GFLOP", 312000),
        (3, "%", "%", 3),
        (500, "ppm", "%", 0.05),
        (80, "Gbit/s", "GB/s", 10),
        (1, "GiB/s", "GB/s", 1.073741824),
        (2, "min", "s", 120),
        (2, "GB/ms", "TB/s", 2),
        (3, "byte", "B", 3),
    ],
)
def test_units_of_one_kind_are_converted(number: float, unit: str, to: str, expected: float) -> None:
    assert convert(number, unit, to) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "unit", ["ms", "gb", "Gb", "Gib", "KB", "GB/s", "%", "", "tokens", "rad", "B*B", "10**9**9", "B" * 99, "degC", "dB"]
)
def test_a_unit_that_is_unknown_or_measures_something_else_is_refused(unit: str) -> None:
    with pytest.raises(UnknownUnit):
        convert(1.0, unit, "GB")


@given(number=st.floats(1e-3, 1e3), unit=st.sampled_from(sorted(UNITS)), to=st.sampled_from(sorted(UNITS)))
def test_a_conversion_and_its_inverse_cancel(number: float, unit: str, to: str) -> None:
    if UNITS[unit] == UNITS[to]:
        assert convert(convert(number, unit, to), to, unit) == pytest.approx(number, rel=1e-12)
    else:
        with pytest.raises(UnknownUnit):
            convert(number, unit, to)


@pytest.mark.parametrize(
    ("name", "known"), [("GB", True), ("Gb", False), ("W", True), ("TFLOP/s", True), ("steps", False)]
)
def test_a_unit_is_known_by_its_exact_name(name: str, known: bool) -> None:
    assert is_unit(name) is known


def test_a_message_offers_the_common_units_of_the_same_quantity() -> None:
    assert fitting("ms") == ["s", "ms", "µs", "ns", "us"]
    assert fitting("Gbit/s") == ["Gbit/s", "B/s", "kB/s", "MB/s", "GB/s", "TB/s"]


def test_angles_and_counts_are_no_shares() -> None:
    for unit in ("rad", "count", "dimensionless"):
        with pytest.raises(UnknownUnit):
            convert(1.0, unit, "%")


def test_pint_is_loaded_when_a_unit_is_converted_and_not_before() -> None:
    told = "import sys; from groundup.core.quiz.unit import convert, is_unit, read_number; "
    told += "is_unit('GB'); read_number('1 GB'); convert(1, 'GB', 'GB'); print('pint' in sys.modules); "
    told += "convert(1, 'GB', 'MB'); print('pint' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False", "True"]
