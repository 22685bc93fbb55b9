"""The kinds symbolic, output, line, matching, estimate and free; and credit of all kinds."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from random import Random
from statistics import mean
from typing import Any

import pytest
from pydantic import ValidationError

from groundup.core.quiz.question import Asked, FieldProblem, NotAnAnswer
from groundup.plugins.question_kinds import question_types

KINDS = question_types()
BASE: dict[str, Any] = {"id": "some-id", "text": "What?", "explanation": "So.", "section": "S"}
FIELDS: dict[str, dict[str, Any]] = {
    "symbolic": {
        "variables": {"a": {"from": -2, "to": 2}, "K": {"from": 1, "to": 9, "step": 1}},
        "answer": "K * (exp(a) - 1 - a)",
        "wrong": ["K * (exp(a) - 1)", "K * a ** 2 / 2"],
    },
    "output": {
        "code": "import math\ntotal = 0\nfor x in xs:\n    total += x / 2\nprint(total, [total, 1])\n",
        "cases": [
            {"values": {"xs": [1, 2]}, "prints": "1.5 [1.5, 1]"},
            {"values": {"xs": [1, 2, 5]}, "prints": "4.0 [4.0, 1]"},
        ],
    },
    "line": {
        "code": "for t in steps:\n    delta = r[t] - v[t]\n    last = delta + gamma * last\n\n    out[t] = last\n",
        "answer": "last = delta + gamma * last",
        "right": "last = delta + gamma * lam * last",
    },
    "matching": {
        "pairs": {
            "a1": {"left": "one", "right": "uno"},
            "b1": {"left": "two", "right": "due"},
            "c1": {"left": "three", "right": "tre"},
        },
        "decoys": {"d1": "quattro"},
    },
    "estimate": {"answer": 80, "unit": "GB"},
    "free": {"rubric": ["It says a.", "It says b.", "It says c."], "answer": "Because a, b and c."},
    "multiple": {"options": {"a1": "one", "b1": "two", "c1": "three", "d1": "four"}, "answer": ["a1", "b1"]},
    "ordering": {"options": {"a1": "one", "b1": "two", "c1": "three", "d1": "four"}},
}


def made(kind: str, **changes: Any) -> Any:
    fields = {name: value for name, value in (FIELDS[kind] | changes).items() if value is not None}
    return KINDS[kind].model_validate(BASE | {"kind": kind} | fields)


def drawn(kind: str, seed: int = 1, **changes: Any) -> Asked:
    return made(kind, **changes).draw(Random(seed))


def credit(question: Asked, given: Any) -> float:
    return question.credit(question.read(given))


@pytest.mark.parametrize("kind", FIELDS)
def test_the_right_answer_is_right_and_earns_all(kind: str) -> None:
    for seed in range(5):
        question = drawn(kind, seed)
        right = question.right_answer()
        assert question.is_right(right)
        assert question.credit(right) == 1.0
        assert question.shown(right, "zh")


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize(
    "given", ["", "?", "\0", "99999", 7, -1.5, True, None, [], [1, [2]], {}, {"text": []}, "x" * 6000]
)
def test_no_input_crashes(kind: str, given: Any) -> None:
    question = drawn(kind)
    try:
        answer = question.read(given)
    except NotAnAnswer:
        return
    assert 0 <= question.credit(answer) <= 1
    assert question.is_right(answer) == (question.credit(answer) == 1)
    assert isinstance(question.shown(answer, "en"), str)


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("stored", ["", "z", 3.5, [], ["z"], ["a1=z"], {}, {"text": "x", "points": [9]}])
def test_a_stored_answer_of_another_version_is_marked_as_wrong(kind: str, stored: Any) -> None:
    question = drawn(kind)
    assert 0 <= question.credit(stored) < 1
    assert not question.is_right(stored)
    assert isinstance(question.shown(stored, "en"), str)


# Symbolic


@pytest.mark.parametrize(
    "form",
    [
        "K exp(a) - K - a K",
        "K(e^a − (1 + a))",
        "k * (1/exp(-a) - a - 1)",
        "-K*(1 + a) + exp(a + log(K))",
        "K*(exp(a/2)**2 - 1 - a)",
        "K*(exp(a) - 1 - a) * (a - 3)/(a - 3)",
    ],
)
def test_every_form_of_a_formula_is_right(form: str) -> None:
    assert credit(drawn("symbolic"), form) == 1


@pytest.mark.parametrize(
    "other",
    [
        "K*(exp(a) - 1 - 1.000000001 a)",
        "K*(a**2/2 + a**3/6 + a**4/24 + a**5/120 + a**6/720 + a**7/5040 + a**8/40320)",
        "K*(2.718281828**a - 1 - a)",
        "K*(exp(a) - 1 - a) + 0.000000000001",
        "K*(exp(abs(a)) - 1 - abs(a))",
        "K*(exp(a) - 1 - a) / (K // 10)",
        "9**9**9**9",
        "exp(exp(exp(exp(K))))",
        "3",
    ],
)
def test_a_formula_that_is_only_close_is_wrong_and_soon_refused(other: str) -> None:
    begun = time.process_time()
    assert credit(drawn("symbolic"), other) == 0
    assert time.process_time() - begun < 2


def test_a_formula_with_branches_and_cancellation_is_compared() -> None:
    question = drawn(
        "symbolic",
        variables={"r": {"from": 0.5, "to": 1.5}, "A": {"from": -2, "to": 2}},
        answer="max(-A * r, -A * clamp(r, 0.8, 1.2))",
        wrong=["-A * clamp(r, 0.8, 1.2)", "min(-A * r, -A * clamp(r, 0.8, 1.2))"],
    )
    assert credit(question, "-min(A r, A clip(r, 1 - 0.2, 1 + 0.2))") == 1
    assert credit(question, "-A*r") == 0
    small = drawn("symbolic", variables={"a": {"from": 1e-9, "to": 1e-8}}, answer="exp(a) - 1 - a", wrong=None)
    assert credit(small, "exp(a) - (1 + a)") == 1
    assert credit(small, "a**2 / 2") == 0


def test_points_where_the_right_formula_has_no_value_are_left_out() -> None:
    question = drawn("symbolic", variables={"a": {"from": -1, "to": 3}}, answer="log(a) * 2", wrong=None)
    assert 100 < len(question.points) < 200  # type: ignore[attr-defined]
    assert credit(question, "log(a^2)") == 1


# Output


@pytest.mark.parametrize(
    ("printed", "given", "right"),
    [
        ("0.5", "0.50", True),
        ("0.5", ".5", True),
        ("1e-05", "0.00001", True),
        ("3", "3.0", True),
        ("[1, 2]", "[1,2]", True),
        ("(1, 2)\n{'a': 3}", "(1,2) | {'a':3}", True),
        ("1\n2", "1|2", True),
        ("1\n2", "1\\n2", True),
        ("1 2", " 1  2 ", True),
        ("a | b", "a | b", True),
        ("-1", "\N{MINUS SIGN}1", True),
        ("1 2", "12", False),
        ("1\n2", "1 2", False),
        ("0.5", "0.5001", False),
        ("[1, 2]", "[1 2]", False),
        ("x1.50", "x1.5", False),
        ("'a'", '"a"', False),
        ("True", "true", False),
        ("1.2.30", "1.2.3", False),
    ],
)
def test_a_print_may_differ_in_blanks_and_in_the_form_of_numbers_only(printed: str, given: str, right: bool) -> None:
    question = drawn("output", code="print(1)", cases=None, prints=printed)
    assert question.is_right(question.read(given)) is right


def test_the_values_of_a_case_stand_below_the_imports() -> None:
    asked = {drawn("output", seed).text["en"] for seed in range(20)}
    assert len(asked) == 2
    assert any("```python\nimport math\nxs = [1, 2]\ntotal = 0\n" in text for text in asked)


# Line


def test_a_line_is_named_by_its_number_or_its_text_and_survives_edits() -> None:
    question = drawn("line")
    assert (
        question.read("3")
        == question.read(3)
        == question.read(" last = delta + gamma * last ")
        == question.right_answer()
    )
    assert "```python\n1  for t in steps:\n2      delta" in question.text["en"]
    assert question.explanation["en"].startswith("```diff\n- last = delta + gamma * last\n+ last = delta + gamma * lam")
    longer = drawn("line", code="import torch\n" + FIELDS["line"]["code"])
    assert longer.is_right(question.read("3"))
    for nothing in ("0", "6", "4", "three", 2.0, True):
        with pytest.raises(NotAnAnswer):
            question.read(nothing)


def test_other_lines_may_be_accepted() -> None:
    question = drawn("line", also=["delta = r[t] - v[t]"])
    assert [credit(question, number) for number in (1, 2, 3, 5)] == [0, 1, 1, 0]


# Matching


def test_pairs_are_read_in_several_forms() -> None:
    question = drawn("matching", 3)
    forms = ["1A 2B 3C", "1a2b3c", "1-A, 2-B, 3-C", "3:C 1:A 2:B", ["1A", "2B", "3C"], {"1": "A", "2": "B", "3": "C"}]
    assert len({str(question.read(form)) for form in forms}) == 1
    for nothing in ("1A 2B", "1A 1B 2C", "1A 2A 3B", "ABC", "4A 1B 2C", "1E 2A 3B", "1"):
        with pytest.raises(NotAnAnswer):
            question.read(nothing)


# Estimate and free


@pytest.mark.parametrize(
    ("given", "earns"),
    [
        ("80", 1),
        ("160", 1),
        ("40 GB", 1),
        ("74.5 GiB", 1),
        ("161", 0.5),
        ("320", 0.5),
        ("20", 0.5),
        ("321", 0),
        ("19", 0),
        ("-80", 0),
        ("0", 0),
    ],
)
def test_an_estimate_counts_by_its_factor(given: str, earns: float) -> None:
    assert credit(drawn("estimate"), given) == earns


def test_free_text_earns_the_points_that_its_writer_says() -> None:
    question = drawn("free")
    assert [say["en"] for say in question.by_oneself()] == ["It says a.", "It says b.", "It says c."]
    assert credit(question, "because") == 0
    for points, earns in (([1, 3], 2 / 3), ("1, 3", 2 / 3), ("0", 0), ("1 2 3", 1), ([], 0), (2, 1 / 3)):
        assert credit(question, {"text": "because", "points": points}) == pytest.approx(earns)
    for nothing in (
        {"text": "a", "points": [4]},
        {"text": "a", "points": "x"},
        {"points": [1]},
        {"text": "a", "more": 1},
    ):
        with pytest.raises(NotAnAnswer):
            question.read(nothing)
    assert [bool(drawn(kind).by_oneself()) for kind in FIELDS] == [kind == "free" for kind in FIELDS]


# Credit


def every(question: Any) -> Iterable[Any]:
    """Yield every answer that a blind guess may be."""
    match question.kind:
        case "multiple":
            keys = list(question.options)
            for count in range(1, len(keys) + 1):
                yield from map(list, itertools.combinations(keys, count))
        case "ordering":
            yield from map(list, itertools.permutations(question.options))
        case "matching":
            for right in itertools.permutations([*question.pairs, *question.decoys], len(question.pairs)):
                yield [f"{a}={b}" for a, b in zip(question.pairs, right, strict=True)]


@pytest.mark.parametrize(("kind", "on_average"), [("multiple", 0.2), ("ordering", 0.2), ("matching", 0.2)])
def test_a_blind_guess_earns_little(kind: str, on_average: float) -> None:
    question = drawn(kind)
    assert mean(question.credit(answer) for answer in every(question)) <= on_average


def test_taking_all_earns_nothing_and_a_part_earns_a_part() -> None:
    question = drawn("multiple")
    assert question.credit(["a1", "b1", "c1", "d1"]) == 0
    assert question.credit(["a1"]) == question.credit(["a1", "b1", "c1"]) == 0.5
    assert question.credit(["a1", "c1"]) == 0
    order = drawn("ordering")
    assert order.credit(["b1", "a1", "c1", "d1"]) == pytest.approx(2 / 3)
    assert order.credit(["d1", "c1", "b1", "a1"]) == 0
    pairs = drawn("matching")
    assert pairs.credit(["a1=a1", "b1=b1", "c1=d1"]) == pytest.approx((2 / 3 - 1 / 4) / (3 / 4))


# Files


@pytest.mark.parametrize(
    ("kind", "changes", "place", "says"),
    [
        ("symbolic", {"answer": "K * b"}, ("answer",), "'b' is no variable"),
        ("symbolic", {"answer": "K *"}, ("answer",), "no expression"),
        ("symbolic", {"answer": "K"}, (), None),
        ("symbolic", {"answer": "K", "wrong": []}, ("variables", "a"), "unused"),
        ("symbolic", {"wrong": ["K * exp(a) - K * (a + 1)"]}, ("wrong", 0), "the right formula in another form"),
        (
            "symbolic",
            {"variables": {"exp": {"from": 0, "to": 1}}, "answer": "1"},
            ("variables", "exp"),
            "is a function",
        ),
        ("symbolic", {"answer": "K * log(a - 1)", "wrong": []}, ("answer",), "narrow the ranges"),
        ("output", {"code": "print("}, ("code",), "no Python"),
        ("output", {"prints": "1"}, ("prints",), "either 'prints', or 'cases'"),
        ("output", {"cases": None}, ("prints",), "either 'prints', or 'cases'"),
        ("output", {"cases": None, "prints": " "}, ("prints",), "has to print something"),
        ("output", {"cases": [FIELDS["output"]["cases"][0]]}, ("cases",), "print different things"),
        ("output", {"code": "print(1)\n" * 41}, ("code",), "longer than 40"),
        ("line", {"answer": "last = 0"}, ("answer",), "is not in the listing"),
        ("line", {"code": FIELDS["line"]["code"] * 2}, ("answer",), "2 times"),
        ("line", {"right": "last = delta + gamma * last"}, ("right",), "should stand there"),
        ("line", {"right": "last ="}, ("right",), "no Python"),
        ("line", {"code": "a = 1\nlast = delta + gamma * last\n"}, ("code",), "4 lines or more"),
        ("line", {"also": ["nothing"]}, ("also", 0), "is not in the listing"),
        ("matching", {"decoys": {"a1": "x"}}, ("decoys", "a1"), "is a pair already"),
        ("matching", {"decoys": {"d1": "UNO"}}, ("decoys", "d1"), "reads the same"),
        ("matching", {"left": ["a1"]}, ("left",), "the order is drawn"),
        ("estimate", {"answer": -1}, ("answer",), "above 0"),
        ("estimate", {"unit": "Gb"}, ("unit",), "did you mean 'GB'"),
    ],
)
def test_an_author_s_slip_is_told_where_it_is(
    kind: str, changes: dict[str, Any], place: tuple[Any, ...], says: str | None
) -> None:
    if says is None:
        made(kind, **changes)
        return
    with pytest.raises(ValidationError, match=says) as raised:
        made(kind, **changes)
    cause = raised.value.errors()[0]["ctx"]["error"]
    assert isinstance(cause, FieldProblem)
    assert cause.path == place


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("symbolic", {"variables": {"a": {"from": 2, "to": 1}}}),
        ("symbolic", {"variables": {}}),
        ("output", {"cases": [{"values": {"1x": 1}, "prints": "1"}]}),
        ("matching", {"pairs": {"a1": {"left": "one", "right": "uno"}}}),
        ("estimate", {"within": 1}),
        ("free", {"rubric": ["only one"]}),
        ("free", {"answer": ""}),
    ],
)
def test_other_slips_are_errors_too(kind: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        made(kind, **changes)
