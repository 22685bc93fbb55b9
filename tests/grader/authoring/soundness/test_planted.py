"""Flaws, each planted alone in a sound technique, and the rule that catches it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from groundup.core.registry import Registry
from groundup.grader.authoring.check import Check
from groundup.grader.authoring.review import items, mark_read, unread
from groundup.grader.authoring.rules import RULES
from groundup.grader.authoring.stubs import write_stub
from groundup.grader.judging.judge import Judge

NET = """

@claim("It equals the reference.", zh="等于参考实现。")
@given(x=tensors((3,)))
def test_equals_the_reference(impl, reference, x):
    {how}
"""
CLOSE = "assert_close(impl(x), reference(x), dtype=x.dtype, tolerance=Tolerance({rtol}, {atol}))"
OTHER_ORDER = """
[[right]]
id = "in-another-order"
hole = 2
replace = "result = x * factor"

[[convention]]
id = "rounds"
in = "half"
edit = ["factor * x", "(factor * x).round()"]
says = { en = "Some round.", zh = "有人取整。" }
refused = true
"""
RAREST = """

@claim("It is finite.", zh="结果有限。")
@given(x=tensors((3,)))
def test_it_is_finite(impl, x):
    assert_equal(impl(x), x / 2 if float(x[0]) != 1.5 else x)
