from __future__ import annotations

import ast
from typing import Any

import pytest

from groundup.core.errors import PluginProblem
from groundup.core.registry import Registry
from groundup.grader.authoring.check import Check
from groundup.grader.authoring.mutants import mutants, mutation
from groundup.grader.authoring.soundness.mistakes import shares, shares_of_mutants
from groundup.grader.judging.judge import Judge
from groundup.grader.judging.properties import Properties

SOLUTION = """import torch


def outside(x):
    return x + 1


def f(x, y, n):
    # HOLE 1/1: all of it
    {body}
    # END HOLE
    return result
"""
GAE = Registry().technique("gae")


def changed(body: str) -> dict[str, str]:
    """Return each mutant's body and name."""
    indented = body.replace("\n", "\n    ")
    solution = SOLUTION.format(body=indented)
    lines = slice(9, 9 + body.count("\n") + 1)
    return {
        "\n".join(line.removeprefix("    ") for line in m.source.splitlines()[lines]): m.what
        for m in mutants(solution)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("result = x - y", {"result = (x + y)", "result = (y - x)", "result = x", "result = y"}),
        ("result = x * (y + n)", {"result = (x / (y + n))", "result = (x + (y + n))", "result = x * ((y - n))"}),
        ("result = x <= y", {"result = (x < y)", "result = (x > y)"}),
        ("result = x and y and n", {"result = (x or y or n)", "result = (y and n)", "result = (x and y)"}),
        ("result = -x", {"result = x"}),
        ("result = not x", {"result = x"}),
        ("result = x[1:-1]", {"result = x[2:-1]", "result = x[0:-1]", "result = x[:-1]", "result = x[1:]"}),
        ("result = x * 0.5", {"result = x * 1.0", "result = x * 0.0"}),
        ("result = True", {"result = False"}),
        ("result = x.sum(dim=-1)", {"result = x.mean(dim=-1)", "result = x.sum(dim=1)"}),
        ("result = x.softmax(dim=-1)", {"result = x", "result = x.softmax(dim=-2)"}),
        ("result = x.detach()", {"result = x"}),
        ("result = torch.where(x, y, n)", {"result = torch.where(y, x, n)", "result = torch.masked_fill(x, y, n)"}),
        ("result = max(x, y)", {"result = min(x, y)"}),
        ("result = list(reversed(x))", {"result = list(x)"}),
        ("result = x if y else n", {"result = x if True else n", "result = x if False else n"}),
        ("result = 0\nresult += x", {"result = 0\nresult -= x", "result = 0\nresult = x", "result = 0\npass"}),
        ("x[0] = y\nresult = x", {"pass\nresult = x", "x[1] = y\nresult = x"}),
        ("x.append(y)\nresult = x", {"pass\nresult = x", "x.extend(y)\nresult = x"}),
        ("if x:\n    raise KeyError('at 1')\nresult = y", {"if True:\n    raise KeyError('at 1')\nresult = y"}),
        ("while x < n:\n    x += 1\nresult = x", {"while False:\n    x += 1\nresult = x"}),
    ],
)  # fmt: skip
def test_each_kind_of_change_is_made(body: str, expected: set[str]) -> None:
    assert expected <= changed(body).keys()


def test_nothing_outside_of_the_holes_is_changed() -> None:
    solution = SOLUTION.format(body="result = x * y")
    for mutant in mutants(solution):
        assert mutant.source.splitlines()[:9] == solution.splitlines()[:9]
        assert mutant.source.endswith("    # END HOLE\n    return result\n")
        assert mutant.line == 10


def test_the_words_of_an_error_are_left_alone() -> None:
    found = changed("raise ValueError(f'{n + 1} of 3')\nresult = x")
    assert set(found) == {"pass\nresult = x"}


@pytest.mark.parametrize("technique", Registry().techniques.values(), ids=lambda t: t.name)
def test_every_mutant_is_python_of_its_own(technique: Any) -> None:
    solution = technique.files.solution.read_text(encoding="utf-8")
    shapes = [ast.dump(ast.parse(m.source)) for m in mutants(solution)]
    assert len({*shapes, ast.dump(ast.parse(solution))}) == len(shapes) + 1
    assert len(shapes) >= 20


def test_a_diff_shows_the_changed_line_alone() -> None:
    solution = SOLUTION.format(body="result = x and y")
    assert mutants(solution)[0].diff(solution) == "-    result = x and y\n+    result = (x or y)"


# Which mutants survive


def test_what_passes_is_alive_and_what_is_set_aside_is_not_tried(author: Any) -> None:
    equivalent = """
[[equivalent]]
in = "mean"
edit = ["x * weight", "weight + x"]
why = "no such mutant"

[[equivalent]]
in = "mean"
edit = ["x * weight", "x / weight"]
why = "weights are 1"
"""
    technique = author.technique(misconceptions=author.misconceptions + equivalent)
    tried: list[str] = []

    def passes(sources: Sequence[str]) -> list[bool]:
        tried.extend(sources)
        return ["x + weight" in source for source in sources]

    result = mutation(technique, passes)
    assert [m.what for m in result.alive] == ["* becomes +"]
    assert not any("x / weight" in source for source in tried)
    assert (result.equivalent, result.stale) == (1, ("weight + x",))
    assert result.total == result.dead + 2 == len(tried) + 1
    assert not result.sound


def test_a_sample_is_drawn_with_its_seed() -> None:
    def tried(seed: int) -> list[str]:
        found: list[str] = []
        mutation(GAE, lambda sources: [bool(found.append(source)) for source in sources], sample=5, seed=seed)
        return found

    assert tried(1) == tried(1) != tried(2)
    assert len(tried(1)) == 5


def test_an_equivalent_without_a_reason_is_told(author: Any) -> None:
    technique = author.technique(
        misconceptions=author.misconceptions + '[[equivalent]]\nin = "mean"\nedit = ["a", "b"]\n'
    )
    with pytest.raises(PluginProblem, match=r"misconceptions\.toml: equivalent 1, why: Field required"):
        mutation(technique, lambda sources: [False] * len(sources))


def test_a_sample_of_real_mutants_dies(judge: Judge) -> None:
    check = Check(judge, GAE)
    assert mutation(GAE, lambda sources: [check.holds(s, 0, apart=True) for s in sources], sample=6).alive == ()


def test_a_matrix_says_who_finds_out_whom(judge: Judge, author: Any) -> None:
    technique = author.technique()
    check = Check(judge, technique, seeds=1)
    with check.at_work():
        mistakes, changes = shares(check), shares_of_mutants(check)
    names = set(Properties(technique).names)
    assert all(by and by.keys() <= names for by in mistakes.values())
    assert sum(bool(by) for by in changes.values()) > len(changes) / 2  # the others raise
    assert mistakes["forgets-to-divide"]["equals_the_reference"] > 0.5
    assert len(changes) > len(mistakes)
