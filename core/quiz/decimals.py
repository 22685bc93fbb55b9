"""Arithmetic in 50 digits, in which two formulas that are the same agree far beyond what a typing error would leave.

Every operation is bounded: the exponents are limited, so a tower of powers overflows at once.
"""

from __future__ import annotations

import ast
import decimal
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from random import Random

from groundup.core.quiz.arithmetic import Arithmetic, Formula

__all__ = ["DECIMALS", "drawn", "same"]

_C = decimal.Context(
    prec=50,
    Emax=999_999,
    Emin=-999_999,
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)
_COARSER = decimal.Context(prec=40)  # floor(log2(8)): 8's logarithm may be a little less than 3 in the 50th digit
AGREE = Decimal("1e-25")  # relative difference; cancellation costs a few of the 50 digits
NOTHING = Decimal("1e-40")


def _finite(result: Decimal) -> Decimal:
    if not result.is_finite():
        raise OverflowError("the result is not finite")
    return result


def _power(base: Decimal, exponent: Decimal) -> Decimal:
    return Decimal(1) if exponent == 0 else _C.power(base, exponent)


def _whole(rounding: str) -> Callable[[Decimal], Decimal]:
    def rounded(x: Decimal) -> Decimal:
        return _COARSER.plus(x).to_integral_value(rounding)

    return rounded


def _remainder(a: Decimal, b: Decimal) -> Decimal:
    return _C.subtract(a, _C.multiply(b, _floor(_C.divide(a, b))))


def _log(x: Decimal) -> Decimal:
    return _finite(_C.ln(x))


def _sigmoid(x: Decimal) -> Decimal:
    e = _C.exp(-abs(x))
    return _C.divide(Decimal(1) if x >= 0 else e, _C.add(Decimal(1), e))


def _tanh(x: Decimal) -> Decimal:
    e = _C.exp(_C.multiply(Decimal(-2), abs(x)))
    size = _C.divide(_C.subtract(Decimal(1), e), _C.add(Decimal(1), e))
    return size if x >= 0 else -size


_floor = _whole(decimal.ROUND_FLOOR)
DECIMALS = Arithmetic(
    lambda value: Decimal(repr(value)),
    {
        ast.Add: _C.add, ast.Sub: _C.subtract, ast.Mult: _C.multiply, ast.Div: _C.divide,
        ast.FloorDiv: lambda a, b: _floor(_C.divide(a, b)), ast.Mod: _remainder, ast.Pow: _power,
        ast.USub: _C.minus, ast.UAdd: _C.plus,
    },
    {
        "min": min, "max": max, "clamp": lambda x, low, high: min(max(x, low), high), "abs": _C.abs,
        "ceil": _whole(decimal.ROUND_CEILING), "floor": _floor, "sqrt": _C.sqrt,
        "exp": _C.exp, "log": _log, "log2": lambda x: _C.divide(_log(x), _C.ln(Decimal(2))), "tanh": _tanh,
        "sigmoid": _sigmoid,
    },
)  # fmt: skip


def drawn(random: Random, low: float, high: float, step: float | None) -> Decimal:
    """Return a number from ``low`` to ``high``, of nine digits, or one that is a number of steps above ``low``."""
    if step is not None:
        return Decimal(repr(low)) + random.randint(0, int((high - low) / step + 1e-9)) * Decimal(repr(step))
    return Decimal(f"{random.uniform(low, high):.9g}")


def same(answer: Formula, points: Sequence[tuple[Mapping[str, Decimal], Decimal]]) -> bool:
    """Whether a formula has these values at these points."""
    for values, right in points:
        try:
            found = answer.value(values, DECIMALS)
        except ValueError:
            return False
        if abs(found - right) > max(AGREE * abs(right), NOTHING):
            return False
    return True
