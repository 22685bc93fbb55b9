"""A verdict after each hole: later holes hold their placeholders, in the attempt and in the reference."""

from __future__ import annotations

from typing import Any

import pytest

from groundup.core.technique import Technique
from groundup.grader.judging.judge import Judge
from groundup.grader.judging.verdict import Verdict

SOLUTION = """
def mean(x, weight):
    # HOLE 1/3: weighted numbers; set ``weighted``
    weighted = x * weight
    # END HOLE
    # HOLE 2/3: what they add up to; set ``total``
    # EMPTY: total = weighted.sum()
    total = weighted.sum() + 0 * weight.sum()
    # END HOLE
    # HOLE 3/3: the mean; return it
    # EMPTY: return total
    return total / weight.sum()
    # END HOLE
"""
MANIFEST_HOLES = 'holes=(Hole(hints=("Divide by what was added up.",)),)'
PROPERTIES = """
@claim("Weights of zero count for nothing.")
@hole(1)
@given(x=X)
def test_zero_weighs_nothing(impl, x): check(impl(x, torch.tensor([0.0, 0.0, 1.0])), x[2])

@claim("Equal weights of one: what is added up.")
@hole(2)
@given(x=X)
def test_signs(impl, x): check(impl(-x, ONES), -impl(x, ONES))

@given(x=X, weight=WEIGHT)
def test_equals_the_reference(impl, reference, x, weight): check(impl(x, weight), reference(x, weight))
"""
MISCONCEPTIONS = """
[[misconception]]
id = "forgets-the-weights"
in = "mean"
edit = ["x * weight", "x * 1"]
says = "The numbers are taken without their weights."

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
FIRST, SECOND, THIRD = "weighted = x * weight", "total = weighted.sum()", "return total / weight.sum()"
EMPTY = tuple(f'raise NotImplementedError("hole {n}/3: {t}")' for n, t in enumerate(
    ("weighted numbers", "what they add up to", "the mean"), start=1
))  # fmt: skip


def attempt(*lines: str) -> str:
    return "def mean(x, weight):\n" + "".join(f"    {line}\n" for line in lines)


@pytest.fixture
def technique(author: Any) -> Technique:
    manifest = author.manifest.replace(MANIFEST_HOLES, 'holes=(Hole(hints=("a",)),) * 3')
    made: Technique = author.technique(PROPERTIES, solution=SOLUTION, misconceptions=MISCONCEPTIONS, manifest=manifest)
    return made


def graded(judge: Judge, technique: Technique, *lines: str) -> Verdict:
    return judge.grade(technique, attempt(*lines), "mean.py", seed=3).verdict


def statuses(verdict: Verdict) -> list[str]:
    return [p.status for p in verdict.properties]


def test_the_solution_passes_and_nothing_is_said_of_the_stub(judge: Judge, technique: Technique) -> None:
    assert graded(judge, technique, FIRST, SECOND, THIRD).passed
    stub = graded(judge, technique, *EMPTY)
    assert (stub.outcome, statuses(stub)) == ("not_started", ["not_started"] * 3)


@pytest.mark.parametrize(
    ("lines", "expected", "waits_for"),
    [
        ((FIRST, *EMPTY[1:]), ["held", "not_started", "not_started"], "hole 2/3: what they add up to"),
        ((FIRST, SECOND, EMPTY[2]), ["held", "held", "not_started"], "hole 3/3: the mean"),
        ((FIRST, EMPTY[1], THIRD), ["held", "not_started", "not_started"], "hole 2/3: what they add up to"),
    ],
)
def test_what_is_filled_is_judged_and_the_rest_waits(
    judge: Judge, technique: Technique, lines: tuple[str, ...], expected: list[str], waits_for: str
) -> None:
    verdict = graded(judge, technique, *lines)
    assert statuses(verdict) == expected
    assert verdict.properties[-1].message == waits_for
    assert (verdict.outcome, verdict.passed) == ("fell_short", False)
    assert verdict.score == round(expected.count("held") / 3, 4)
    assert [h.filled for h in verdict.holes] == ["raise" not in line for line in lines]


@pytest.mark.parametrize(
    ("wrong", "name"), [("weighted = x", "forgets-the-weights"), ("weighted = weight + x", "adds-the-weights")]
)
def test_a_mistake_in_the_first_hole_has_its_name_while_the_others_are_empty(
    judge: Judge, technique: Technique, wrong: str, name: str
) -> None:
    verdict = graded(judge, technique, wrong, *EMPTY[1:])
    assert statuses(verdict) == ["failed", "not_started", "not_started"]
    assert [d.id for d in verdict.diagnosis] == [name]
    assert (verdict.properties[0].counterexample or {}).keys() == {"x"}


def test_two_mistakes_that_only_a_later_hole_tells_apart_are_both_told(judge: Judge, author: Any) -> None:
    manifest = author.manifest.replace(MANIFEST_HOLES, 'holes=(Hole(hints=("a",)),) * 3')
    also = """
