from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from groundup.core.errors import EditProblem, PluginProblem
from groundup.core.registry import Registry
from groundup.grader.judging.edits import Edit, load_edits

SOLUTION = '''"""A solution: – λ ² 加权."""
import torch

LIMIT = 3


def outer(x, y):
    """Return x + y * 2, however."""
    é, scale = "加权平均", 2  # bytes before the match count, characters do not
    total = (x + y * scale) - 1
    if total > LIMIT:
        total = total - 1
        count = 1
    elif total < 0:
        total = -total
    else:
        total = total + 0
    try:
        check = [n for n in range(3)]
    except ValueError:
        check = []
    finally:
        done = True

    def inner(z):
        return z + y * scale

    return inner(total), sum(n * n for n in check), é


class Rule:
    def step(self, x):
        # HOLE 1/1: what a step does
        moved = x + 1
        return moved
        # END HOLE

    def other(self, x):
        return x + 1
'''


def edit(old: str, new: str, within: str = "outer") -> Edit:
    return Edit.model_validate({"kind": "misconception", "id": "wrong", "says": "w", "in": within, "edit": (old, new)})


def changed(old: str, new: str, within: str = "outer") -> list[tuple[str, str]]:
    """Return the lines that an edit changes, before and after."""
    edited = edit(old, new, within).apply(SOLUTION)
    compile(edited, "edited", "exec")
    before, after = SOLUTION.splitlines(), edited.splitlines()
    assert len(before) == len(after)
    return [(b.strip(), a.strip()) for b, a in zip(before, after, strict=True) if b != a]


# Edits that match


def test_an_expression_is_replaced_where_its_tree_stands_whatever_its_spaces_and_parentheses() -> None:
    assert changed("x+y *  scale", "x - y * scale") == [
        ("total = (x + y * scale) - 1", "total = ((x - y * scale)) - 1")
    ]


def test_a_replaced_expression_keeps_its_place_in_the_larger_one() -> None:
    (line,) = changed("x + y * scale", "x, y")
    assert line[1] == "total = ((x, y)) - 1"
    (line,) = changed("n * n", "n + 1")
    assert line[1] == "return inner(total), sum((n + 1) for n in check), é"


def test_columns_are_counted_in_bytes() -> None:
    assert changed("2", "20", "outer")[0][1].startswith('é, scale = "加权平均", (20)')
    assert changed('"加权平均"', '"平均"')[0][1].startswith('é, scale = ("平均"), 2')


def test_only_the_named_function_is_searched() -> None:
    assert changed("x + 1", "x + 2", "Rule.step") == [("moved = x + 1", "moved = (x + 2)")]
    assert changed("x + 1", "x + 2", "Rule.other") == [("return x + 1", "return (x + 2)")]
    assert changed("z + y * scale", "z", "outer.inner") == [("return z + y * scale", "return (z)")]


def test_a_whole_class_can_be_named() -> None:
    with pytest.raises(EditProblem, match="'x \\+ 1' is found 2 times in 'Rule'"):
        edit("x + 1", "x", "Rule").apply(SOLUTION)


@pytest.mark.parametrize(
    ("old", "new", "after"),
    [
        ("total = total - 1", "total = total - 2", "total = total - 2"),
        ("total = -total", "pass", "pass"),
        ("total = total + 0", "total += 1", "total += 1"),
        ("check = []", "check = [1]", "check = [1]"),
        ("done = True", "done = False", "done = False"),
        ("return inner(total), sum(n * n for n in check), é", "return None", "return None"),
    ],
    ids=["if", "elif", "else", "except", "finally", "function"],
)
def test_a_statement_is_found_in_every_kind_of_block(old: str, new: str, after: str) -> None:
    assert changed(old, new) == [(old, after)]


def test_several_statements_are_replaced_as_one_and_indented_to_fit() -> None:
    old = "total = total - 1\ncount = 1"
    new = "    if count:\n        total = 0\n    count = 2\n"
    edited = edit(old, new).apply(SOLUTION)
    assert "        if count:\n            total = 0\n        count = 2\n    elif total < 0:" in edited
    compile(edited, "edited", "exec")


def test_the_edited_solution_behaves_as_the_edit_says() -> None:
    def run(source: str) -> Any:
        module = types.ModuleType("edited")
        exec(source, module.__dict__)
        return module.outer(1, 0)[0], module.Rule().step(1)

    assert run(SOLUTION) == (0, 2)
    assert run(edit("y * scale", "y + 1", "outer.inner").apply(SOLUTION)) == (1, 2)
    assert run(edit("return moved", "return -moved", "Rule.step").apply(SOLUTION)) == (0, -2)


def test_several_edits_are_made_one_after_another() -> None:
    both = Edit.model_validate(
        {"kind": "misconception", "id": "w", "says": "w", "in": "Rule.step",
         "edits": [("x + 1", "x + 2"), ("x + 2", "x + 3")]}
    )  # fmt: skip
    assert "moved = ((x + 3))" in both.apply(SOLUTION)


def test_a_hole_is_replaced_whole_and_indented_to_fit() -> None:
    whole = Edit.model_validate(
        {"kind": "misconception", "id": "w", "says": "w", "hole": 1, "replace": "if x:\n    return 0\n\nreturn 1"}
    )
    edited = whole.apply(SOLUTION)
    assert "        # HOLE 1/1: what a step does\n        if x:\n            return 0\n\n        return 1\n" in edited
    compile(edited, "edited", "exec")


