from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.testing import booleans, float_dtypes, tensors
from groundup.core.testing.strategies import LAYOUTS, STEP, laid_out

EXHAUSTIVE = settings(max_examples=2000, suppress_health_check=list(HealthCheck))


def drawn(strategy: st.SearchStrategy[Tensor], count: int = 200) -> list[Tensor]:
    """Return ``count`` examples, drawn as for a property."""
    found: list[Tensor] = []

    @settings(max_examples=count, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(tensor: Tensor) -> None:
        found.append(tensor)

    collect()
    return found


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (0,), (2, 0), (2, 1, 3)])
def test_shape_and_dtype_are_what_was_asked_for(shape: tuple[int, ...]) -> None:
    for tensor in drawn(tensors(shape, dtype=torch.float64), 20):
        assert (tuple(tensor.shape), tensor.dtype) == (shape, torch.float64)
    for tensor in drawn(booleans(shape), 20):
        assert (tuple(tensor.shape), tensor.dtype) == (shape, torch.bool)


@given(tensors((2, 3), low=-1.0, high=0.5))
def test_numbers_are_eighths_within_the_range(tensor: Tensor) -> None:
    assert tensor.min() >= -1.0
    assert tensor.max() <= 0.5
    assert torch.equal(tensor / STEP, (tensor / STEP).round())


def test_both_ends_of_the_range_and_both_signs_are_drawn() -> None:
    numbers = {float(x) for tensor in drawn(tensors((4,)), 400) for x in tensor}
    assert {-2.0, 2.0, 0.0} <= numbers
    assert len(numbers) == 33


def test_every_layout_is_drawn_and_holds_the_same_numbers() -> None:
    contiguous = {tensor.is_contiguous() for tensor in drawn(tensors((2, 3)))}
    assert contiguous == {True, False}
    assert {tensor.is_contiguous() for tensor in drawn(tensors((2, 3), layouts=False))} == {True}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (2, 3, 4), (2, 0)])
def test_a_layout_changes_strides_alone(layout: str, shape: tuple[int, ...]) -> None:
    tensor = torch.arange(float(torch.Size(shape).numel())).reshape(shape)
    other = laid_out(tensor, layout)
    assert torch.equal(other, tensor)
    if shape == (2, 3):
        assert other.is_contiguous() == (layout == "contiguous")


def test_a_view_that_only_works_on_contiguous_inputs_is_found_out() -> None:
    with pytest.raises(RuntimeError, match="view"):
        laid_out(torch.ones(2, 3), "transposed").view(6)


def test_it_shrinks_to_zeros_that_are_contiguous() -> None:
    smallest = find(tensors((2, 3)), lambda tensor: True, settings=EXHAUSTIVE)
    assert torch.equal(smallest, torch.zeros(2, 3))
    assert smallest.is_contiguous()


def test_what_must_differ_shrinks_to_one_step_beside_zero() -> None:
    smallest = find(tensors((2, 2)), lambda tensor: bool((tensor != 0).any()), settings=EXHAUSTIVE)
    assert sorted(smallest.abs().flatten().tolist()) == [0.0, 0.0, 0.0, STEP]


@pytest.mark.parametrize("low", [0.5, -2.0])
def test_a_range_without_zero_shrinks_to_what_is_nearest_it(low: float) -> None:
    smallest = find(tensors((2,), low=low, high=low + 1), lambda tensor: True, settings=EXHAUSTIVE)
    assert smallest.tolist() == [0.5, 0.5] if low > 0 else [-1.0, -1.0]


@pytest.mark.parametrize("simplest", [True, False])
def test_booleans_shrink_to_the_simplest(simplest: bool) -> None:
    smallest = find(booleans((3,), simplest=simplest), lambda tensor: True, settings=EXHAUSTIVE)
    assert smallest.tolist() == [simplest] * 3
    assert {bool(b) for tensor in drawn(booleans((3,))) for b in tensor} == {True, False}


@pytest.mark.parametrize(("low", "high", "count"), [(1.0, 0.0, 0), (0.01, 0.02, 0), (0.0, 40.0, 321)])
def test_a_range_of_no_steps_or_too_many_is_refused(low: float, high: float, count: int) -> None:
    with pytest.raises(ValueError, match=rf"^\[{low}, {high}\] holds {count} multiples of 1/8"):
        tensors((2,), low=low, high=high)


def test_the_float_dtypes_are_both_drawn() -> None:
    seen: list[Any] = []

    @settings(max_examples=30, database=None)
    @given(float_dtypes())
    def collect(dtype: torch.dtype) -> None:
        seen.append(dtype)

    collect()
    assert set(seen) == {torch.float32, torch.float64}
