"""Each law of parallel training holds for data parallelism, and a known mistake breaks each law.

Strategies of other kinds show that the setting covers the differences between strategies: sharded parameters,
sharded optimizer states, split sequences, and a batch that all ranks see.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import Phase, settings
from torch import Tensor

from groundup.core.interfaces.optimizer import State, Tensors
from groundup.core.interfaces.parallel import ParallelStrategy
from groundup.core.models import Attend, Batch, LayeredModel, Params, SequenceModel
from groundup.core.registry import Registry
from groundup.core.testing.laws import Law
from groundup.core.testing.laws import parallel as laws
from groundup.core.testing.laws.parallel import Case, Momentum
from groundup.core.testing.laws.parallel_steps import Numbers
from groundup.core.testing.ranks import LocalRanks, per_rank
from groundup.grader.judging.edits import load_edits
from groundup.plugins.parallelism.data_parallel.properties import DATA_PARALLEL
from groundup.solutions.parallelism.data_parallel import DataParallel

LAWS: dict[str, Law[laws.Setting]] = {name: law for name, law in vars(laws).items() if isinstance(law, Law)}
BROKEN_BY = {
    "test_every_rank_begins_with_rank_zeros_parameters": "the-last-rank-counts",
    "test_gradients_are_those_of_the_mean_loss_over_all_examples": "sum-for-mean",
    "test_outputs_are_those_of_ones_own_batch": "the-output-is-averaged",
    "test_a_rank_counts_once_however_many_examples_it_has": "summed-over-examples",
    "test_ranks_may_use_different_parameters": "divided-by-those-who-use-it",
    "test_what_nobody_uses_has_a_gradient_of_zeros": "the-loss-is-averaged",
    "test_a_step_sends_what_the_formula_says": "a-bucket-for-each-parameter",
    "test_training_equals_training_on_one_machine": "gradients-add-up-over-steps",
    "test_a_step_leaves_nothing_behind": "old-gradients-are-kept",
    "test_gathering_gives_the_whole_parameters": "gathering-sums-the-copies",
    "test_it_equals_the_reference": "put-in-backwards",
}
BEGINS, GRADIENTS, OUTPUTS, _, _, UNUSED, SENDS, TRAINING, AFRESH, GATHERING, _ = BROKEN_BY


def tried(name: str, setting: laws.Setting, implementation: type[Any]) -> None:
    """Run one law on an implementation; raises if it does not hold."""
    made: Any = settings(max_examples=25, deadline=None, database=None, phases=[Phase.generate])(LAWS[name](setting))
    reference = {"reference": LocalRanks(DataParallel)} if name == "test_it_equals_the_reference" else {}
    made(impl=LocalRanks(implementation), **reference)


def mistaken(mistake: str) -> type[Any]:
    technique = Registry().technique("data-parallel")
    edit = next(edit for edit in load_edits(technique) if edit.id == mistake)
    module: dict[str, Any] = {"__name__": "edited"}
    exec(edit.apply(technique.files.solution.read_text(encoding="utf-8")), module)
    found: type[Any] = module["DataParallel"]
    return found


@pytest.mark.parametrize("name", LAWS)
def test_it_holds_of_data_parallelism(name: str) -> None:
    tried(name, DATA_PARALLEL, DataParallel)


@pytest.mark.parametrize("name", LAWS)
def test_a_mistake_breaks_it(name: str) -> None:
    with pytest.raises(AssertionError):
        tried(name, DATA_PARALLEL, mistaken(BROKEN_BY[name]))


def padded(tensor: Tensor, size: int) -> Tensor:
    """Return the numbers of ``tensor`` as N equal rows, the last padded with zeros."""
    flat = tensor.reshape(-1)
    return torch.cat([flat, flat.new_zeros(-len(flat) % size)]).reshape(size, -1)


class Gathered(torch.autograd.Function):
    """All-gather; the backward pass reduce-scatters the gradient."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, comm: Any) -> Tensor:
        ctx.comm, ctx.length = comm, len(part)
        return comm.all_gather(part)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return ctx.comm.reduce_scatter(grads[0]), None


class ShardedParameters(ParallelStrategy):
    """Like ZeRO-3: a rank keeps a row of each parameter, and gathers a layer's parameters when the layer runs."""

    model: LayeredModel

    def shard(self, params: Tensors) -> Tensors:
        whole = {name: self.comm.broadcast(value, source=0) for name, value in params.items()}
        self.shapes = {name: value.shape for name, value in whole.items()}
        return {name: padded(value, self.comm.size)[self.comm.rank].clone() for name, value in whole.items()}

    def step(self, shards: Tensors, batch: Batch) -> tuple[Tensor, Tensors]:
        leaves = {name: value.detach().requires_grad_() for name, value in shards.items()}
        hidden: Any = batch["x"]
        for number, names in enumerate(self.model.layers()):
            hidden = self.model.forward_layer(
                number, {name: self.whole(name, leaves[name]) for name in names}, hidden, batch
            )
        self.model.loss(hidden, batch).backward()  # type: ignore[no-untyped-call]
        return hidden.detach(), {name: leaf.grad / self.comm.size for name, leaf in leaves.items()}  # type: ignore[operator]

    def gather(self, shards: Tensors) -> Tensors:
        return {name: self.whole(name, shards[name]) for name in self.shapes}

    def whole(self, name: str, part: Tensor) -> Tensor:
        shape = self.shapes[name]
        flat: Tensor = Gathered.apply(part, self.comm)  # type: ignore[no-untyped-call]
        return flat[: shape.numel()].reshape(shape)


