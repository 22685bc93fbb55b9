from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from groundup.core.errors import AttemptRaised
from groundup.core.testing import (
    Mismatch,
    Tolerance,
    assert_close,
    assert_equal,
    assert_form,
    gradient,
    rejects,
    sum_tolerance,
)
from groundup.core.testing.compare import EXACT, watching_gradients

ONE_PERCENT = Tolerance(rtol=0.01, atol=0.0)


def mismatch(got: Any, expected: Tensor, **options: Any) -> Mismatch:
    with pytest.raises(Mismatch) as raised:
        assert_close(got, expected, **{"dtype": torch.float32, "tolerance": ONE_PERCENT} | options)
    return raised.value


# assert_close


def test_what_is_close_enough_is_accepted() -> None:
    assert_close(torch.tensor([1.0, 2.019]), torch.tensor([1.0, 2.0]), dtype=torch.float32, tolerance=ONE_PERCENT)


def test_the_first_place_that_differs_is_named() -> None:
    told = mismatch(torch.tensor([[1.0, 2.03], [3.0, 9.0]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert str(told) == "the result differs at [0, 1]"
    assert told.expected == "torch.tensor([[1.0, 2.0], [3.0, 4.0]])"
    assert told.got == "torch.tensor([[1.0, 2.03], [3.0, 9.0]])"
    assert told.where == "[0, 1]: expected 2, got 2.03"


def test_a_single_number_has_no_place() -> None:
    told = mismatch(torch.tensor(2.0), torch.tensor(1.0), what="the loss")
    assert (str(told), told.where) == ("the loss differs", None)


@pytest.mark.parametrize(
    ("got", "says", "told"),
    [
        (torch.ones(3), "the result has another shape", "shape (3,)"),
        (torch.ones(2, 1), "the result has another shape", "shape (2, 1)"),
        (torch.ones(2, dtype=torch.float64), "the result has another dtype", "torch.float64"),
        (torch.ones(2, dtype=torch.int64), "the result has another dtype", "torch.int64"),
        (None, "the result is no tensor", "None: is a 'return' missing?"),
        ([1.0, 1.0], "the result is no tensor", "[1.0, 1.0]"),
        (torch.tensor([1.0, torch.nan]), "the result differs at [1]", "torch.tensor([1.0, torch.nan])"),
        (torch.tensor([1.0, torch.inf]), "the result differs at [1]", "torch.tensor([1.0, torch.inf])"),
    ],
)
def test_what_is_of_another_kind_is_told_apart(got: Any, says: str, told: str) -> None:
    raised = mismatch(got, torch.ones(2))
    assert (str(raised), raised.got) == (says, told)


def test_nan_is_no_right_answer_even_where_it_is_expected() -> None:
    mismatch(torch.tensor([torch.nan]), torch.tensor([torch.nan]))


def test_infinity_equals_itself_alone() -> None:
    infinite = torch.tensor([torch.inf])
    assert_close(infinite, infinite, dtype=torch.float32, tolerance=EXACT)
    mismatch(-infinite, infinite)


def test_the_expected_may_be_of_a_wider_dtype() -> None:
    third = torch.tensor([1.0], dtype=torch.float64) / 3
    assert_close(third.float(), third, dtype=torch.float32, tolerance=sum_tolerance(torch.float32, 1))
    told = mismatch(third.float() * 2, third)
    assert told.expected == "torch.tensor([0.3333333])"  # in the dtype that the attempt should return


def test_empty_tensors_still_need_their_shape_and_dtype() -> None:
    empty = torch.empty(0, 3)
    assert_close(torch.empty(0, 3), empty, dtype=torch.float32, tolerance=EXACT)
    mismatch(torch.empty(3, 0), empty)
    mismatch(torch.empty(0, 3, dtype=torch.float64), empty)


def test_gradients_do_not_stand_in_the_way() -> None:
    x = torch.ones(2, requires_grad=True)
    assert_close(x * 1, x, dtype=torch.float32, tolerance=EXACT)


# assert_equal


@pytest.mark.parametrize(
    ("got", "expected"),
    [(1, 1), ("a", "a"), ([1, (2, None)], [1, (2, None)]), (torch.tensor([1, 2]), torch.tensor([1, 2]))],
)
def test_equal_values_are_accepted(got: Any, expected: Any) -> None:
    assert_equal(got, expected)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (2, 1),
        (1.0, 1),
        (True, 1),
        ((1, 2), [1, 2]),
        (None, 0),
        (torch.tensor([1, 3]), torch.tensor([1, 2])),
        (torch.tensor([1, 2], dtype=torch.int32), torch.tensor([1, 2])),
        (torch.tensor([1.0 + 2**-23]), torch.tensor([1.0])),
        (torch.tensor([1.0]), [1.0]),
    ],
)
def test_a_value_of_another_type_or_bit_is_not_equal(got: Any, expected: Any) -> None:
    with pytest.raises(Mismatch, match="the block table"):
        assert_equal(got, expected, what="the block table")


# Tolerances


def test_a_tolerance_that_lets_wrong_answers_pass_is_refused() -> None:
    Tolerance(rtol=0.01, atol=0.0)
    with pytest.raises(ValueError, match="would let wrong answers pass"):
        Tolerance(rtol=0.011, atol=0.0)
    with pytest.raises(ValueError, match="would let wrong answers pass"):
        Tolerance(rtol=0.0, atol=-1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("terms", [1, 100, 3000])
def test_a_sum_in_any_order_keeps_to_its_tolerance(dtype: torch.dtype, terms: int) -> None:
    torch.manual_seed(terms)
    numbers = torch.rand(terms, dtype=torch.float64)
    exact = numbers.sum()
    one_by_one = torch.zeros((), dtype=dtype)
    for number in numbers.to(dtype):
        one_by_one = one_by_one + number
    assert_close(one_by_one, exact, dtype=dtype, tolerance=sum_tolerance(dtype, terms))


def test_a_sum_tolerance_never_rivals_what_it_compares() -> None:
    assert sum_tolerance(torch.float32, 1000, 2.0).atol <= 0.01 * 2.0
    with pytest.raises(ValueError, match="use a wider dtype"):
        sum_tolerance(torch.float16, 100)
    with pytest.raises(ValueError, match=r"1000000 terms in torch\.float32"):
        sum_tolerance(torch.float32, 1_000_000)


# Gradients


def test_a_gradient_is_that_of_the_sum_and_zero_where_nothing_depends() -> None:
    x, y = torch.tensor([1.0, 2.0], requires_grad=True), torch.ones(3, requires_grad=True)
    to_x, to_y = gradient(x**2, [x, y])
    assert torch.equal(to_x, torch.tensor([2.0, 4.0]))
    assert torch.equal(to_y, torch.zeros(3))


def test_a_result_cut_off_from_its_inputs_is_a_mismatch() -> None:
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(Mismatch, match="carries no gradient"):
        gradient((x * 2).detach(), [x])


def test_gradients_are_watched_inside_the_block_alone() -> None:
    x = torch.ones(1, requires_grad=True)
    seen: list[list[Tensor]] = []
    with watching_gradients(seen.append):
        found = gradient(x * 3, [x])
    gradient(x * 4, [x])
    assert len(seen) == 1
    assert seen[0] is found


# rejects


class ShapeError(ValueError):
    pass


@pytest.mark.parametrize(
    "error", [ValueError("no"), ShapeError("no"), AttemptRaised(("ShapeError", "ValueError"), "no")]
)
def test_what_should_be_rejected_is_on_either_side(error: Exception) -> None:
    with rejects(ValueError, what="a negative length"):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        KeyError("no"),
        AttemptRaised(("KeyError", "LookupError"), "no"),
        AttemptRaised(("NotImplementedError", "RuntimeError"), "hole 1/2"),
    ],
)
def test_another_error_is_not_what_was_asked_for(error: Exception) -> None:
    with pytest.raises(type(error)), rejects(ValueError, what="a negative length"):
        raise error


