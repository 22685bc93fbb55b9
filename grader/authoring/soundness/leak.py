"""Rule: the exercise shows nothing of what its holes want: not in code, not in a comment, not in a docstring."""

from __future__ import annotations

import ast
import io
import re
import textwrap
import tokenize
from collections.abc import Iterator

from groundup.core.technique import Technique
from groundup.grader.authoring.soundness.places import Found
from groundup.grader.judging.exercise import holes

LEAST = 7  # nodes of a syntax tree; anything smaller, such as 'return x' or 'i += 1', stands in many places by chance
OPERATIONS = (ast.BinOp, ast.BoolOp, ast.Call, ast.Compare, ast.UnaryOp)
FEWEST_OPERATIONS = 2  # with the lookups, of which alone a statement says nothing


def check(technique: Technique, solution: str, exercise: str) -> Found:
    """Find places in the exercise that hold a statement of a hole's body, up to names and spacing."""
    shown = list(_shown(exercise))
    problems = []
    count = 0
    for hole in holes(solution, str(technique.files.solution)):
        body = textwrap.dedent("\n".join(solution.splitlines()[hole.first : hole.last]))
        for statement, shapes in _wanted(body):
            count += 1
            if found := next((line for line, shape in shown if shape in shapes), None):
                problems.append(
                    f"{technique.files.exercise}:{found}: this shows what hole {hole.number} wants, up to names: "
                    f"{statement!r}. Say it in words, or compute it there in another way"
                )
    return f"{count} statements", problems


def _wanted(body: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each statement of a hole with its shapes: the statement's, and that of the value it computes."""
    for node in ast.walk(ast.parse(body)):
        if isinstance(node, ast.stmt) and not hasattr(node, "body"):
            value = getattr(node, "value", None)
            shapes = {_shape(part) for part in (node, value) if part is not None and _says_something(part)}
            if shapes:
                yield ast.unparse(node), shapes


def _shown(exercise: str) -> Iterator[tuple[int, str]]:
    """Yield line and shape of each statement and expression in the exercise's code, comments and strings."""
    for node in ast.walk(ast.parse(exercise)):
        if isinstance(node, (ast.stmt, ast.expr)) and not hasattr(node, "body") and _says_something(node):
            yield node.lineno, _shape(node)
    for token in tokenize.generate_tokens(io.StringIO(exercise).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            for number, line in enumerate(token.string.splitlines()):
                for text in _pieces(line):
                    for tree in _parsed(text):
                        yield token.start[0] + number, _shape(tree)


def _pieces(line: str) -> Iterator[str]:
    """Yield the parts of a line of prose that may be code: the line, what is quoted, what follows a colon or a verb."""
    line = line.strip().strip("#").strip().strip("\"'").rstrip(".;,")
    yield line
    yield from re.findall(r"`+([^`]+)`+", line)
    for mark in (":", " is ", "return ", "Return "):
        if mark in line:
            yield line.split(mark, 1)[1].strip()


def _parsed(text: str) -> Iterator[ast.AST]:
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return
    for statement in body:
        for part in (statement, getattr(statement, "value", None)):
            if part is not None and _says_something(part):
                yield part


def _says_something(node: ast.AST) -> bool:
    inside = [n for n in ast.walk(node) if not isinstance(n, ast.expr_context)]
    operations, lookups = (sum(isinstance(n, kind) for n in inside) for kind in (OPERATIONS, ast.Subscript))
    return len(inside) >= LEAST and operations >= 1 and operations + lookups >= FEWEST_OPERATIONS


def _shape(node: ast.AST) -> str:
    """Return the syntax tree as text, with the variables numbered in the order in which they occur."""
    if isinstance(node, ast.Expr):
        node = node.value
    names: dict[str, str] = {}

    class Renamed(ast.NodeTransformer):
        def visit_Call(self, call: ast.Call) -> ast.Call:
            """Keep the name of what is called."""
            func = call.func if isinstance(call.func, ast.Name) else self.visit(call.func)
            args, keywords = ([self.visit(part) for part in parts] for parts in (call.args, call.keywords))
            return ast.Call(func, args, keywords)

        def visit_Name(self, found: ast.Name) -> ast.Name:
            return ast.Name(names.setdefault(found.id, f"v{len(names)}"), found.ctx)

    return ast.dump(Renamed().visit(ast.parse(ast.unparse(node))))
