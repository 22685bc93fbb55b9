"""Evaluates arithmetic over named numbers, given as text. Nothing but arithmetic is accepted."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Formula"]

LONGEST = 400  # characters
MOST_BITS = 2048  # of a power of integers; arithmetic on larger ones would be slow

FUNCTIONS: dict[str, Callable[..., float]] = {
    "min": min, "max": max, "ceil": math.ceil, "floor": math.floor, "log2": math.log2, "sqrt": math.sqrt,
    "exp": math.exp,
}  # fmt: skip
SEVERAL = ("min", "max")


def _power(base: float, exponent: float) -> float:
    if isinstance(base, int) and isinstance(exponent, int) and abs(base).bit_length() * exponent > MOST_BITS:
        raise OverflowError("the power is too large")
    result = base**exponent
    if isinstance(result, complex):
        raise ValueError("a fractional power of a negative number")
    return result  # type: ignore[no-any-return]


OPERATORS: dict[type[ast.operator] | type[ast.unaryop], Callable[..., float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: _power,
    ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip


class Formula:
    """An expression of numbers, names, ``+ - * / // % **``, parentheses and the functions in ``FUNCTIONS``."""

    def __init__(self, text: str) -> None:
        """Parse ``text``. Raises ValueError if it is not such an expression."""
        if len(text) > LONGEST:
            raise ValueError(f"longer than {LONGEST} characters")
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ValueError(f"{text!r} is no expression") from error
        self.text = text
        self.names: frozenset[str] = frozenset(_names(self._tree))
        """The names whose values the expression needs."""

    def __call__(self, values: Mapping[str, float]) -> float:
        """Return the expression's value. Raises ValueError if it is undefined or not finite."""
        try:
            result = _evaluated(self._tree, values)
            if not math.isfinite(result):
                raise OverflowError("the result is not finite")
        except (ArithmeticError, ValueError) as error:
            raise ValueError(f"{self.text!r} has no value: {error}") from error
        return result


def _names(tree: ast.expr) -> set[str]:
    """Return the names in ``tree``. Raises ValueError if it holds anything but arithmetic."""
    match tree:
        case ast.Constant(value=value) if type(value) in (int, float):
            return set()
        case ast.Name(id=name) if name not in FUNCTIONS:
            return {name}
        case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
            return _names(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return _names(left) | _names(right)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            if len(args) < 2 if name in SEVERAL else len(args) != 1:
                raise ValueError(f"{name}() takes {'two numbers or more' if name in SEVERAL else 'one number'}")
            return set().union(*(_names(a) for a in args))
    raise ValueError(f"{ast.unparse(tree)!r} is not arithmetic; there are + - * / // % ** and {', '.join(FUNCTIONS)}")


def _evaluated(tree: Any, values: Mapping[str, float]) -> float:
    match tree:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=op, operand=operand):
            return OPERATORS[type(op)](_evaluated(operand, values))
        case ast.BinOp(left=left, op=op, right=right):
            return OPERATORS[type(op)](_evaluated(left, values), _evaluated(right, values))
        case ast.Call(func=ast.Name(id=name), args=args):
            return FUNCTIONS[name](*(_evaluated(a, values) for a in args))
    raise AssertionError(f"not arithmetic: {tree!r}")
