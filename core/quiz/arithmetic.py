"""Evaluates arithmetic over named numbers, given as text. Nothing but arithmetic is accepted.

The same formula is evaluated in floats, for a question's numbers, or in another kind of number: ``Arithmetic`` says how
that kind adds, divides and takes roots.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["FLOATS", "Arithmetic", "Formula"]

LONGEST = 400  # characters
MOST_BITS = 2048  # of a power of integers; arithmetic on larger ones would be slow


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


FUNCTIONS: dict[str, Callable[..., float]] = {
    "min": min, "max": max, "clamp": lambda x, low, high: min(max(x, low), high), "abs": abs,
    "ceil": math.ceil, "floor": math.floor, "sqrt": math.sqrt,
    "exp": math.exp, "log": math.log, "log2": math.log2, "tanh": math.tanh, "sigmoid": _sigmoid,
}  # fmt: skip
SEVERAL = ("min", "max")
THREE = ("clamp",)


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


@dataclass(frozen=True)
class Arithmetic:
    """One kind of number: how a literal becomes one, the operators by their node, and the functions by name."""

    number: Callable[[int | float], Any]
    operators: Mapping[type[ast.operator] | type[ast.unaryop], Callable[..., Any]]
    functions: Mapping[str, Callable[..., Any]]


FLOATS = Arithmetic(lambda value: value, OPERATORS, FUNCTIONS)


class Formula:
    """An expression of numbers, names, ``+ - * / // % **``, parentheses and the functions in ``FUNCTIONS``."""

    def __init__(self, text: str) -> None:
        """Parse ``text``. Raises ValueError if it is not such an expression."""
        if len(text) > LONGEST:
            raise ValueError(f"longer than {LONGEST} characters")
        if "\0" in text:
            raise ValueError(f"{text!r} is no expression")
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
            self.names: frozenset[str] = frozenset(_names(self._tree))
            """The names whose values the expression needs."""
        except (SyntaxError, RecursionError, MemoryError) as error:
            raise ValueError(f"{text!r} is no expression") from error
        self.text = text

    def __call__(self, values: Mapping[str, float]) -> float:
        """Return the expression's value. Raises ValueError if it is undefined or not finite."""
        return self.value(values, FLOATS)  # type: ignore[no-any-return]

    def value(self, values: Mapping[str, Any], numbers: Arithmetic) -> Any:
        """Return the value in another kind of number. Raises ValueError if it is undefined or not finite."""
        try:
            result = _evaluated(self._tree, values, numbers)
            if not math.isfinite(result):
                raise OverflowError("the result is not finite")
        except (ArithmeticError, ValueError, RecursionError) as error:
            raise ValueError(f"{self.text!r} has no value: {error}") from error
        return result

    def written(self) -> str:
        """Return the expression with the spaces and parentheses that Python's style has."""
        return ast.unparse(self._tree)


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
            fits = len(args) >= 2 if name in SEVERAL else len(args) == (3 if name in THREE else 1)
            if not fits:
                takes = {**dict.fromkeys(SEVERAL, "two numbers or more"), **dict.fromkeys(THREE, "three numbers")}
                raise ValueError(f"{name}() takes {takes.get(name, 'one number')}")
            return set().union(*(_names(a) for a in args))
    raise ValueError(f"{ast.unparse(tree)!r} is not arithmetic; there are + - * / // % ** and {', '.join(FUNCTIONS)}")


def _evaluated(tree: Any, values: Mapping[str, Any], numbers: Arithmetic) -> Any:
    match tree:
        case ast.Constant(value=int() | float() as value):
            return numbers.number(value)
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=op, operand=operand):
            return numbers.operators[type(op)](_evaluated(operand, values, numbers))
        case ast.BinOp(left=left, op=op, right=right):
            return numbers.operators[type(op)](_evaluated(left, values, numbers), _evaluated(right, values, numbers))
        case ast.Call(func=ast.Name(id=name), args=args):
            return numbers.functions[name](*(_evaluated(a, values, numbers) for a in args))
    raise AssertionError(f"not arithmetic: {tree!r}")