def test_an_edit_of_a_file_with_windows_line_ends_leaves_them() -> None:
    edited = edit("x + 1", "x + 2", "Rule.step").apply(SOLUTION.replace("\n", "\r\n"))
    assert edited == edit("x + 1", "x + 2", "Rule.step").apply(SOLUTION).replace("\n", "\r\n")


# Edits that do not match


@pytest.mark.parametrize(
    ("old", "new", "within", "problem"),
    [
        ("x + y", "x", "outer", "'x + y' is found 0 times in 'outer', expected once"),
        ("total", "x", "outer", "'total' is found"),
        ("y * scale", "y", "outer", "'y * scale' is found 2 times in 'outer', expected once"),
        ("x + 1", "x", "nowhere", "the solution has no 'nowhere'"),
        ("x + 1", "x", "Rule.nowhere", "the solution has no 'Rule.nowhere'"),
        ("x + 1", "x", "nowhere.step", "the solution has no 'nowhere.step'"),
        ("x + 1", "x", "step", "the solution has no 'step'"),
        ("x +", "x", "outer", "'x +' is no Python: invalid syntax"),
        ("# a comment", "x", "outer", "'# a comment' holds no code"),
        ("", "x", "outer", "'' holds no code"),
        ("x + y * scale", "x +", "outer", "is no Python"),
        ("total = -total", "", "outer", "is no Python"),
        ("def outer(x, y): pass", "pass", "outer", "found 0 times"),
    ],
)
def test_an_edit_that_does_not_fit_once_says_whose_it_is_and_why(old: str, new: str, within: str, problem: str) -> None:
    with pytest.raises(EditProblem) as raised:
        edit(old, new, within).apply(SOLUTION, "ppo.py")
    assert str(raised.value).startswith("misconception 'wrong' of ppo.py")
    assert problem in str(raised.value)


# The file that declares them


def technique(folder: Path, text: str | None) -> Any:
    path = folder / "misconceptions.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    return types.SimpleNamespace(id="toys/mean", files=types.SimpleNamespace(misconceptions=path))


GOOD = 'in = "f"\nedit = ["a", "b"]\nsays = "w"\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "toys/mean has no misconceptions.toml: expected it at "),
        ("[[misconception]\n", "Expected ']]'"),
        ("[[misconceptoin]]\nid = 'a'", "unknown table 'misconceptoin'; use [[misconception]], [[convention]], [[equ"),
        (f"[[misconception]]\n{GOOD}", "misconception 1 (no id), id: Field required"),
        (f"[[misconception]]\nid = 'A b'\n{GOOD}", "misconception 1 (A b), id: String should match pattern"),
        (f"[[misconception]]\nid = 'a'\n{GOOD}[[misconception]]\nid = 'a'\n{GOOD}", "id 'a' is given twice"),
        (f"[[misconception]]\nid = 'a'\n{GOOD}[[convention]]\nid = 'a'\n{GOOD}", "id 'a' is given twice"),
        (f"[[convention]]\nid = 'a'\n{GOOD}colour = 3", "convention 1 (a), colour: Extra inputs are not permitted"),
        ("[[misconception]]\nid = 'a'\nsays = 'w'\nin = 'f'", "give 'edit', or 'edits', or 'hole' with 'replace'"),
        ("[[misconception]]\nid = 'a'\nsays = 'w'\nhole = 1", "give 'edit', or 'edits', or 'hole' with 'replace'"),
        (f"[[misconception]]\nid = 'a'\n{GOOD}hole = 1\nreplace = 'x'", "give 'edit', or 'edits', or 'hole'"),
        ("[[misconception]]\nid = 'a'\nsays = 'w'\nedit = ['a', 'b']", "'in' must name the function"),
        ("[[misconception]]\nid = 'a'\nsays = 'w'\nin = 'f'\nedit = ['a']", "misconception 1 (a), edit"),
        ("[[misconception]]\nid = 'a'\nsays.zh = 'w'\nin = 'f'\nedit = ['a', 'b']", "a text needs its English"),
        (f"[[convention]]\nid = 'b'\n{GOOD}[[misconception]]\nid = 'a'\n{GOOD}", ""),
    ],
)  # fmt: skip
def test_a_broken_file_names_itself_the_entry_and_the_field(tmp_path: Path, text: str | None, problem: str) -> None:
    found = technique(tmp_path, text)
    if not problem:
        assert [(e.kind, e.id) for e in load_edits(found)] == [("misconception", "a"), ("convention", "b")]
        return
    with pytest.raises(PluginProblem) as raised:
        load_edits(found)
    assert problem in str(raised.value)
    assert "misconceptions.toml" in str(raised.value)


def test_an_edit_is_frozen_and_knows_one_way_to_change() -> None:
    with pytest.raises(ValidationError):
        edit("a", "b").id = "other"  # type: ignore[misc]
    assert edit("a", "b").pairs == (("a", "b"),)


@pytest.mark.parametrize("technique_", Registry().techniques.values(), ids=lambda t: t.name)
def test_every_edit_of_a_built_in_technique_fits_its_solution(technique_: Any) -> None:
    solution = technique_.files.solution.read_text(encoding="utf-8")
    edits = load_edits(technique_)
    assert edits
    texts = [e.apply(solution, technique_.id) for e in edits]
    assert solution not in texts
    assert len(set(texts)) == len(texts)
