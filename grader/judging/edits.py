"""Misconceptions and conventions: named edits of a solution, located in its syntax tree."""

from __future__ import annotations

import ast
import functools
import textwrap
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from groundup.core.errors import EditProblem, PluginProblem
from groundup.core.technique import Declared, Technique, Text
from groundup.core.testing.marks import Topic
from groundup.grader.judging.exercise import with_hole

Entry = TypeVar("Entry", bound=Declared)


class Edit(Declared):
    """One named difference between an attempt and the solution."""

    kind: Literal["misconception", "convention"]
    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    says: Text
    within: str | None = Field(None, alias="in", description="function or method whose tree is searched")
    edit: tuple[str, str] | None = None
    edits: tuple[tuple[str, str], ...] = ()
    hole: int | None = None
    replace: str | None = None
    source: str | None = Field(None, description="who does it so; of a convention")
    refused: bool | None = Field(
        None, description="of a convention: whether the exercise's text fixes another one, so that it falls short"
    )
    about: Topic | None = Field(None, description="what it is about, where that is no number of the answer")

    @model_validator(mode="after")
    def _one_way_to_change(self) -> Edit:
        ways = [self.edit is not None, bool(self.edits), self.hole is not None]
        if sum(ways) != 1 or (self.hole is None) != (self.replace is None):
            raise ValueError("give 'edit', or 'edits', or 'hole' with 'replace'")
        if self.hole is None and self.within is None:
            raise ValueError("'in' must name the function that the edit is in")
        if self.kind == "misconception" and self.refused is not None:
            raise ValueError("'refused' is for conventions: a misconception always falls short")
        return self

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The replacements: pairs of old and new text."""
        return self.edits if self.edit is None else (self.edit,)

    def apply(self, solution: str, name: str = "solution") -> str:
        """Return ``solution`` with this edit made. Raises EditProblem if its old text does not match exactly once."""
        if self.hole is not None:
            edited = with_hole(solution, self.hole, self.replace or "", name)
        else:
            edited = solution
            for old, new in self.pairs:
                edited = replaced(edited, self.within or "", old, new, f"{self.kind} {self.id!r} of {name}")
        try:
            ast.parse(edited)
        except SyntaxError as error:
            raise EditProblem(
                "{kind} {id!r} of {name} is no Python: {why}", kind=self.kind, id=self.id, name=name, why=error.msg
            ) from error
        return edited


class Equivalent(Declared):
    """A change of the solution that no property should detect, and the reason."""

    within: str = Field(alias="in", description="function or method whose tree is searched")
    edit: tuple[str, str]
    why: str = Field(min_length=1)

    def apply(self, solution: str, name: str = "solution") -> str:
        """Return ``solution`` with this change made. Raises EditProblem if its old text does not match exactly once."""
        return replaced(solution, self.within, *self.edit, f"equivalent {self.edit[1]!r} of {name}")


class Right(Declared):
    """A right implementation in another style than the solution's: a file of its own, or other code for one hole."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    file: str | None = Field(None, description="path in the technique's folder")
    hole: int | None = None
    replace: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Right:
        if (self.file is None) == (self.hole is None) or (self.hole is None) != (self.replace is None):
            raise ValueError("give 'file', or 'hole' with 'replace'")
        return self

    def apply(self, technique: Technique, solution: str) -> str:
        """Return its source. Raises PluginProblem if its file is missing."""
        if self.hole is not None:
            return with_hole(solution, self.hole, self.replace or "", technique.file)
        path = technique.files.folder / (self.file or "")
        if not path.is_file():
            raise PluginProblem(
                "{path}: right {id!r} is in {file}, which is not there",
                path=technique.files.misconceptions,
                id=self.id,
                file=path,
            )
        return path.read_text(encoding="utf-8")


def load_edits(technique: Technique) -> list[Edit]:
    """Return the technique's misconceptions, then its conventions. Raises PluginProblem naming file and field."""
    path, tables = technique.files.misconceptions, _tables(technique)
    edits: list[Edit] = []
    for kind in ("misconception", "convention"):
        for number, table in enumerate(tables.get(kind, []), start=1):
            edits.append(_read(kind, number, table, path))
    ids = [e.id for e in edits]
    if twice := {i for i in ids if ids.count(i) > 1}:
        raise PluginProblem("{path}: id {id!r} is given twice", path=path, id=sorted(twice)[0])
    return edits


def load_equivalents(technique: Technique) -> list[Equivalent]:
    """Return the technique's equivalent changes of the solution. Raises PluginProblem."""
    return _entries(technique, "equivalent", Equivalent)


def load_rights(technique: Technique) -> list[Right]:
    """Return the technique's right implementations in other styles. Raises PluginProblem."""
    return _entries(technique, "right", Right)