def test_a_hole_left_empty_rejects_nothing() -> None:
    with pytest.raises(AttemptRaised), rejects(RuntimeError, what="a negative length"):
        raise AttemptRaised(("NotImplementedError", "RuntimeError", "Exception"), "hole 1/2")


def test_what_is_accepted_is_a_mismatch_that_names_what_was_expected() -> None:
    with (
        pytest.raises(Mismatch, match="a negative length is accepted") as raised,
        rejects(ValueError, KeyError, what="a negative length"),
    ):
        pass
    assert (raised.value.expected, raised.value.got) == ("ValueError or KeyError raised", "no error")


OTHER = "the result has another shape or dtype"


@pytest.mark.parametrize(
    ("got", "told"),
    [
        (torch.zeros(2, 3), None),
        (torch.full((2, 3), torch.nan), None),
        (torch.zeros(3, 2), (OTHER, "((2, 3), torch.float32)", "((3, 2), torch.float32)")),
        (torch.zeros(2, 3).double(), (OTHER, "((2, 3), torch.float32)", "((2, 3), torch.float64)")),
        (None, ("the result is no tensor", "a tensor of shape (2, 3)", "None: is a 'return' missing?")),
        ("x", ("the result is no tensor", "a tensor of shape (2, 3)", "'x'")),
    ],
)  # fmt: skip
def test_the_form_of_an_answer_is_checked_whatever_its_numbers(got: object, told: tuple[str, str, str] | None) -> None:
    if told is None:
        assert_form(got, (2, 3), torch.float32)
        return
    with pytest.raises(Mismatch) as raised:
        assert_form(got, (2, 3), torch.float32)
    assert (str(raised.value), raised.value.expected, raised.value.got) == told
