"""Holes: finds them in a solution, makes the stub, and detects which are still empty in an attempt."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Collection
from dataclasses import dataclass

from groundup.core.errors import PluginProblem
from groundup.core.technique import Technique
from groundup.grader.judging.verdict import HoleState

_OPEN = re.compile(r"^(?P<indent>\s*)# HOLE (?P<number>\d+)/(?P<total>\d+): (?P<text>.+)$")
_ALMOST = re.compile(r"^\s*# HOLE\b")
_CLOSE = re.compile(r"^\s*# END HOLE\s*$")
_PLACEHOLDER = re.compile(r"^\s*# EMPTY:(?P<code>.*)$")
_STANDS = re.compile(r"^\s*raise NotImplementedError\(\s*[\"']hole (?P<number>\d+)/\d+", re.MULTILINE)
_NAMED = re.compile(r"hole (?P<number>\d+)/\d+")


@dataclass(frozen=True)
class HoleText:
    """One marked hole of a solution. Its lines, without markers, are those with index ``first`` to ``last`` - 1.

    ``placeholder`` is one logical line that fills the hole while it is empty, so that earlier holes can be judged.
    """

    number: int
    total: int
    title: str
    indent: str
    first: int
    last: int
    placeholder: str | None = None

    @property
    def named(self) -> str:
        """Its name in the stub: ``hole 2/4: the value loss``."""
        return f"hole {self.number}/{self.total}: {self.title}"

    @property
    def raises(self) -> str:
        """The statement that replaces it in the stub."""
        return f"raise NotImplementedError({_quoted(self.named)})"


def holes(source: str, name: str = "solution") -> list[HoleText]:
    """Return the holes of a solution, in order. Raises PluginProblem naming the line of a wrong marker."""
    found: list[HoleText] = []
    lines = source.splitlines()
    at = 0
    while at < len(lines):
        mark = _OPEN.match(lines[at])
        if mark is None:
            if _ALMOST.match(lines[at]):
                raise PluginProblem(
                    "{name}, line {line}: expected '# HOLE number/total: what to write'", name=name, line=at + 1
                )
            if _CLOSE.match(lines[at]):
                raise PluginProblem(
                    "{name}, line {line}: '# END HOLE' without a hole before it", name=name, line=at + 1
                )
            at += 1
            continue
        opened = at
        at += 1
        placeholder = None
        while at < len(lines) and lines[at].strip().startswith("#") and not _CLOSE.match(lines[at]):
            if placeholder is not None:
                raise PluginProblem(
                    "{name}, line {line}: '# EMPTY:' stands last, under the hole's explanation",
                    name=name,
                    line=at + 1,
                )
            if empty := _PLACEHOLDER.match(lines[at]):
                placeholder = _one_line(empty["code"].strip(), mark, f"{name}, line {at + 1}")
            at += 1  # another line of the hole's explanation, which stays in the stub
        first = at
        while at < len(lines) and not _CLOSE.match(lines[at]):
            if _OPEN.match(lines[at]):
                raise PluginProblem(
                    "{name}, line {line}: a hole inside the hole of line {opened}",
                    name=name,
                    line=at + 1,
                    opened=opened + 1,
                )
            at += 1
        if at == len(lines):
            raise PluginProblem("{name}, line {line}: a hole without '# END HOLE'", name=name, line=opened + 1)
        if at == first:
            raise PluginProblem("{name}, line {line}: a hole with nothing in it", name=name, line=opened + 1)
        title = mark["text"].partition(";")[0].strip().rstrip(".")
        found.append(HoleText(int(mark["number"]), int(mark["total"]), title, mark["indent"], first, at, placeholder))
        at += 1
    for expected, hole in enumerate(found, start=1):
        if (hole.number, hole.total) != (expected, len(found)):
            raise PluginProblem(
                "{name}: hole {number}/{total} stands where {expected}/{count} should",
                name=name,
                number=hole.number,
                total=hole.total,
                expected=expected,
                count=len(found),
            )
    if not found:
        raise PluginProblem("{name} marks no hole: '# HOLE 1/1: what to write' ... '# END HOLE'", name=name)
    return found


def stub(source: str, name: str = "solution") -> str:
    """Return the exercise: the solution with each hole replaced by an exception that names it."""
    lines = source.splitlines()
    for hole in reversed(holes(source, name)):
        first = hole.first - (hole.placeholder is not None)
        lines[first : hole.last + 1] = [hole.indent + hole.raises]
    return "\n".join(lines) + "\n"


def with_hole(source: str, number: int, replacement: str, name: str = "solution") -> str:
    """Return the solution with the inside of one hole replaced; ``replacement`` is indented to fit."""
    lines = source.splitlines()
    for hole in holes(source, name):
        if hole.number == number:
            lines[hole.first : hole.last] = [hole.indent + line if line else "" for line in replacement.splitlines()]
            return "\n".join(lines) + "\n"
    raise PluginProblem("{name} has no hole {number}", name=name, number=number)


def hole_states(technique: Technique, attempt: str, *, passed: bool) -> tuple[HoleState, ...]:
    """Return which holes of the exercise ``attempt`` has filled. In an attempt that passed, all count as filled."""
    files = technique.files
    empty = {} if passed else empty_holes(attempt)
    return tuple(
        HoleState(number=h.number, title=h.title, filled=h.number not in empty)
        for h in holes(files.solution.read_text(encoding="utf-8"), files.solution.name)
    )


def empty_holes(attempt: str) -> dict[int, list[ast.Raise]]:
    """Return the holes still empty in ``attempt``, each with its ``raise`` statements (none if it does not parse)."""
    try:
        tree = ast.parse(attempt)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {int(mark["number"]): [] for mark in _STANDS.finditer(attempt)}
    found: dict[int, list[ast.Raise]] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Raise(exc=ast.Call(func=ast.Name(id="NotImplementedError"), args=[ast.Constant(value=str(text))])):
                if mark := _NAMED.match(text):
                    found.setdefault(int(mark["number"]), []).append(node)
    return found


def with_placeholders(attempt: str, solution: str) -> str:
    """Return ``attempt`` with the solution's placeholders in its empty holes; line numbers do not change."""
    empty, lines = empty_holes(attempt), attempt.encode().splitlines(keepends=True)
    starts = list(itertools.accumulate(map(len, lines), initial=0))
    where = [
        (starts[node.lineno - 1] + node.col_offset, starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0), h)
        for h in holes(solution)
        if h.placeholder is not None
        for node in empty.get(h.number, ())
    ]
    text = attempt.encode()
    for first, last, hole in sorted(where, key=lambda place: -place[0]):
        rest = b"\\\n" * text[first:last].count(b"\n")  # as many lines as the exception took
        text = text[:first] + (hole.placeholder or "").encode() + (b" " + rest if rest else b"") + text[last:]
    return text.decode()


def emptied(solution: str, empty: Collection[int], name: str = "solution") -> str:
    """Return ``solution`` with the holes ``empty`` replaced by their placeholders, or by the stub's ``raise``."""
    for hole in holes(solution, name):
        if hole.number in empty:
            solution = with_hole(solution, hole.number, hole.placeholder or hole.raises, name)
    return solution


def _one_line(code: str, mark: re.Match[str], where: str) -> str:
    """Return a placeholder. Raises PluginProblem if it is not one logical line of Python, or belongs to hole 1."""
    if mark["number"] == "1":
        raise PluginProblem("{where}: hole 1 has no placeholder: before it there is nothing to judge", where=where)
    try:
        ast.parse(f"def f():\n while True:\n  {code}\n")  # allows 'return' and 'continue'
    except SyntaxError as error:
        raise PluginProblem(
            "{where}: '# EMPTY: {code}' is no line of Python: {why}", where=where, code=code, why=error.msg
        ) from error
    return code


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