[[misconception]]
id = "forgets-the-weights-twice"
in = "mean"
edits = [["x * weight", "x * 1"], ["total / weight.sum()", "total"]]
says = "Neither the numbers nor their total know of the weights."
"""
    technique = author.technique(PROPERTIES, solution=SOLUTION, misconceptions=MISCONCEPTIONS + also, manifest=manifest)
    verdict = graded(judge, technique, "weighted = x", *EMPTY[1:])
    told = [(d.id, d.perhaps) for d in verdict.diagnosis]
    assert told == [("forgets-the-weights", True), ("forgets-the-weights-twice", True)]


def test_the_verdict_is_on_the_learners_own_text(judge: Judge, technique: Technique) -> None:
    grading = judge.grade(technique, attempt(FIRST, *EMPTY[1:]), "mean.py", seed=3)
    assert grading.source == attempt(FIRST, *EMPTY[1:])
    assert "total = weighted.sum()" not in grading.verdict.model_dump_json()


def test_an_exception_that_is_never_reached_does_not_keep_from_passing(judge: Judge, technique: Technique) -> None:
    assert graded(judge, technique, FIRST, SECOND, THIRD, EMPTY[1], EMPTY[2]).passed
    assert graded(judge, technique, FIRST, SECOND, THIRD, *EMPTY).passed


def test_with_a_placeholder_nothing_passes_even_where_all_that_is_asked_holds(judge: Judge, author: Any) -> None:
    manifest = author.manifest.replace(MANIFEST_HOLES, 'holes=(Hole(hints=("a",)),) * 3')
    only_the_first = PROPERTIES.partition('@claim("Equal')[0]
    technique = author.technique(only_the_first, solution=SOLUTION, manifest=manifest, misconceptions=MISCONCEPTIONS)
    verdict = graded(judge, technique, FIRST, *EMPTY[1:])
    assert (statuses(verdict), verdict.outcome, verdict.passed) == (["held"], "fell_short", False)


def test_what_the_placeholder_itself_fails_waits(judge: Judge, author: Any) -> None:
    manifest = author.manifest.replace(MANIFEST_HOLES, 'holes=(Hole(hints=("a",)),) * 3')
    early = PROPERTIES.replace("@given(x=X, weight=WEIGHT)", "@hole(1)\n@given(x=X, weight=WEIGHT)").replace(
        "reference(x, weight)", "(x * weight).sum() / weight.sum()"
    )
    technique = author.technique(early, solution=SOLUTION, manifest=manifest, misconceptions=MISCONCEPTIONS)
    verdict = graded(judge, technique, FIRST, *EMPTY[1:])
    assert statuses(verdict) == ["held", "not_started", "not_started"]


def test_copies_find_the_same(server: Any, technique: Technique) -> None:
    source = attempt("weighted = x", *EMPTY[1:])
    alone, ahead = (
        Judge(server, copies=n).grade(technique, source, "mean.py", seed=3).verdict.model_dump(
            exclude={"seconds", "given_at"}
        )
        for n in (0, 1)
    )  # fmt: skip
    assert alone == ahead


def test_a_failing_case_of_an_unfinished_attempt_is_replayed(judge: Judge, technique: Technique) -> None:
    source = attempt("weighted = x", *EMPTY[1:])
    grading = judge.grade(technique, source, "mean.py", seed=3)
    again = judge.replay(technique, source, "mean.py", property="zero_weighs_nothing", seed=3, cases=grading.cases)
    assert again.result.status == "failed"
    assert judge.still_failing(technique, source, "mean.py", grading.cases, seed=4) is not None
    assert judge.still_failing(technique, attempt(FIRST, *EMPTY[1:]), "mean.py", grading.cases, seed=4) is None