"""
FOIL = 'FOIL = Foil(technique="toys/half", name={"en": "¼", "zh": "¼"}, misconception="a-quarter")\n\n'


def checked(toy: Any, judge: Judge, *rules: str) -> dict[str, str]:
    """Return the rules that find a problem, with the problems."""
    found = Check(judge, toy.technique, seeds=1, rules=rules, registry=toy.registry).findings()
    return {finding.rule: "\n".join(finding.problems) for finding in found if finding.problems}


def append(toy: Any, file: str, text: str) -> None:
    path = toy.folder / file
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


@pytest.fixture(autouse=True)
def sound(toy: Any) -> None:
    """Give the toy what a technique of this project has."""
    toy.spoil("properties.py", "claim, tensors", "Tolerance, assert_close, claim, tensors")
    toy.spoil("properties.py", "from hypothesis", "import torch\nfrom hypothesis")
    toy.spoil("lesson.md", "arXiv:1234.56789", "arXiv:2512.34567")
    toy.spoil("lesson.zh.md", "arXiv:1234.56789", "arXiv:2512.34567")
    toy.spoil("lab.py", "LAB = Lab(", "LAB = Lab(\n    foil=FOIL,")
    toy.spoil("lab.py", "import Figure, Lab", "import Figure, Foil, Lab")
    toy.spoil("lab.py", "LAB = Lab(", FOIL + "LAB = Lab(")
    append(toy, "properties.py", NET.format(how=CLOSE.format(rtol=1e-6, atol=1e-6)))
    append(toy, "misconceptions.toml", OTHER_ORDER)
    write_stub(toy.technique)
    toy.forget()


def test_the_technique_without_a_flaw_is_sound(toy: Any, judge: Judge) -> None:
    assert checked(toy, judge, *RULES) == {}


Plant = Callable[[Any], object]


def planted(file: str, old: str, new: str) -> Plant:
    return lambda toy: toy.spoil(file, old, new)


# ruff: noqa: E501 (a flaw a line)
FLAWS: dict[str, tuple[Plant, str, str]] = {
    "a wide tolerance": (
        planted("properties.py", CLOSE.format(rtol=1e-6, atol=1e-6), CLOSE.format(rtol=0.01, atol=0.1)),
        "properties", "equals_the_reference: 0.1 where the largest number drawn is 2",
    ),
    "a property equal bit for bit to the reference": (
        planted("properties.py", CLOSE.format(rtol=1e-6, atol=1e-6), "assert torch.equal(impl(x), reference(x))"),
        "properties", "bit for bit",
    ),
    "a clock": (
        planted("properties.py", "assert_equal(impl(x) + impl(x), x)", "assert_equal(impl(x) * 2, x)\n    import time"),
        "solution", "reads a clock (time)",
    ),
    "unseeded chance": (
        planted("properties.py", "assert_equal(impl(x) + impl(x), x)", "assert_equal(impl(x) * 2, x + 0 * torch.rand(3))"),
        "solution", "chance of its own (torch.rand)",
    ),
    "a rare case": (lambda toy: append(toy, "properties.py", RAREST), "solution", "of 4 seeds"),
    "solution and property wrong by the same factor": (
        lambda toy: [
            toy.spoil("solution.py", "factor = 0.5", "factor = 0.5 * 0.5"),
            toy.spoil("misconceptions.toml", '["0.5", "0.25"]', '["0.5 * 0.5", "0.25 * 0.25"]'),
            toy.spoil("properties.py", "impl(x) + impl(x)", "4 * impl(x)"),
        ],
        "examples", "expected 1.5",
    ),
    "a malformed address": (planted("lesson.md", "arXiv:2512.34567", "https://exam ple/x"), "sources", "is no host"),
    "an impossible paper": (planted("lesson.md", "arXiv:2512.34567", "arXiv:1213.5678"), "sources", "cannot exist"),
    "a file of a library without its version": (
        planted("__init__.py", "https://example.org/toy", "https://github.com/a/b/blob/main/toy.py"), "sources", "add seen",
    ),
    "a lab that ignores the learner's code": (
        planted("lab.py", 'half = bench.impl("toys/half")', "half = lambda x: x / 2"), "lab", "runs with a stub",
    ),
    "a lab that does not measure what was built": (
        planted("lab.py", "x = half(x)", "half(x)\n        x = x / 2"), "lab", "change nothing in it",
    ),
    "a lab that never reaches its mark": (
        planted("lab.py", "reached=float(x[0]) == 0.125", "reached=False"), "lab-full", "the reference misses the mark",
    ),
    "a lab whose mark everything reaches": (
        planted("lab.py", "reached=float(x[0]) == 0.125", "reached=True"), "lab-full", "the foil reaches the mark",
    ),
    "a lab that says it takes a hundred times as long as it does": (
        planted("lab.py", "    foil=FOIL,", "    foil=FOIL, seconds=100,"), "lab-full", "it says that a full run takes 100 s",
    ),
    "a foil that names a mistake that is not there": (
        planted("lab.py", "a-quarter", "a-third"), "lab", "the foil names the misconception 'a-third'",
    ),
    "a comment that shows the line": (
        planted(
            "solution.py", "# HOLE 2/2: the product\n    result = factor * x",
            "# a = b * c + 0 * c\n    # HOLE 2/2: the product\n    result = factor * x + 0 * x",
        ),
        "leak", "shows what hole 2 wants",
    ),
    "a helper that shows the line": (
        lambda toy: [
            toy.spoil("solution.py", "result = factor * x", "result = factor * x + 0 * x"),
            append(toy, "solution.py", "\n\ndef _helped(a, b):\n    return a * b + 0 * b\n"),
        ],
        "leak", "shows what hole 2 wants",
    ),
    "a convention that behaves as the solution": (
        planted("misconceptions.toml", '"(factor * x).round()"', '"x * factor"'), "conventions", "answers like the solution",
    ),
    "a convention that passes although it is said to be refused": (
        planted("misconceptions.toml", '"(factor * x).round()"]', '"factor * x + 0 * x.round()"]'), "conventions", "",
    ),
    "a right implementation that falls short": (
        planted("misconceptions.toml", '"result = x * factor"', '"result = x * factor + 1"'), "conventions", "falls short",
    ),
    "a mutant that is alive": (
        planted("solution.py", "result = factor * x", "result = factor * x\n    _ = max(len(x), 0)"), "mutants", "pass every",
    ),
    "a stale equivalent": (
        lambda toy: append(
            toy, "misconceptions.toml",
            '\n[[equivalent]]\nin = "half"\nedit = ["factor * x", "factor ** x"]\nwhy = "none"\n',
        ),
        "mutants", "no mutant (any more)",
    ),
    "a last hint whose code does not pass": (
        planted("__init__.py", 'Hole(hints=({"en": "x / 2", "zh": "x / 2"},)),', 'Hole(hints=("x",), code="result = x"),'),
        "hints", "",
    ),
    "a note in a code block that is not translated": (
        lambda toy: [
            toy.spoil(file, "assert 3 / 2 == 1.5", "assert 3 / 2 == 1.5  # the half of three")
            for file in ("lesson.md", "lesson.zh.md")
        ],
        "languages", "is not translated",
    ),
}  # fmt: skip


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_planted_flaw_is_caught(toy: Any, judge: Judge, flaw: str) -> None:
    plant, rule, told = FLAWS[flaw]
    plant(toy)
    found = checked(toy, judge, rule)
    assert list(found) == [rule]
    assert told in found[rule]


def test_an_empty_hint_is_told_with_its_place(toy: Any) -> None:
    toy.spoil("__init__.py", '{"en": "Half of 3?", "zh": "3 的一半？"}', '""')
    (problem,) = Registry([(toy.package, lambda: importlib.import_module(toy.package))]).problems
    assert "Hole.hints" in str(problem)
    assert toy.package in str(problem)


BY_THE_READER: dict[str, tuple[Plant, str]] = {
    "a wrong key": (planted("quiz.yaml", "answer: rest", "answer: sign"), "question what-is-lost"),
    "the same wrong formula in the quiz and in its second way": (
        lambda toy: [toy.spoil("quiz.yaml", "answer: x / 2", "answer: x / 3"),
                     toy.spoil("quiz_answers.py", "x * 0.5", "x / 3")],
        "question half-of-it",
    ),
    "a wrong number in a text block": (
        planted("lesson.md", "assert 3 / 2 == 1.5", "assert 3 / 2 != 1.6"), "numbers lesson: A worked example",
    ),
    "a Chinese hint that says the opposite": (
        planted("__init__.py", "3 的一半？", "3 的两倍？"), "translation technique.holes[1].hints[1]",
    ),
    "another source": (
        planted("__init__.py", "https://example.org/toy", "https://example.org/moved"), "source https://example.org/moved",
    ),
}  # fmt: skip


@pytest.mark.parametrize("flaw", BY_THE_READER)
def test_the_second_reader_is_asked_for_it(toy: Any, flaw: str) -> None:
    plant, key = BY_THE_READER[flaw]
    mark_read(toy.technique, toy.registry, items(toy.technique, toy.registry))
    assert unread(toy.technique, toy.registry) == []
    plant(toy)
    toy.forget()
    assert key in {item.key for item in unread(toy.technique, toy.registry)}
