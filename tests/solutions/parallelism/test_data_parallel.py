"""The solution of parallelism/data-parallel against hand-worked numbers, one machine, and torch's own wrapper."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from groundup.core.models import Batch, MultiTaskMLP
from groundup.core.registry import Registry
from groundup.core.testing import per_rank
from groundup.core.testing.ranks import LocalRanks
from groundup.grader.judging.edits import load_edits
from groundup.solutions.parallelism.data_parallel import DataParallel

RANKS: Any = LocalRanks(DataParallel)
LINE = MultiTaskMLP((1,))
SMALL = MultiTaskMLP((2, 3), outputs=2)
DEEP = MultiTaskMLP((3, 4, 4, 2), outputs=2, tasks=3)


def column(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32)[:, None]


def drawn(size: int, model: MultiTaskMLP, seed: int, examples: int = 3) -> list[Batch]:
    generator = torch.Generator().manual_seed(seed)

    def normal(width: int) -> Tensor:
        return torch.randn(examples, width, generator=generator, dtype=torch.float64)

    return [{"x": normal(model.widths[0]), "y": normal(model.outputs), "task": rank % 3} for rank in range(size)]


def test_the_lessons_line() -> None:
    params = {"heads.0.weight": column(1.0), "heads.0.bias": torch.tensor([0.0])}
    first = {"x": column(1, 2), "y": column(0, 1)}
    for second, weight, bias in (
        ({"x": column(3, 1), "y": column(1, 1)}, 4.5, 2.0),
        ({"x": column(3), "y": column(1)}, 7.5, 3.0),  # each rank has the same weight in the mean
    ):
        for output, grads in RANKS(2, LINE, bucket_bytes_cap=8).step(params, per_rank([first, second])):
            assert output[0].item() in (1.0, 3.0)
            assert grads["heads.0.weight"].tolist() == [[weight]]
            assert grads["heads.0.bias"].tolist() == [bias]


def test_the_lessons_buckets() -> None:
    params = SMALL.init(0)
    group = RANKS(2, SMALL, bucket_bytes_cap=48)
    plan = [["heads.0.bias", "heads.0.weight", "layers.0.bias"], ["layers.0.weight"]]
    assert group.compute_bucket_assignment_by_size(params) == [plan, plan]
    group.step(params, {"x": torch.ones(1, 2), "y": torch.ones(1, 2)})
    assert [(t.rank, t.kind, t.bytes) for t in group.traffic()] == [
        (rank, "all_reduce", sent) for rank in (0, 1) for sent in (48, 24)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_buckets_are_as_full_as_they_can_be(seed: int) -> None:
    rng = random.Random(seed)
    params = {f"p{n}": torch.zeros(rng.randrange(1, 30)) for n in range(25)}
    limit = rng.randrange(0, 300)
    (plan,) = RANKS(1, SMALL, bucket_bytes_cap=limit).compute_bucket_assignment_by_size(params)
    assert [name for bucket in plan for name in bucket] == list(params)[::-1]
    held = [sum(4 * len(params[name]) for name in bucket) for bucket in plan]
    assert all(length <= limit or len(bucket) == 1 for length, bucket in zip(held, plan, strict=True))
    following = [4 * len(params[bucket[0]]) for bucket in plan[1:]]
    assert all(length + more > limit for length, more in zip(held[:-1], following, strict=True))


def edited(name: str) -> Any:
    technique = Registry().technique("data-parallel")
    edit = next(e for e in load_edits(technique) if e.id == name)
    namespace: dict[str, Any] = {"__name__": "edited"}
    exec(edit.apply(technique.files.solution.read_text(encoding="utf-8")), namespace)
    return LocalRanks(namespace["DataParallel"])


@pytest.mark.parametrize("seed", range(20))
def test_the_convention_named_after_torch_is_what_torch_does(seed: int) -> None:
    rng = random.Random(seed)
    params = {f"p{n}": torch.zeros(rng.randrange(1, 30)) for n in range(25)}
    limit = rng.randrange(1, 300)
    (plan,) = edited("full-buckets-overflow")(1, SMALL, bucket_bytes_cap=limit).compute_bucket_assignment_by_size(
        params
    )
    names = list(params)[::-1]
    indices, _ = dist._compute_bucket_assignment_by_size([params[name] for name in names], [limit])
    assert plan == [[names[i] for i in bucket] for bucket in indices]


@pytest.mark.parametrize(("size", "limit"), [(1, 100), (2, 0), (3, 64), (4, 10_000), (5, 200)])
def test_tasks_may_differ_from_rank_to_rank(size: int, limit: int) -> None:
    params, batches = DEEP.init(1, torch.float64), drawn(size, DEEP, 2)
    expected = {name: torch.zeros_like(value) for name, value in params.items()}
    for batch in batches:
        leaves = {name: value.clone().requires_grad_() for name, value in params.items()}
        used = {n: leaf for n, leaf in leaves.items() if n.startswith(("layers.", f"heads.{batch['task']}."))}
        own = torch.autograd.grad(DEEP.loss(DEEP.forward(leaves, batch), batch), list(used.values()))
        for name, grad in zip(used, own, strict=True):
            expected[name] += grad / size
    for _, grads in RANKS(size, DEEP, bucket_bytes_cap=limit).step(params, per_rank(batches)):
        assert grads.keys() == params.keys()
        for name, grad in grads.items():
            torch.testing.assert_close(grad, expected[name], rtol=1e-12, atol=1e-12)


def test_adam_on_every_copy_is_adam_on_one_machine() -> None:
    params = SMALL.init(3, torch.float64)
    alone = {name: value.clone().requires_grad_() for name, value in params.items()}
    copies = [
        {n: v.requires_grad_() for n, v in own.items()} for own in RANKS(3, SMALL, bucket_bytes_cap=64).shard(params)
    ]
    optimizers = [torch.optim.Adam(list(own.values()), lr=0.1) for own in (alone, *copies)]
    group = RANKS(3, SMALL, bucket_bytes_cap=64)
    for number in range(5):
        batches = [{**batch, "task": 0} for batch in drawn(3, SMALL, number)]
        whole = {key: torch.cat([batch[key] for batch in batches]) for key in ("x", "y")}
        optimizers[0].zero_grad()
        SMALL.loss(SMALL.forward(alone, whole), whole).backward()
        results = group.step(per_rank([{n: v.detach() for n, v in own.items()} for own in copies]), per_rank(batches))
        for own, (_, grads) in zip(copies, results, strict=True):
            for name, leaf in own.items():
                leaf.grad = grads[name]
                torch.testing.assert_close(grads[name], alone[name].grad, rtol=1e-11, atol=1e-12)
        for optimizer in optimizers:
            optimizer.step()
    for name, leaf in alone.items():
        assert torch.equal(copies[0][name], copies[1][name])
        torch.testing.assert_close(copies[2][name], leaf, rtol=1e-8, atol=1e-9)


def test_nothing_is_shared_with_what_was_passed_in() -> None:
    params = SMALL.init(0)
    group = RANKS(2, SMALL, bucket_bytes_cap=64)
    before = {name: value.clone() for name, value in params.items()}
    shards = group.shard(params)
    gathered = group.gather(per_rank(shards))
    group.step(per_rank(shards), {"x": torch.ones(1, 2), "y": torch.ones(1, 2)})
    assert all(value.grad is None and not value.requires_grad for own in shards for value in own.values())
    for value in [v for own in (*shards, *gathered) for v in own.values()]:
        value.zero_()
    assert all(torch.equal(value, before[name]) for name, value in params.items())


class BreaksDown(torch.autograd.Function):
    """The identity, whose backward pass raises."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        """Return ``x``."""
        return x.clone()

    @staticmethod
    def backward(_: Any, *grads: Tensor) -> Any:
        """Raise."""
        raise ArithmeticError("the backward pass has come as far as the first layer")


class BreaksAtTheFirstLayer(MultiTaskMLP):
    """A model whose backward pass fails before it reaches the parameters of the first layer."""

    def forward(self, params: dict[str, Tensor], batch: Batch) -> Tensor:
        """Return what the model predicts."""
        first = BreaksDown.apply(batch["x"] @ params["layers.0.weight"].T)
        hidden = torch.tanh(torch.tanh(first) @ params["layers.1.weight"].T)
        return hidden @ params["heads.0.weight"].T


def test_buckets_are_started_while_the_backward_pass_still_runs() -> None:
    model = BreaksAtTheFirstLayer((2, 3, 2))
    params = {name: value for name, value in model.init(0).items() if name.endswith("weight")}
    group = RANKS(2, model, bucket_bytes_cap=0)
    with pytest.raises(ArithmeticError, match="as far as the first layer"):
        group.step(params, {"x": torch.ones(1, 2), "y": torch.ones(1, 1)})
    sent = [t.bytes for t in group.traffic() if t.rank == 0]
    assert sent == [2 * 4, 6 * 4]  # sent: the head's and the second layer's; the first layer's never come


TORCH = """
import sys, torch, torch.distributed as dist
rank, folder = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(i, o) for i, o in ((3, 4), (4, 4), (4, 2)))
        self.heads = torch.nn.ModuleList(torch.nn.Linear(2, 2) for _ in range(3))

    def forward(self, x, task):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.heads[task](x)


