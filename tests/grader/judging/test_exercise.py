from __future__ import annotations

import re
import types
from pathlib import Path
from typing import Any

import pytest

from groundup.core.errors import PluginProblem
from groundup.grader.judging.exercise import emptied, hole_states, holes, stub, with_hole, with_placeholders

SOLUTION = '''"""Two holes."""
import torch


def first(x):
    # HOLE 1/2: the first step; say what comes out,
    # and how.
    y = x + 1
    if y:
        y = y * 2
    # END HOLE
    return y


class Second:
    def run(self, x):
        # HOLE 2/2: the "second" step.
        return x \\
            * 2
        # END HOLE
'''
STUB = '''"""Two holes."""
import torch


def first(x):
    # HOLE 1/2: the first step; say what comes out,
    # and how.
    raise NotImplementedError("hole 1/2: the first step")
    return y


class Second:
    def run(self, x):
        # HOLE 2/2: the "second" step.
        raise NotImplementedError("hole 2/2: the \\"second\\" step")
'''


def test_holes_are_found_in_order_with_their_titles() -> None:
    found = holes(SOLUTION)
    assert [(h.number, h.total, h.title, h.indent) for h in found] == [
        (1, 2, "the first step", "    "), (2, 2, 'the "second" step', "        "),
    ]  # fmt: skip
    lines = SOLUTION.splitlines()
    assert [lines[h.first].strip() for h in found] == ["y = x + 1", "return x \\"]
    assert [lines[h.last].strip() for h in found] == ["# END HOLE"] * 2


def test_the_stub_is_the_solution_without_its_holes_and_says_which_is_empty() -> None:
    assert stub(SOLUTION) == STUB
    module = types.ModuleType("stub")
    exec(STUB, module.__dict__)
    with pytest.raises(NotImplementedError, match=r"^hole 1/2: the first step$"):
        module.first(1)
    with pytest.raises(NotImplementedError, match=r'^hole 2/2: the "second" step$'):
        module.Second().run(1)


def test_nothing_of_the_solution_is_left_in_a_stub() -> None:
    assert "* 2" not in stub(SOLUTION)
    assert "x + 1" not in stub(SOLUTION)


@pytest.mark.parametrize("end", ["\r\n", "\n\n"])
def test_line_ends_and_empty_lines_do_not_hide_a_hole(end: str) -> None:
    assert [h.number for h in holes(SOLUTION.replace("\n", end).replace("\\" + end, " "))] == [1, 2]


def test_a_hole_may_be_filled_with_other_code() -> None:
    filled = with_hole(SOLUTION, 1, "y = 0\n\nfor n in x:\n    y += n\n")
    assert "    # and how.\n    y = 0\n\n    for n in x:\n        y += n\n    # END HOLE\n    return y" in filled
    assert "* 2" in filled
    compile(filled, "filled", "exec")


def test_a_hole_that_is_not_there_cannot_be_filled() -> None:
    with pytest.raises(PluginProblem, match=r"^ppo.py has no hole 3$"):
        with_hole(SOLUTION, 3, "pass", "ppo.py")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x = 1\n", "ppo.py marks no hole: '# HOLE 1/1: what to write' ... '# END HOLE'"),
        ("", "ppo.py marks no hole"),
        ("# HOLE 1/1: a\nx = 1\n", "ppo.py, line 1: a hole without '# END HOLE'"),
        ("y = 2\n\n# HOLE 1/1: a\n", "ppo.py, line 3: a hole without '# END HOLE'"),
        ("# END HOLE\n", "ppo.py, line 1: '# END HOLE' without a hole before it"),
        ("# HOLE 1/1: a\nx = 1\n# END HOLE\n# END HOLE", "ppo.py, line 4: '# END HOLE' without a hole before it"),
        ("# HOLE 1/2: a\nx = 1\n# HOLE 2/2: b\n# END HOLE", "ppo.py, line 3: a hole inside the hole of line 1"),
        ("# HOLE 2/2: a\nx = 1\n# END HOLE", "ppo.py: hole 2/2 stands where 1/1 should"),
        ("# HOLE 1/2: a\nx = 1\n# END HOLE", "ppo.py: hole 1/2 stands where 1/1 should"),
        ("# HOLE 1/2: a\nx = 1\n# END HOLE\n" * 2, "ppo.py: hole 1/2 stands where 2/2 should"),
        ("# HOLE 1/1: a\n# END HOLE", "ppo.py, line 1: a hole with nothing in it"),
        ("# HOLE 1/1: a\n# only words\n# END HOLE", "ppo.py, line 1: a hole with nothing in it"),
        ("# HOLE 1: a\nx = 1\n# END HOLE", "ppo.py, line 1: expected '# HOLE number/total: what to write'"),
        ("# HOLE 1/1\nx = 1\n# END HOLE", "ppo.py, line 1: expected '# HOLE number/total: what to write'"),
        ("# hole 1/1: a\nx = 1\n# END HOLE", "ppo.py, line 3: '# END HOLE' without a hole before it"),
    ],
)  # fmt: skip
def test_a_mark_that_is_off_names_its_line(text: str, problem: str) -> None:
    with pytest.raises(PluginProblem) as raised:
        holes(text, "ppo.py")
    assert str(raised.value).startswith(problem)


