from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from groundup.core.plain import field_names, is_plain, plain, plain_name, plain_type


@plain
@dataclass(frozen=True, eq=False)
class Point:
    x: float
    y: float = 0.0


class Further(Point):
    """Not registered."""


def test_a_registered_class_is_found_by_its_name() -> None:
    assert plain_name(Point) == f"{__name__}:Point"
    assert plain_type(plain_name(Point)) is Point
    assert field_names(Point) == ("x", "y")


def test_a_subclass_is_not_plain_because_its_parent_is() -> None:
    assert is_plain(Point)
    assert not is_plain(Further)
    assert not is_plain(int)


@dataclass(frozen=True)
class Comparing:
    x: float


@dataclass(eq=False)
class Changing:
    x: float


@dataclass(frozen=True, eq=False)
class Running:
    x: float

    def __post_init__(self) -> None:
        raise AssertionError("runs in the judge")


@pytest.mark.parametrize("cls", [Comparing, Changing, Running, int])
def test_a_class_that_would_run_code_or_change_is_refused(cls: type[Any]) -> None:
    with pytest.raises(TypeError, match=rf"^{cls.__name__} must be @dataclass\(frozen=True, eq=False\)"):
        plain(cls)
    assert not is_plain(cls)


def test_a_name_that_nobody_registered_is_none() -> None:
    with pytest.raises(KeyError):
        plain_type("os:system")


def test_the_judge_imports_nothing_on_account_of_a_name() -> None:
    name = "groundup.core.interfaces.rl:Experience"
    code = f"""
from groundup.core.plain import plain_type
try:
    plain_type({name!r})
except KeyError:
    print("unknown")
import sys
print("torch" in sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["unknown", "False"]