def _entries(technique: Technique, kind: str, model: type[Entry]) -> list[Entry]:
    path = technique.files.misconceptions
    found = []
    for number, table in enumerate(_tables(technique).get(kind, []), start=1):
        try:
            found.append(model.model_validate(table))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "entry"
            raise PluginProblem(
                "{path}: {kind} {number}, {field}: {why}",
                path=path,
                kind=kind,
                number=number,
                field=field,
                why=first["msg"],
            ) from error
    return found


def _tables(technique: Technique) -> dict[str, list[dict[str, object]]]:
    path = technique.files.misconceptions
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PluginProblem(
            "{id} has no {name}: expected it at {path}", id=technique.id, name=path.name, path=path
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise PluginProblem("{path}: {why}", path=path, why=error) from error
    if unknown := set(tables) - {"misconception", "convention", "equivalent", "right"}:
        raise PluginProblem(
            "{path}: unknown table {name!r}; use [[misconception]], [[convention]], [[equivalent]] or [[right]]",
            path=path,
            name=sorted(unknown)[0],
        )
    return tables


def _read(kind: str, number: int, table: dict[str, object], path: Path) -> Edit:
    try:
        return Edit.model_validate({"kind": kind, **table})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "entry"
        raise PluginProblem(
            "{path}: {kind} {number} ({id}), {field}: {why}",
            path=path,
            kind=kind,
            number=number,
            id=table.get("id", "no id"),
            field=field,
            why=first["msg"],
        ) from error


def replaced(source: str, within: str, old: str, new: str, who: str) -> str:
    """Return ``source`` with ``new`` in place of ``old`` in the function ``within``.

    Raises EditProblem, which begins with ``who``, if ``old`` does not match exactly once.
    """
    places = _places(source, within)
    if places is None:
        raise EditProblem("{who}: the solution has no {within!r}", who=who, within=within)
    matches = _matches(places, old, who)
    if len(matches) != 1:
        raise EditProblem(
            "{who}: {old!r} is found {count} times in {within!r}, expected once",
            who=who,
            old=old,
            count=len(matches),
            within=within,
        )
    first, last = matches[0]
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    begin = starts[first.lineno - 1] + first.col_offset
    end = starts[(last.end_lineno or 0) - 1] + (last.end_col_offset or 0)
    if isinstance(first, ast.stmt):
        inserted = textwrap.indent(textwrap.dedent(new).strip(), " " * first.col_offset).lstrip()
    else:
        inserted = f"({new.strip()})"
    return (source.encode()[:begin] + inserted.encode() + source.encode()[end:]).decode()


Span = tuple[ast.expr | ast.stmt, ast.expr | ast.stmt]


@dataclass(frozen=True)
class _Places:
    """What an edit can match in a function: expressions by shape, and blocks as lists of statement shapes."""

    expressions: dict[str, list[ast.expr]]
    blocks: list[list[tuple[ast.stmt, str]]]


@functools.lru_cache(maxsize=64)
def _places(source: str, within: str) -> _Places | None:
    """Return what an edit can match in the function or class ``within``; None if there is none of that name."""
    function = _find(ast.parse(source), within)
    if function is None:
        return None
    expressions: dict[str, list[ast.expr]] = {}
    blocks = []
    for node in ast.walk(function):
        if isinstance(node, ast.expr):
            expressions.setdefault(ast.dump(node), []).append(node)
        for body in (getattr(node, block, None) for block in ("body", "orelse", "finalbody")):
            if isinstance(body, list):
                blocks.append([(statement, ast.dump(statement)) for statement in body])
    return _Places(expressions, blocks)


def _find(tree: ast.AST, qualified: str) -> ast.AST | None:
    node: ast.AST | None = tree
    for part in qualified.split("."):
        inside = ast.iter_child_nodes(node) if node is not None else ()
        named = (ast.FunctionDef, ast.ClassDef)
        node = next((child for child in inside if isinstance(child, named) and child.name == part), None)
    return node


def _matches(places: _Places, old: str, who: str) -> list[Span]:
    try:
        wanted = ast.parse(textwrap.dedent(old).strip()).body
    except SyntaxError as error:
        raise EditProblem("{who}: {old!r} is no Python: {why}", who=who, old=old, why=error.msg) from error
    if not wanted:
        raise EditProblem("{who}: {old!r} holds no code", who=who, old=old)
    if len(wanted) == 1 and isinstance(wanted[0], ast.Expr):
        return [(node, node) for node in places.expressions.get(ast.dump(wanted[0].value), ())]
    shapes = [ast.dump(statement) for statement in wanted]
    found: list[Span] = []
    for block in places.blocks:
        for at in range(len(block) - len(shapes) + 1):
            run = block[at : at + len(shapes)]
            if [shape for _, shape in run] == shapes:
                found.append((run[0][0], run[-1][0]))
    return found