given = torch.load(f"{folder}/given.pt")
model = Model().double()
if rank == 0:
    model.load_state_dict(given["params"])
wrapped = torch.nn.parallel.DistributedDataParallel(model, find_unused_parameters=True)
batch = given["batches"][rank]
output = wrapped(batch["x"], batch["task"])
((output - batch["y"]) ** 2).mean().backward()
grads = {name: parameter.grad for name, parameter in model.named_parameters()}
torch.save((dict(model.named_parameters()), output, grads), f"{folder}/found-{rank}.pt")
dist.destroy_process_group()
"""


def test_it_returns_what_torchs_own_wrapper_does(tmp_path: Path) -> None:
    params, batches = DEEP.init(5, torch.float64), drawn(2, DEEP, 6)
    torch.save({"params": params, "batches": batches}, tmp_path / "given.pt")
    ranks = [subprocess.Popen([sys.executable, "-W", "ignore", "-c", TORCH, str(r), str(tmp_path)]) for r in range(2)]
    assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    group = RANKS(2, DEEP, bucket_bytes_cap=200)
    shards = group.shard(per_rank([params, DEEP.init(99, torch.float64)]))
    for rank, (output, grads) in enumerate(group.step(per_rank(shards), per_rank(batches))):
        theirs, their_output, their_grads = torch.load(tmp_path / f"found-{rank}.pt")
        assert all(torch.equal(shards[rank][name], value) for name, value in theirs.items())
        torch.testing.assert_close(output, their_output.detach(), rtol=1e-12, atol=1e-12)
        for name, grad in grads.items():
            if name.startswith("heads.2."):  # no rank uses it: torch gives no gradient, the text asks for zeros
                assert their_grads[name] is None
                assert not grad.any()
            else:
                torch.testing.assert_close(grad, their_grads[name], rtol=1e-10, atol=1e-12)
