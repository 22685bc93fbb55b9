"""Batches of every class are drawn from its annotations alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from groundup.core.interfaces import rl
from groundup.core.interfaces.rl import PreferenceBatch, RewardPairBatch, RolloutBatch, TransitionBatch, UnpairedBatch
from groundup.core.testing.laws import rl as laws

SIZES = {"B": 2, "T": 3, "U": 4, "A": 5, "V": 6}
BATCHES = [value for name, value in vars(rl).items() if name.endswith("Batch") and isinstance(value, type)]
INTEGERS = {"action": "A", "group": 2, "labels": "V", "input_ids": "V", "position_ids": "T"}


def drawn(strategy: st.SearchStrategy[Any], count: int = 25) -> list[Any]:
    """Return examples, the same each time; the first one is the simplest."""
    found: list[Any] = []
    settings(
        max_examples=count, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )(given(strategy)(lambda example: found.append(example)))()  # fmt: skip
    return found


def below(kind: type[Any]) -> dict[str, Any]:
    return {name: limit for name, limit in INTEGERS.items() if name in laws.layout(kind)}


@pytest.mark.parametrize("kind", BATCHES)
def test_every_batch_can_be_drawn_with_every_tensor(kind: type[Any]) -> None:
    seen = set()
    for batch in drawn(laws.batches(kind, [SIZES], also=laws.layout(kind).keys(), below=below(kind))):
        tensors = laws.tensors_of(batch)
        assert type(batch) is kind
        assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
            name: tuple(SIZES[axis] for axis in axes) for name, axes in laws.layout(kind).items()
        }
        floats = {tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()}
        assert len(floats) <= 1
        seen |= floats
        for name, mask in laws.masks_of(batch).items():
            assert mask[:, 0].all(), name
    assert seen in ({torch.float32, torch.float64}, set())


@pytest.mark.parametrize("kind", BATCHES)
def test_optional_fields_are_none_unless_they_are_wanted(kind: type[Any]) -> None:
    (batch,) = drawn(laws.batches(kind, [SIZES], below=below(kind)), 1)
    for field in dataclasses.fields(kind):
        assert (getattr(batch, field.name) is None) == (field.default is None), field.name


@pytest.mark.parametrize(("name", "low", "high"), [("log_prob", -4, 0), ("entropy", 0, 2), ("advantage", -2, 2)])
def test_floats_fill_their_range_and_are_rounded_by_a_narrower_dtype(name: str, low: float, high: float) -> None:
    found = torch.cat([getattr(batch, name).flatten().double() for batch in drawn(laws.batches(RolloutBatch, [SIZES]))])
    assert low <= found.min() < low + 0.5
    assert high - 0.5 < found.max() <= high
    assert (found != found.bfloat16().double()).any()
    assert (found * 10 - (found * 10).round()).abs().max() < 1e-5


def test_there_is_padding_and_the_simplest_batch_has_none() -> None:
    masks = [batch.mask for batch in drawn(laws.batches(RolloutBatch, [SIZES]))]
    assert masks[0].all()
    assert not all(mask.all() for mask in masks)


@pytest.mark.parametrize("limit", ["A", 3])
def test_integers_are_below_their_limit_and_all_are_drawn(limit: str | int) -> None:
    size = {"B": 2, "A": 3}
    found = drawn(laws.batches(TransitionBatch, [size], below={"action": limit}))
    assert {number for batch in found for number in batch.action.tolist()} == {0, 1, 2}
    assert found[0].action.tolist() == [0, 0]
    assert found[0].action.dtype == torch.int64


def test_a_starred_axis_may_be_left_out() -> None:
    (batch,) = drawn(laws.batches(RewardPairBatch, [{"B": 4}]), 1)
    assert batch.chosen_reward.shape == batch.rejected_reward.shape == (4,)


def test_every_size_is_drawn() -> None:
    sizes = [{"B": 1, "T": 1, "U": 2}, {"B": 3, "T": 2, "U": 1}]
    found = {(b.mask.shape, b.mismatched_mask.shape) for b in drawn(laws.batches(UnpairedBatch, sizes))}
    assert found == {((1, 1), (1, 2)), ((3, 2), (3, 1))}


@pytest.mark.parametrize(
    ("kind", "sizes", "wanted", "says"),
    [
        (PreferenceBatch, {"B": 1, "T": 1}, {}, "rejected_log_prob has the axes 'B U': give the size of 'U'"),
        (TransitionBatch, {"B": 1, "A": 2}, {}, "action holds integers: give the number that they are below"),
        (TransitionBatch, {"B": 1, "A": 2}, {"below": {"acton": "A"}}, "TransitionBatch has no tensor 'acton': it has"),
        (PreferenceBatch, SIZES, {"also": ["ref_log_prob"]}, "PreferenceBatch has no tensor 'ref_log_prob'"),
    ],
)
def test_what_cannot_be_drawn_is_said(kind: type[Any], sizes: Any, wanted: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        laws.batches(kind, [sizes], **wanted)
