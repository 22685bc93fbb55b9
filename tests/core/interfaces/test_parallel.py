from __future__ import annotations

from typing import Any

import pytest
import torch

from groundup.core.models import MultiTaskMLP
from groundup.core.testing import per_rank
from groundup.core.testing.ranks import LocalRanks
from groundup.solutions.parallelism.data_parallel import DataParallel
from groundup.solutions.training.adamw import AdamW

MODEL = MultiTaskMLP((2, 3), outputs=2)


class WithOptimizer(DataParallel):
    """Data parallelism that applies the optimizer's step itself."""

    def __init__(self, comm: Any, model: Any, *, optimizer: Any) -> None:
        super().__init__(comm, model, bucket_bytes_cap=48)
        self.optimizer = optimizer


def test_without_an_optimizer_there_is_no_update() -> None:
    group: Any = LocalRanks(DataParallel)(2, MODEL, bucket_bytes_cap=48)
    params = MODEL.init(0)
    with pytest.raises(ValueError, match="this DataParallel was constructed without an optimizer"):
        group.update(params, params, {})
    with pytest.raises(ValueError, match="this DataParallel was constructed without an optimizer"):
        group.init_state(params)


def test_by_default_every_rank_steps_on_all_its_shards_and_nothing_is_sent() -> None:
    optimizer = AdamW(lr=0.1)
    group: Any = LocalRanks(WithOptimizer)(2, MODEL, optimizer=optimizer)
    params, grads = MODEL.init(0), [MODEL.init(seed) for seed in (1, 2)]
    states = group.init_state(params)
    updated = group.update(params, per_rank(grads), per_rank(states))
    assert group.traffic() == []
    for own, (shards, state) in zip(grads, updated, strict=True):
        expected, expected_state = optimizer.step(params, own, optimizer.init(params))
        assert all(torch.equal(shards[name], value) for name, value in expected.items())
        assert all(torch.equal(state[n]["exp_avg"], value["exp_avg"]) for n, value in expected_state.items())
