"""The rule 'holes': each hole can be judged as soon as it and the holes before it are filled."""

from __future__ import annotations

from typing import Any

import pytest

from groundup.core.technique import Technique
from groundup.grader.authoring.check import Check
from groundup.grader.judging.judge import Judge

SOLUTION = """
def mean(x, weight):
    # HOLE 1/3: weighted numbers; set ``weighted``
    weighted = x * weight
    # END HOLE
    # HOLE 2/3: what they add up to; set ``total``
    # EMPTY: total = weighted[0]
    total = weighted.sum()
    # END HOLE
    # HOLE 3/3: the mean; return it
    # EMPTY: return total
    return total / weight.sum()
    # END HOLE
"""
PROPERTIES = """
@claim("Weights of zero count for nothing.")
@hole(1)
@given(x=X)
def test_zero_weighs_nothing(impl, x): check(impl(x, torch.tensor([1.0, 0.0, 0.0])), x[0])

@claim("Each number adds itself.")
@hole(2)
@given(x=X)
def test_each_adds_itself(impl, x): check(impl(x, torch.tensor([0.0, 1.0, 0.0])), x[1])

@claim("Weights may be of any size.")
@given(x=X)
def test_size(impl, x): check(impl(x, 2 * ONES), impl(x, ONES))

@given(x=X, weight=WEIGHT)
def test_equals_the_reference(impl, reference, x, weight): check(impl(x, weight), reference(x, weight))
"""
MISCONCEPTIONS = """
[[misconception]]
id = "adds-the-weights"
in = "mean"
edit = ["x * weight", "x + weight"]
says = "Weights are added."

[[misconception]]
id = "forgets-to-divide"
in = "mean"
edit = ["total / weight.sum()", "total"]
says = "The total is not divided by the weights."
"""
LATE = """
[[misconception]]
id = "doubles-the-second"
in = "mean"
edit = ["x * weight", "x * weight * torch.tensor([1.0, 2.0, 1.0])"]
says = "One number counts twice."
"""


def problems(
    judge: Judge,
    author: Any,
    *,
    properties: str = PROPERTIES,
    solution: str = SOLUTION,
    mistakes: str = MISCONCEPTIONS,
    proof: str = "",
) -> list[str]:
    manifest = author.manifest.replace(
        'holes=(Hole(hints=("Divide by what was added up.",)),)', 'holes=(Hole(hints=("a",)),) * 3'
    )
    made: Technique = author.technique(
        properties, solution="import torch\n" + solution, misconceptions=mistakes, manifest=manifest
    )
    (made.files.folder / "proof.toml").write_text(proof)
    (finding,) = Check(judge, made, seeds=1, rules=["holes"]).findings()
    return [problem.rpartition("/")[2] for problem in finding.problems]


def test_a_technique_whose_holes_are_judged_one_by_one_keeps_it(judge: Judge, author: Any) -> None:
    assert problems(judge, author) == []


def test_a_hole_that_no_property_is_marked_with_is_told(judge: Judge, author: Any) -> None:
    found = problems(judge, author, properties=PROPERTIES.replace("@hole(1)", ""))
    assert any("no property is marked @hole(1)" in problem for problem in found)


def test_a_property_that_needs_a_later_hole_is_told(judge: Judge, author: Any) -> None:
    early = PROPERTIES.replace('@claim("Weights may', '@hole(2)\n@claim("Weights may')
    found = problems(judge, author, properties=early)
    assert any("size ends as 'not_started': it needs a later hole" in problem for problem in found)


def test_a_placeholder_that_is_the_answer_is_told(judge: Judge, author: Any) -> None:
    solution = SOLUTION.replace("# EMPTY: total = weighted[0]", "# EMPTY: total = weighted.sum()")
    found = problems(judge, author, solution=solution)
    assert any("its placeholder passes every property of its own" in problem for problem in found)


@pytest.mark.parametrize(
    ("proof", "told"),
    [
        ("", "doubles-the-second, a mistake of hole 1, shows only with hole 2: add a property, or say"),
        ("[shows_from]\ndoubles-the-second = 2\n", None),
        ("[shows_from]\ndoubles-the-second = 3\n", "shows only with hole 2 and not 3"),
        ("[shows_from]\nadds-the-weights = 2\ndoubles-the-second = 2\n", "adds-the-weights shows at its own hole"),
    ],
)  # fmt: skip
def test_a_mistake_that_shows_late_is_told_or_declared(judge: Judge, author: Any, proof: str, told: str | None) -> None:
    found = problems(judge, author, mistakes=MISCONCEPTIONS + LATE, proof=proof)
    assert (told in found[0]) if told else (found == [])
    assert len(found) == (told is not None)


def test_without_placeholders_a_technique_of_others_is_left_as_it_is(judge: Judge, author: Any) -> None:
    solution = "\n".join(line for line in SOLUTION.splitlines() if "# EMPTY" not in line)
    assert problems(judge, author, properties=PROPERTIES, solution=solution) == []
