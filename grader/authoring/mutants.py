"""Mutants of a solution: automatically made wrong implementations, each with one small change inside a hole.

Each mutant is one replacement in the text, located in the syntax tree, so that it can be shown as a diff. The changes
are those of mutation testing (another operator, another comparison, a dropped condition or statement) and typical
mistakes in tensor code: another axis, a missing detach, swapped operands, the wrong reduction.
"""

from __future__ import annotations

import ast
import difflib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from groundup.core.technique import Technique
from groundup.grader.judging.edits import load_equivalents
from groundup.grader.judging.exercise import holes

__all__ = ["Mutant", "Mutation", "mutants", "mutation", "sampled"]

MOST_EQUIVALENT = 0.05

BINARY: dict[type[ast.operator], tuple[str, ...]] = {
    ast.Add: ("-",), ast.Sub: ("+",), ast.Mult: ("/", "+"), ast.Div: ("*", "//"), ast.FloorDiv: ("/", "*"),
    ast.Mod: ("//",), ast.Pow: ("*",), ast.BitAnd: ("|",), ast.BitOr: ("&",),
}  # fmt: skip
COMPARISONS: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=", ">="), ast.LtE: ("<", ">"), ast.Gt: (">=", "<="), ast.GtE: (">", "<"), ast.Eq: ("!=",),
    ast.NotEq: ("==",), ast.In: ("not in",), ast.NotIn: ("in",), ast.Is: ("is not",), ast.IsNot: ("is",),
}  # fmt: skip
SYMBOLS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.BitAnd: "&", ast.BitOr: "|", ast.MatMult: "@",
}  # fmt: skip
NOT_COMMUTATIVE = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult)
COMMUTATIVE = ("add", "max", "maximum", "min", "minimum", "mul")
TAKEN_FOR_EACH_OTHER = (
    ("sum", "mean"), ("max", "min"), ("maximum", "minimum"), ("amax", "amin"), ("argmax", "argmin"), ("zeros", "ones"),
    ("zeros_like", "ones_like"), ("new_zeros", "new_ones"), ("exp", "log"), ("sqrt", "square"), ("floor", "ceil"),
    ("tril", "triu"), ("masked_fill", "where"), ("append", "extend"), ("cumsum", "cumprod"), ("cat", "stack"),
)  # fmt: skip
PASSED_OVER = (  # methods whose call can be replaced by the object they are called on
    "abs", "bool", "clamp", "clone", "contiguous", "copy", "detach", "double", "exp", "expand", "flatten", "flip",
    "float", "int", "log", "masked_fill", "permute", "repeat_interleave", "reshape", "round", "softmax", "sort",
    "sqrt", "square", "squeeze", "t", "to", "transpose", "tril", "triu", "type", "unsqueeze", "view",
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A solution with one change: its line, and the kind of change."""

    source: str
    line: int
    what: str

    def diff(self, solution: str) -> str:
        """Return the change as a diff without context."""
        lines = difflib.unified_diff(solution.splitlines(), self.source.splitlines(), lineterm="", n=0)
        return "\n".join(line for line in list(lines)[3:])


@dataclass(frozen=True)
class Mutation:
    """The results of a technique's mutants, or of a sample of them."""

    dead: int
    equivalent: int
    alive: tuple[Mutant, ...]
    stale: tuple[str, ...]
    """Equivalents whose change matches no mutant."""
    every: int
    """The number of mutants that there are."""

    @property
    def total(self) -> int:
        """The number of mutants tried."""
        return self.dead + self.equivalent + len(self.alive)

    @property
    def sound(self) -> bool:
        """Whether every mutant is detected or declared equivalent, and few are declared equivalent."""
        return not self.alive and not self.stale and self.equivalent <= MOST_EQUIVALENT * max(self.total, 20)


def mutation(
    technique: Technique,
    passes: Callable[[Sequence[str]], Sequence[bool]],
    *,
    sample: int | None = None,
    seed: int = 0,
) -> Mutation:
    """Test the mutants of the technique's solution, or ``sample`` of them; ``passes`` says which sources pass.

    Raises PluginProblem for an equivalent that does not apply to the solution.
    """
    path = technique.files.solution
    solution = path.read_text(encoding="utf-8")
    every = mutants(solution)
    shapes = {m.source: ast.dump(ast.parse(m.source)) for m in every}
    aside = {ast.dump(ast.parse(e.apply(solution, str(path)))): e.edit[1] for e in load_equivalents(technique)}
    stale = tuple(new for shape, new in aside.items() if shape not in shapes.values())
    tried = sampled(every, sample, seed)
    different = [m for m in tried if shapes[m.source] not in aside]
    alive = tuple(m for m, passed in zip(different, passes([m.source for m in different]), strict=True) if passed)
    return Mutation(len(different) - len(alive), len(tried) - len(different), alive, stale, len(every))


def sampled(every: Sequence[Mutant], sample: int | None, seed: int) -> list[Mutant]:
    """Return a sample of the mutants, drawn from ``seed``; all of them if ``sample`` is None or more than there are."""
    return list(every) if sample is None else random.Random(seed).sample(every, min(sample, len(every)))


def mutants(solution: str) -> list[Mutant]:
    """Return every mutant of the holes of ``solution``, in line order; no two have the same syntax tree."""
    tree = ast.parse(solution)
    inside = [range(h.first + 1, h.last + 1) for h in holes(solution)]  # ast counts lines from 1
    text = _Text(solution)
    seen = {ast.dump(tree)}
    found = []
    for node in _walk(tree):
        line = getattr(node, "lineno", None)
        if line is None or not any(line in lines for lines in inside):
            continue
        for replaced, new, what in _changes(node, text):
            source = text.with_replaced(replaced, new)
            try:
                shape = ast.dump(ast.parse(source))
            except SyntaxError:
                continue
            if shape not in seen:
                seen.add(shape)
                found.append(Mutant(source, line, what))
    return sorted(found, key=lambda mutant: mutant.line)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yield ``node`` and its descendants, except the messages of raised exceptions, which are not graded."""
    yield node
    if not isinstance(node, (ast.Raise, ast.JoinedStr)):
        for child in ast.iter_child_nodes(node):
            yield from _walk(child)


def _changes(node: ast.AST, text: _Text) -> Iterator[tuple[ast.AST, str, str]]:
    """Yield the node to replace, its replacement, and the name of the change."""
    for kind, change in _CHANGES:
        if isinstance(node, kind):
            yield from change(node, text)


def _binary(node: ast.BinOp, text: _Text) -> Iterator[tuple[ast.AST, str, str]]:
    left, right, own = text.of(node.left), text.of(node.right), SYMBOLS.get(type(node.op), "")
    for symbol in BINARY.get(type(node.op), ()):
        yield node, f"{_bracketed(left)} {symbol} {_bracketed(right)}", f"{own} becomes {symbol}"
    if isinstance(node.op, NOT_COMMUTATIVE):
        yield node, f"{_bracketed(right)} {own} {_bracketed(left)}", "operands swapped"
    yield node, left, "right operand dropped"
    yield node, right, "left operand dropped"


def _augmented(node: ast.AugAssign, text: _Text) -> Iterator[tuple[ast.AST, str, str]]:
    target, value, symbol = text.of(node.target), text.of(node.value), SYMBOLS.get(type(node.op), "")
    for other in BINARY.get(type(node.op), ()):
        yield node, f"{target} {other}= {value}", f"{symbol}= becomes {other}="
    yield node, f"{target} = {value}", f"{symbol}= becomes ="


def _comparison(node: ast.Compare, text: _Text) -> Iterator[tuple[ast.AST, str, str]]:
    if len(node.ops) == 1:
        left, right = text.of(node.left), text.of(node.comparators[0])
        for symbol in COMPARISONS[type(node.ops[0])]:
            yield node, f"{left} {symbol} {right}", f"comparison becomes {symbol}"


def _logical(node: ast.BoolOp, text: _Text) -> Iterator[tuple[ast.AST, str, str]]:
    word = "or" if isinstance(node.op, ast.And) else "and"
    yield node, f" {word} ".join(_bracketed(text.of(v)) for v in node.values), f"becomes {word}"
    for dropped in range(len(node.values)):
        kept = [_bracketed(text.of(v)) for n, v in enumerate(node.values) if n != dropped]
        yield node, f" {'and' if word == 'or' else 'or'} ".join(kept), "condition dropped"


def _unary(node: ast.UnaryOp, text: _Text) -> Iterator[tuple[ast.AST, str, str]]:
    yield node, text.of(node.operand), "sign or negation dropped"


def _constant(node: ast.Constant, text: _Text) -> Iterator[tuple[ast.AST, str, str]]:
    value = node.value
    if isinstance(value, bool):
        yield node, str(not value), f"{value} becomes {not value}"
    elif isinstance(value, int):
        for other in (value + 1, value - 1):
            yield node, str(other), f"{value} becomes {other}"
    elif isinstance(value, float):
        for number in (2 * value, 0.0) if value else (1.0,):
            yield node, repr(number), f"{value} becomes {number}"


def _call(node: ast.Call, text: _Text) -> Iterator[tuple[ast.AST, str, str]]:
    function = node.func
    plain = [a for a in node.args if not isinstance(a, ast.Starred)]
    if len(plain) >= 2 and text.of(function).rpartition(".")[2] not in COMMUTATIVE:
        swapped = [plain[1], plain[0], *node.args[2:]]
        given = [*(text.of(a) for a in swapped), *(text.of(k) for k in node.keywords)]
        yield node, f"{text.of(function)}({', '.join(given)})", "arguments swapped"
    if isinstance(function, ast.Attribute):
        if function.attr in PASSED_OVER:
            yield node, text.of(function.value), f".{function.attr}() dropped"
        for pair in TAKEN_FOR_EACH_OTHER:
            if function.attr in pair:
                other = pair[1 - pair.index(function.attr)]
                yield function, f"{text.of(function.value)}.{other}", f"{function.attr} becomes {other}"
    if isinstance(function, ast.Name):
        for one, other in (("max", "min"), ("min", "max")):
            if function.id == one:
                yield function, other, f"{one} becomes {other}"
        if function.id in ("reversed", "sorted") and len(node.args) == 1:
            yield node, text.of(node.args[0]), f"{function.id}() dropped"
    for keyword in node.keywords:
        if keyword.arg in ("dim", "keepdim", "unbiased", "correction") and len(node.args) + len(node.keywords) > 1:
            given = [text.of(a) for a in (*node.args, *(k for k in node.keywords if k is not keyword))]
            yield node, f"{text.of(function)}({', '.join(given)})", f"{keyword.arg}= dropped"


def _slice(node: ast.Slice, text: _Text) -> Iterator[tuple[ast.AST, str, str]]:
    lower, upper = (text.of(n) if n else "" for n in (node.lower, node.upper))
    step = f":{text.of(node.step)}" if node.step else ""
    if lower:
        yield node, f":{upper}{step}", "lower bound dropped"
    if upper:
        yield node, f"{lower}:{step}", "upper bound dropped"


def _statement(node: ast.stmt, text: _Text) -> Iterator[tuple[ast.AST, str, str]]:
    lasting = isinstance(node, ast.Assign) and not any(isinstance(t, ast.Name) for t in node.targets)
    if isinstance(node, (ast.Expr, ast.AugAssign, ast.Delete, ast.Raise, ast.Continue, ast.Break)) or lasting:
        yield node, "pass", "statement dropped"


def _branch(node: ast.If | ast.IfExp | ast.While, text: _Text) -> Iterator[tuple[ast.AST, str, str]]:
    if not isinstance(node, ast.While):
        yield node.test, "True", "condition always true"
    yield node.test, "False", "condition never true"


_CHANGES: tuple[tuple[Any, Any], ...] = (
    (ast.BinOp, _binary), (ast.AugAssign, _augmented), (ast.Compare, _comparison), (ast.BoolOp, _logical),
    (ast.UnaryOp, _unary), (ast.Constant, _constant), (ast.Call, _call), (ast.Slice, _slice), (ast.stmt, _statement),
    ((ast.If, ast.IfExp, ast.While), _branch),
)  # fmt: skip


def _bracketed(expression: str) -> str:
    """Return ``expression`` as an operand: in parentheses, unless it binds tighter than every operator."""
    try:
        node = ast.parse(expression, mode="eval").body
    except SyntaxError:
        return f"({expression})"  # it spans several lines
    tight = (ast.Name, ast.Constant, ast.Call, ast.Attribute, ast.Subscript, ast.List, ast.Dict)
    return expression if isinstance(node, tight) else f"({expression})"


class _Text:
    """A source text, with the positions of its syntax nodes."""

    def __init__(self, source: str) -> None:
        self.raw = source.encode()
        self.starts = [0]
        for line in self.raw.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def span(self, node: Any) -> tuple[int, int]:
        """Return the byte offsets of the start and the end of ``node``."""
        return self.starts[node.lineno - 1] + node.col_offset, self.starts[node.end_lineno - 1] + node.end_col_offset

    def of(self, node: ast.AST) -> str:
        """Return the text of ``node``."""
        begin, end = self.span(node)
        return self.raw[begin:end].decode()

    def with_replaced(self, node: ast.AST, new: str) -> str:
        """Return the source with ``node`` replaced by ``new``; an expression gets parentheses where it needs them."""
        begin, end = self.span(node)
        if isinstance(node, ast.expr) and not isinstance(node, ast.Slice):
            new = _bracketed(new)
        return (self.raw[:begin] + new.encode() + self.raw[end:]).decode()