def rows(case: Case) -> list[int]:
    """Return the bytes of a rank's row of each parameter, in the parameters' order."""
    return [-(-v.numel() // case.size) * v.element_size() for v in case.params.values()]


def gathers(case: Case, rank: int) -> list[tuple[str, int]]:
    return [("all_gather", (case.size - 1) * row) for row in rows(case)]


def by_layer(case: Case, rank: int) -> list[tuple[str, int]]:
    """The forward pass gathers all parameters; the backward pass reduce-scatters the gradients of the used ones."""
    return gathers(case, rank) + [("reduce_scatter", (case.size - 1) * row) for row in reversed(rows(case))]


SHARDED = laws.Setting(sends=by_layer, gathers=gathers, tasks=(), sharded=True, optimizer=Momentum())


@pytest.mark.parametrize("name", [BEGINS, GRADIENTS, OUTPUTS, TRAINING, GATHERING])
def test_parameters_may_be_sharded(name: str) -> None:
    tried(name, SHARDED, ShardedParameters)


class ShardedStates(ParallelStrategy):
    """Like ZeRO-1: a rank keeps all parameters, but the optimizer's state of its own part only."""

    def shard(self, params: Tensors) -> Tensors:
        return {name: self.comm.broadcast(value, source=0) for name, value in params.items()}

    def step(self, shards: Tensors, batch: Batch) -> tuple[Tensor, Tensors]:
        leaves = {name: value.detach().requires_grad_() for name, value in shards.items()}
        output = self.model.forward(leaves, batch)
        grads = torch.autograd.grad(self.model.loss(output, batch), list(leaves.values()), materialize_grads=True)
        return output.detach(), dict(zip(leaves, grads, strict=True))  # this rank's own: ``update`` reduces them

    def init_state(self, shards: Tensors) -> State:
        return super().init_state({"part": self.flat(shards)[self.comm.rank]})

    def update(self, shards: Tensors, grads: Tensors, state: State) -> tuple[Tensors, State]:
        own = self.flat(shards)[self.comm.rank]
        mean = self.comm.reduce_scatter(self.flat(grads))[0] / self.comm.size
        new, state = super().update({"part": own}, {"part": mean}, state)
        parts = self.comm.all_gather(new["part"]).split([v.numel() for v in shards.values()] + [self.padding(shards)])
        return {name: part.reshape(shards[name].shape) for name, part in zip(shards, parts, strict=False)}, state

    def gather(self, shards: Tensors) -> Tensors:
        return dict(shards)

    def flat(self, values: Tensors) -> Tensor:
        return padded(torch.cat([value.reshape(-1) for value in values.values()]), self.comm.size)

    def padding(self, values: Tensors) -> int:
        return -sum(value.numel() for value in values.values()) % self.comm.size


STATES = laws.Setting(sends=lambda case, rank: [], optimizer=Momentum())


@pytest.mark.parametrize("name", [BEGINS, OUTPUTS, SENDS, TRAINING, GATHERING])
def test_optimizer_states_may_be_sharded(name: str) -> None:
    tried(name, STATES, ShardedStates)


def test_a_rank_holds_only_its_part_of_the_state() -> None:
    params = laws.TWO_LAYERS.init(0)
    group: Any = LocalRanks(ShardedStates)(2, laws.TWO_LAYERS, optimizer=Momentum())
    states = group.init_state(params)
    assert sum(value.numel() for value in params.values()) == 15
    assert [{name: value.numel() for name, value in state.items()} for state in states] == [{"part": 8}] * 2
    group.update(params, params, per_rank(states))
    sent = [(transfer.kind, transfer.bytes) for transfer in group.traffic() if transfer.rank == 0]
    assert sent == [("reduce_scatter", 32), ("all_gather", 32)]  # 8 float32 each; an all-reduce sends both


class EveryRankDoesAll(ParallelStrategy):
    """All ranks see the whole batch; nothing is split."""

    def shard(self, params: Tensors) -> Tensors:
        return dict(params)

    def step(self, shards: Tensors, batch: Batch) -> tuple[Tensor, Tensors]:
        leaves = {name: value.detach().requires_grad_() for name, value in shards.items()}
        output = self.model.forward(leaves, batch)
        grads = torch.autograd.grad(self.model.loss(output, batch), list(leaves.values()), materialize_grads=True)
        return output.detach(), dict(zip(leaves, grads, strict=True))

    def gather(self, shards: Tensors) -> Tensors:
        return dict(shards)


@pytest.mark.parametrize("name", [GRADIENTS, OUTPUTS, UNUSED, SENDS, TRAINING, AFRESH, GATHERING])
def test_all_ranks_may_see_the_whole_batch(name: str) -> None:
    tried(name, laws.Setting(sends=lambda case, rank: [], parts=laws.whole_batch), EveryRankDoesAll)


class OneHead:
    """A model of sequences: an embedding, causal attention with one head, and logits."""

    vocabulary, width, length = 3, 2, 6

    def init(self, seed: int, dtype: torch.dtype = torch.float32) -> Params:
        generator = torch.Generator().manual_seed(seed)
        sizes = {"embed": (self.vocabulary, self.width), "qkv": (3 * self.width, self.width)}
        sizes |= {"head": (self.vocabulary, self.width)}
        return {name: torch.randn(size, generator=generator, dtype=dtype) for name, size in sizes.items()}

    def forward(self, params: Params, batch: Batch) -> Tensor:
        hidden: Any = batch["x"]
        for layer in range(3):
            hidden = self.forward_layer(layer, params, hidden, batch)
        return hidden  # type: ignore[no-any-return]

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        return torch.nn.functional.cross_entropy(output.flatten(0, 1), batch["y"].flatten())  # type: ignore[union-attr]

    def layers(self) -> list[list[str]]:
        return [["embed"], ["qkv"], ["head"]]

    def forward_layer(
        self, layer: int, params: Params, hidden: Tensor, batch: Batch, attend: Attend | None = None
    ) -> Tensor:
        if layer == 0:
            return params["embed"][hidden]
        if layer == 2:
            return hidden @ params["head"].T
        q, k, v = (hidden @ params["qkv"].T).unsqueeze(1).chunk(3, dim=-1)
        return hidden + (attend or causal)(q, k, v).squeeze(1)


def causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


class SplitSequence(ParallelStrategy):
    """A rank has a contiguous part of the positions, and gathers the keys and values of all positions."""

    model: SequenceModel

    def shard(self, params: Tensors) -> Tensors:
        return dict(params)

    def step(self, shards: Tensors, batch: Batch) -> tuple[Tensor, Tensors]:
        leaves = {name: value.detach().requires_grad_() for name, value in shards.items()}
        position: Any = batch["position"]

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            joined = Gathered.apply(torch.stack([k, v]).movedim(-2, 0).contiguous(), self.comm)  # type: ignore[no-untyped-call]
            k, v = joined.movedim(0, -2)
            seen = torch.arange(k.shape[-2]) <= position[:, None]
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)

        hidden: Any = batch["x"]
        for layer in range(len(self.model.layers())):
            hidden = self.model.forward_layer(layer, leaves, hidden, batch, attend)
        self.model.loss(hidden, batch).backward()  # type: ignore[no-untyped-call]
        grads = {name: self.comm.all_reduce(leaf.grad) / self.comm.size for name, leaf in leaves.items()}  # type: ignore[arg-type]
        return hidden.detach(), grads

    def gather(self, shards: Tensors) -> Tensors:
        return dict(shards)


def tokens(model: OneHead, examples: int, numbers: Numbers) -> Batch:
    drawn = (8 * numbers((examples, model.length + 1))).long() % model.vocabulary
    return {"x": drawn[:, :-1], "y": drawn[:, 1:], "position": torch.arange(model.length)}


def split_positions(batch: Batch, size: int) -> list[Batch]:
    axes = {"x": 1, "y": 1, "position": 0}
    parts = {key: batch[key].tensor_split(size, axis) for key, axis in axes.items()}  # type: ignore[union-attr]
    return [{key: part[rank] for key, part in parts.items()} for rank in range(size)]


def by_attention(case: Case, rank: int) -> list[tuple[str, int]]:
    """Keys and values are gathered, their gradients reduce-scattered; the parameters' gradients are all-reduced."""
    assert case.whole is not None
    batch, each = len(case.whole["x"]), case.params["qkv"].element_size()  # type: ignore[arg-type]
    sent = (case.size - 1) * 2 * batch * (OneHead.length // case.size) * OneHead.width * each
    sums = [("all_reduce", laws.all_reduce_bytes(v.numel(), each, case.size)) for v in case.params.values()]
    return [("all_gather", sent), ("reduce_scatter", sent), *sums]


SEQUENCES = laws.Setting(
    sends=by_attention, models=(OneHead(),), tasks=(), sizes=(2, 3), inputs=tokens, parts=split_positions
)


@pytest.mark.parametrize("name", [GRADIENTS, OUTPUTS, SENDS, TRAINING, AFRESH, GATHERING])
def test_sequences_may_be_split(name: str) -> None:
    tried(name, SEQUENCES, SplitSequence)
