"""Edited solutions of distributed techniques do what the words of their entries say, besides being found out."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from groundup.core.models import MultiTaskMLP
from groundup.core.registry import Registry
from groundup.core.testing import Deadlock, per_rank
from groundup.core.testing.modules import module_from_source
from groundup.core.testing.ranks import LocalRanks
from groundup.grader.judging.edits import load_edits

SIZES = pytest.mark.parametrize("size", [1, 2, 3, 4])


def edited(technique: str, name: str) -> Any:
    found = Registry().technique(technique)
    edit = next(edit for edit in load_edits(found) if edit.id == name)
    source = edit.apply(found.files.solution.read_text(encoding="utf-8"))
    return LocalRanks(getattr(module_from_source("edited", source, f"<{name}>"), found.implements))


def drawn(size: int, shape: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(size)
    return [torch.randint(-50, 50, shape, generator=generator).float() for _ in range(size)]


@pytest.mark.parametrize("seed", range(20))
def test_the_buckets_named_after_torch_are_torchs(seed: int) -> None:
    rng = random.Random(seed)
    params = {f"p{n}": torch.zeros(rng.randrange(1, 30)) for n in range(25)}
    limit = rng.randrange(1, 300)
    group = edited("data-parallel", "full-buckets-overflow")(1, MultiTaskMLP((1,)), bucket_bytes_cap=limit)
    (plan,) = group.compute_bucket_assignment_by_size(params)
    names = list(params)[::-1]
    indices, _ = dist._compute_bucket_assignment_by_size([params[name] for name in names], [limit])
    assert plan == [[names[i] for i in bucket] for bucket in indices]


@SIZES
def test_the_other_way_around_the_ring_is_as_right(size: int) -> None:
    given = drawn(size, (3, 3))
    group = edited("ring-all-reduce", "sends-to-the-rank-before")(size)
    assert all(torch.equal(got, sum(given[1:], given[0])) for got in group.all_reduce(per_rank(given)))
    assert {(t.to - t.rank) % size for t in group.traffic()} == ({size - 1} if size > 1 else set())


@pytest.mark.parametrize(
    "name",
    [
        "everything-to-everyone",
        "all-to-rank-0-and-back",
        "uneven-chunks",
        "around-once-to-add-around-again-to-tell",
        "sends-all-rows-in-every-step",
    ],
)
@SIZES
def test_what_is_wrong_by_its_traffic_alone_has_the_right_sum(name: str, size: int) -> None:
    given = drawn(size, (5,))
    group = edited("ring-all-reduce", name)(size)
    assert all(torch.equal(got, sum(given[1:], given[0])) for got in group.all_reduce(per_rank(given)))


@pytest.mark.parametrize("size", [2, 3, 4])
def test_sending_first_stands_still(size: int) -> None:
    with pytest.raises(Deadlock, match="rank 0 waits in send to rank 1"):
        edited("ring-all-reduce", "everyone-sends-first")(size).all_reduce(torch.ones(4))
