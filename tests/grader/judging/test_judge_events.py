"""The judge's events during a grading, and what it knows before."""

from __future__ import annotations

from typing import Any

import pytest

from groundup.grader.judging.judge import Judge

TWO = """
@claim("It is right.")
@given(x=X, weight=WEIGHT)
def test_equals_the_reference(impl, reference, x, weight):
    check(impl(x, weight), reference(x, weight))


@claim("Ones weigh nothing.")
@given(x=X)
def test_ones(impl, reference, x):
    check(impl(x, ONES), reference(x, ONES))
"""
RIGHT = "def mean(x, weight):\n    return (x * weight).sum() / weight.sum()\n"
WRONG = RIGHT.replace("(x * weight)", "x")  # right only if all weights are 1
EMPTY = "def mean(x, weight):\n    raise NotImplementedError('hole 1/1: the weighted mean')\n"


def heard(judge: Judge, author: Any, source: str) -> list[tuple[str, str, str]]:
    events: list[tuple[str, str, str]] = []
    judge.grade(
        author.technique(TWO), source, "mean.py", seed=1,
        tell=lambda kind, result: events.append((kind, result.id, result.status)),
    )  # fmt: skip
    return events


def test_a_failure_is_told_at_once_and_again_with_its_smallest_case(judge: Judge, author: Any) -> None:
    assert heard(judge, author, WRONG) == [
        ("failing", "equals_the_reference", "failed"),
        ("result", "equals_the_reference", "failed"),
        ("result", "ones", "held"),
        ("result", "equals_the_reference", "failed"),
    ]


def test_what_holds_is_told_as_it_comes(judge: Judge, author: Any) -> None:
    assert heard(judge, author, RIGHT) == [("result", "equals_the_reference", "held"), ("result", "ones", "held")]


def test_an_empty_hole_is_told_as_no_failure(judge: Judge, author: Any) -> None:
    assert {(kind, status) for kind, _, status in heard(judge, author, EMPTY)} == {("result", "not_started")}


def test_a_grading_that_is_listened_to_finds_the_same(judge: Judge, author: Any) -> None:
    technique = author.technique(TWO)
    quiet = judge.grade(technique, WRONG, "mean.py", seed=3).verdict
    told = judge.grade(technique, WRONG, "mean.py", seed=3, tell=lambda kind, result: None).verdict
    assert told.properties == quiet.properties


@pytest.mark.parametrize(("source", "found"), [(WRONG, "equals_the_reference"), (RIGHT, None), ("def mean(:", None)])
def test_a_kept_case_tells_at_once_whether_it_still_fails(
    judge: Judge, author: Any, source: str, found: str | None
) -> None:
    technique = author.technique(TWO)
    cases = judge.grade(technique, WRONG, "mean.py", seed=1).cases
    still = judge.still_failing(technique, source, "mean.py", cases, seed=2)
    assert (still and still.id) == found


@pytest.mark.parametrize("key", [b"toys/mean:test_of_another_name", b"toys/mean:test_ones"], ids=["gone", "no case"])
def test_cases_that_are_none_of_a_property_any_more_are_left_out(judge: Judge, author: Any, key: bytes) -> None:
    assert judge.still_failing(author.technique(TWO), WRONG, "mean.py", {key: {b"\x00\x01"}}, seed=2) is None