def technique(folder: Path) -> Any:
    (folder / "solution.py").write_text(SOLUTION)
    return types.SimpleNamespace(files=types.SimpleNamespace(solution=folder / "solution.py"))


@pytest.mark.parametrize(
    ("attempt", "filled"),
    [
        (STUB, [False, False]),
        (SOLUTION, [True, True]),
        (STUB.replace('raise NotImplementedError("hole 1/2: the first step")', "y = 1"), [True, False]),
        (STUB.replace("hole 1/2", "hole 9/9"), [True, False]),
        (STUB.replace('"hole 1/2: the first step"', "'hole 1/2: the first step'"), [False, False]),
        (STUB.replace("raise", "# raise"), [True, True]),
        (STUB.replace("raise NotImplementedError(", "raise NotImplementedError( "), [False, False]),
        (STUB.replace("\n", "\r\n"), [False, False]),
        ("", [True, True]),
    ],
)
def test_a_hole_is_empty_while_its_exception_stands_in_it(tmp_path: Path, attempt: str, filled: list[bool]) -> None:
    states = hole_states(technique(tmp_path), attempt, passed=False)
    assert [s.filled for s in states] == filled
    assert [(s.number, s.title) for s in states] == [(1, "the first step"), (2, 'the "second" step')]


def test_what_has_passed_is_filled_whatever_is_left_in_it(tmp_path: Path) -> None:
    assert [s.filled for s in hole_states(technique(tmp_path), STUB, passed=True)] == [True, True]


# Placeholders


WITH_PLACEHOLDER = SOLUTION.replace(
    '        # HOLE 2/2: the "second" step.\n',
    '        # HOLE 2/2: the "second" step.\n        # EMPTY: return x  # as is\n',
)


def test_a_placeholder_is_read_and_stays_out_of_the_stub() -> None:
    assert [h.placeholder for h in holes(WITH_PLACEHOLDER)] == [None, "return x  # as is"]
    assert [h.placeholder for h in holes(SOLUTION)] == [None, None]
    assert stub(WITH_PLACEHOLDER) == STUB
    assert with_hole(WITH_PLACEHOLDER, 2, "return 3").endswith(
        "# EMPTY: return x  # as is\n        return 3\n        # END HOLE\n"
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("return x  # as is", "", "line 18: '# EMPTY: ' is no line of Python"),
        ("return x  # as is", "return (x", "line 18: '# EMPTY: return (x' is no line of Python"),
        ("return x  # as is\n", "return x\n        # and more\n", "line 19: '# EMPTY:' stands last"),
        ("    # and how.\n", "    # EMPTY: y = x\n", "line 7: hole 1 has no placeholder"),
    ],
)
def test_a_placeholder_that_cannot_be_one_is_refused_with_its_line(old: str, new: str, says: str) -> None:
    assert old in WITH_PLACEHOLDER
    with pytest.raises(PluginProblem, match=re.escape(says)):
        holes(WITH_PLACEHOLDER.replace(old, new, 1))


# Placeholders

FILLED = """
def f(x):
    # HOLE 1/3: the double; set ``y``
    y = 2 * x
    # END HOLE
    # HOLE 2/3: the sum; set ``z``
    # EMPTY: z = 0 * y
    z = y + x
    # END HOLE
    # HOLE 3/3: the answer; return it
    return z - 1
    # END HOLE
"""


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        ('raise NotImplementedError("hole 2/3: the sum")\nreturn z\n', "z = 0 * y\nreturn z\n"),
        ("a = 3; raise NotImplementedError('hole 2/3')\n", "a = 3; z = 0 * y\n"),
        ('if x:\n    raise NotImplementedError(\n        "hole 2/3: the sum"\n    )\nb = 1\n',
         "if x:\n    z = 0 * y \\\n\\\n\nb = 1\n"),
        ('"""raise NotImplementedError("hole 2/3: the sum")"""\n', None),
        ('# raise NotImplementedError("hole 2/3: the sum")\n', None),
        ('raise NotImplementedError("hole 3/3: the answer")\n', None),
        ('raise NotImplementedError("hole 9/3")\n', None),
        ('raise ValueError("hole 2/3")\n', None),
        ('é = 1; raise NotImplementedError("hole 2/3: é")\n', "é = 1; z = 0 * y\n"),
        ("def f(:\n    raise NotImplementedError('hole 2/3')\n", None),
    ],
)  # fmt: skip
def test_a_placeholder_stands_where_the_exception_of_its_hole_stood(attempt: str, expected: str | None) -> None:
    found = with_placeholders(attempt, FILLED)
    assert found == (attempt if expected is None else expected)
    assert found.count("\n") == attempt.count("\n")
    if expected is not None:
        compile(found.replace("return z", "z"), "attempt", "exec")


def test_a_solution_is_emptied_as_an_attempt_is() -> None:
    text = emptied(FILLED, {2, 3})
    assert "z = 0 * y" in text
    assert 'raise NotImplementedError("hole 3/3: the answer")' in text
    assert "y = 2 * x" in text
    assert emptied(FILLED, ()) == FILLED
    assert holes(text)[0].title == "the double"
