"""What holds of every right data-parallel strategy.

Gradients are compared with autograd in float64 over the examples of all ranks, without buckets and without ranks. What
the ranks send each other is counted by the judge, and tells which buckets were started, how large, in which order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.models import MultiTaskMLP
from groundup.core.testing import (
    Mismatch,
    after,
    assert_close,
    assert_equal,
    claim,
    hole,
    per_rank,
    rejects,
    sum_tolerance,
    tensors,
)
from groundup.core.testing.strategies import LAYOUTS, laid_out

Params = dict[str, Tensor]
Batch = dict[str, Any]

ONE_LAYER = MultiTaskMLP((2, 3), outputs=2)
TWO_LAYERS = MultiTaskMLP((2, 3, 1))
TWO_TASKS = MultiTaskMLP((3, 2), tasks=2)
THREE_TASKS = MultiTaskMLP((2, 2), outputs=3, tasks=3)
FLOATS = (torch.float32, torch.float64)

# Parameters are drawn from -1 to 1, inputs and targets from -2 to 2; no model is more than 3 wide. So an output is at
# most 4, its error 6, the loss's slope there 12; on its way back it passes at most 3 weights, and meets an input of 2.
LARGEST, TERMS = 72.0, 32  # no gradient is larger, or a sum of more terms


class Case(NamedTuple):
    """What one step is given: the parameters that all ranks hold, and a batch for each rank."""

    model: MultiTaskMLP
    shards: Params
    batches: list[Batch]
    bucket_bytes: int

    @property
    def size(self) -> int:
        return len(self.batches)

    def group(self, impl: Any) -> Any:
        return impl(self.size, self.model, bucket_bytes=self.bucket_bytes)

    def expected(self) -> Params:
        """Return the mean over ranks of the gradients of their losses, in float64; zeros for what nobody uses."""
        leaves = {n: p.detach().to(torch.float64).requires_grad_() for n, p in self.shards.items()}
        losses = [loss(self.model, leaves, batch) for batch in self.batches]
        mean = torch.stack(losses).mean()
        grads = torch.autograd.grad(mean, list(leaves.values()), allow_unused=True)
        pairs = zip(leaves.items(), grads, strict=True)
        return {name: torch.zeros_like(leaf) if grad is None else grad for (name, leaf), grad in pairs}

    def joined(self) -> Case:
        """Return the step of a single rank that is given all examples; all batches are of one task."""
        whole = {key: torch.cat([batch[key] for batch in self.batches]) for key in ("x", "y")}
        return self._replace(batches=[{**self.batches[0], **whole}])


def loss(model: MultiTaskMLP, leaves: Params, batch: Batch) -> Tensor:
    wide = {key: value.to(torch.float64) if isinstance(value, Tensor) else value for key, value in batch.items()}
    return model.loss(model.forward(leaves, wide), wide)


def shapes(model: MultiTaskMLP) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.init(0).items()}


def parameters(model: MultiTaskMLP, dtype: torch.dtype) -> st.SearchStrategy[Params]:
    """Draw parameters, in any memory layout."""
    names, sizes = zip(*shapes(model).items(), strict=True)
    drawn = st.tuples(*(tensors(size, dtype=dtype, low=-1, high=1) for size in sizes))
    return drawn.map(lambda values: dict(zip(names, values, strict=True)))


def batches(model: MultiTaskMLP, examples: int, dtype: torch.dtype, task: int) -> st.SearchStrategy[Batch]:
    x, y = tensors((examples, model.widths[0]), dtype=dtype), tensors((examples, model.outputs), dtype=dtype)
    return st.fixed_dictionaries({"x": x, "y": y, "task": st.just(task)})


LIMITS = (0, 24, 48, 1000)  # bytes: from a bucket for each parameter to one for all


def cases(
    model: MultiTaskMLP,
    examples: Sequence[int],
    *,
    tasks: Sequence[int] | None = None,
    dtype: torch.dtype = torch.float64,
    limits: Sequence[int] = LIMITS,
) -> st.SearchStrategy[Case]:
    """Draw a step of as many ranks as ``examples`` says the sizes of batches."""
    ranks = zip(examples, tasks or [0] * len(examples), strict=True)
    drawn = st.tuples(*(batches(model, count, dtype, task) for count, task in ranks)).map(list)
    return st.builds(Case, st.just(model), parameters(model, dtype), drawn, st.sampled_from(limits))


def rounds(
    size: int, model: MultiTaskMLP, seed: int, steps: int = 1, *, dtype: torch.dtype = torch.float64, examples: int = 2
) -> tuple[Params, list[list[Batch]]]:
    """Return parameters, and for each of several steps a batch for each rank, drawn with ``seed``."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype).clamp(-2, 2)

    def batch() -> Batch:
        return {"x": normal(examples, model.widths[0]), "y": normal(examples, model.outputs)}

    return model.init(seed, dtype), [[batch() for _ in range(size)] for _ in range(steps)]


def length(value: Tensor) -> int:
    return value.numel() * value.element_size()


def planned(shards: Params, limit: int) -> list[list[str]]:
    """Return the names of each bucket, filled from the last parameter on."""
    left, plan = list(shards)[::-1], []
    while left:
        count = 1
        while count < len(left) and sum(length(shards[n]) for n in left[: count + 1]) <= limit:
            count += 1
        plan.append(left[:count])
        left = left[count:]
    return plan


def transfers(case: Case) -> list[tuple[str, int]]:
    """Return what one rank sends for the buckets of a step: 2 (N - 1) / N of each, padded to N equal chunks."""
    if case.size == 1:
        return []
    sent = []
    for bucket in planned(case.shards, case.bucket_bytes):
        values = [case.shards[name] for name in bucket]
        chunk = -(-sum(value.numel() for value in values) // case.size) * values[0].element_size()
        sent.append(("all_reduce", 2 * (case.size - 1) * chunk))
    return sent


def check_sent(group: Any, size: int, expected: list[tuple[str, int]], *, of: str) -> None:
    traffic = group.traffic()
    for rank in range(size):
        sent = [(transfer.kind, transfer.bytes) for transfer in traffic if transfer.rank == rank]
        assert_equal(sent, expected, what=f"what rank {rank} sends {of} (calls, bytes)")


def check_grads(results: Any, case: Case) -> None:
    """Check the gradients that every rank returned; all must have the same bits."""
    dtype = next(iter(case.shards.values())).dtype
    expected, tolerance = case.expected(), sum_tolerance(dtype, TERMS, LARGEST)
    for rank, result in enumerate(results):
        if not isinstance(result, tuple) or len(result) != 2:
            raise Mismatch("step returns no pair", "a tuple of output and gradients", type(result).__name__)
        check_names(result[1], case.shards, what=f"the gradients on rank {rank}")
        for name, grad in result[1].items():
            what = f"the gradient of {name} on rank {rank}"
            assert_close(grad, expected[name], dtype=dtype, tolerance=tolerance, what=what)
            assert_equal(grad, results[0][1][name], what=f"{what}, next to rank 0's,")


def check_names(got: Any, shards: Params, *, what: str) -> None:
    if not isinstance(got, dict):
        raise Mismatch(f"{what} are no dict", "a dict of tensors, by name", type(got).__name__)
    assert_equal(sorted(got), sorted(shards), what=f"which names {what} have")


@claim(
    "Every rank begins with rank 0's parameters, bit for bit, whatever it was given; each of their bytes is sent N - 1 "
    "times in all.",
    zh="每个 rank 都从 rank 0 的参数开始，逐位相同，不管它自己拿到的是什么；这些参数的每个字节总共只发送 N - 1 次。",
)
@hole(1)
@given(
    model=st.sampled_from((ONE_LAYER, TWO_TASKS)),
    size=st.sampled_from((2, 3, 1)),
    seed=st.sampled_from((0, 1)),
    dtype=st.sampled_from(FLOATS),
)
def test_every_rank_begins_with_rank_zeros_parameters(
    impl: Any, model: MultiTaskMLP, size: int, seed: int, dtype: torch.dtype
) -> None:
    first = {name: laid_out(value, LAYOUTS[seed]) for name, value in model.init(seed, dtype).items()}
    unlike = [{name: value * (-0.5) ** rank + 4 * rank for name, value in first.items()} for rank in range(size)]
    group = impl(size, model, bucket_bytes=16)
    for rank, shards in enumerate(group.shard(per_rank(unlike))):
        check_names(shards, first, what=f"the shards of rank {rank}")
        assert_equal(list(shards), list(first), what=f"the order of names in the shards of rank {rank}")
        for name, value in first.items():
            assert_equal(shards[name], value, what=f"{name} in the shards of rank {rank}")
    sent = sum(transfer.bytes for transfer in group.traffic())
    assert_equal(sent, (size - 1) * sum(map(length, first.values())), what="the bytes that shard sends in all")


@claim(
    "Buckets are filled from the last parameter on, up to exactly bucket_bytes; a larger parameter has one of its own, "
    "and none is left out.",
    zh="桶从最后一个参数开始装，最多恰好装到 bucket_bytes；更大的参数独占一个桶，没有参数被漏掉。",
)
@hole(2)
@given(
    model=st.sampled_from((ONE_LAYER, TWO_LAYERS, THREE_TASKS)),
    dtype=st.sampled_from((torch.float32, torch.float64, torch.bfloat16)),
    first=st.integers(0, 1),
    count=st.integers(1, 4),
    more=st.sampled_from((0, 0, 1, -1)),
)
def test_buckets_are_filled_from_the_last_parameter_on(
    impl: Any, model: MultiTaskMLP, dtype: torch.dtype, first: int, count: int, more: int
) -> None:
    shards = model.init(0, dtype)
    run = list(shards)[::-1][first : first + count]  # the limit is what these take, or one byte from it
    limit = sum(length(shards[name]) for name in run) + more
    (plan,) = impl(1, model, bucket_bytes=limit).buckets(shards)
    if not isinstance(plan, list):
        raise Mismatch("buckets returns no list", "a list of lists of names", type(plan).__name__)
    got = [list(bucket) if isinstance(bucket, tuple) else bucket for bucket in plan]
    assert_equal(got, planned(shards, limit), what="the plan")


@claim(
    "With equal parts, every rank returns the gradient of the mean loss over the examples of all ranks, the same bits "
    "everywhere, whatever the buckets.",
    zh="各 rank 样本数相等时，每个 rank 返回的都是全部样本的平均损失的梯度，各处逐位相同，与怎样分桶无关。",
)
@hole(4)
@given(
    case=st.one_of(
        [
            cases(model, examples, dtype=dtype)
            for model, examples in ((ONE_LAYER, (2, 2)), (TWO_LAYERS, (1, 1)), (ONE_LAYER, (1, 1, 1)))
            for dtype in FLOATS
        ]
    )
)
def test_gradients_are_those_of_the_mean_loss_over_all_examples(impl: Any, case: Case) -> None:
    results = case.group(impl).step(case.shards, per_rank(case.batches))
    check_grads(results, case.joined()._replace(shards=case.shards))


@claim("Each rank's output is the model's for its own batch.", zh="每个 rank 的输出就是模型对它自己那批数据的输出。")
@hole(5)
@given(size=st.sampled_from((2, 1)), seed=st.sampled_from((0, 1, 2)), dtype=st.sampled_from(FLOATS))
def test_outputs_are_those_of_ones_own_batch(impl: Any, size: int, seed: int, dtype: torch.dtype) -> None:
    shards, (ranks,) = rounds(size, ONE_LAYER, seed, dtype=dtype)
    case = Case(ONE_LAYER, shards, ranks, 32)
    results = case.group(impl).step(shards, per_rank(ranks))
    for rank, (result, batch) in enumerate(zip(results, case.batches, strict=True)):
        wide = {name: value.to(torch.float64) for name, value in case.shards.items()}
        expected = case.model.forward(wide, {"x": batch["x"].to(torch.float64)})
        got = result[0] if isinstance(result, tuple) and result else result
        tolerance = sum_tolerance(dtype, TERMS, 4.0)
        assert_close(got, expected, dtype=dtype, tolerance=tolerance, what=f"the output of rank {rank}")


@claim(
    "A rank counts once, however many examples it was given: the gradients are the mean of the ranks' means.",
    zh="不管分到多少样本，每个 rank 只算一份：梯度是各 rank 平均梯度的平均。",
)
@hole(4)
@given(examples=st.sampled_from(((1, 3), (4, 1), (1, 2, 4))), seed=st.sampled_from((0, 1, 2)))
def test_a_rank_counts_once_however_many_examples_it_has(impl: Any, examples: tuple[int, ...], seed: int) -> None:
    shards, (ranks,) = rounds(len(examples), ONE_LAYER, seed, examples=4)
    parts = zip(ranks, examples, strict=True)
    case = Case(ONE_LAYER, shards, [{key: value[:count] for key, value in batch.items()} for batch, count in parts], 48)
    check_grads(case.group(impl).step(shards, per_rank(case.batches)), case)


@claim(
    "Ranks may train different tasks: what a rank does not use counts as zeros there, and nobody waits for ever.",
    zh="各 rank 可以训练不同的任务：某个 rank 没用到的参数在它那里算作零，谁也不会永远等下去。",
)
@hole(4)
@given(
    case=st.one_of(
        [
            cases(model, (1,) * len(tasks), tasks=tasks, limits=LIMITS)
            for model, tasks in ((TWO_TASKS, (0, 1)), (TWO_TASKS, (1, 0)), (THREE_TASKS, (2, 0, 1)))
        ]
    )
)
def test_ranks_may_use_different_parameters(impl: Any, case: Case) -> None:
    group = case.group(impl)
    check_grads(group.step(case.shards, per_rank(case.batches)), case)
    check_sent(group, case.size, transfers(case), of="in a step of different tasks")


@claim(
    "A parameter that no rank uses has a gradient of zeros, and its bucket is sent like any other.",
    zh="没有任何 rank 用到的参数，梯度是零；它的桶照样发送。",
)
@hole(4)
@given(
    model=st.sampled_from((TWO_TASKS, THREE_TASKS)),
    task=st.sampled_from((0, 1)),
    limit=st.sampled_from((0, 32, 1000)),
)
def test_what_nobody_uses_has_a_gradient_of_zeros(impl: Any, model: MultiTaskMLP, task: int, limit: int) -> None:
    size = 2
    shards, (ranks,) = rounds(size, model, task)
    case = Case(model, shards, [{**batch, "task": task} for batch in ranks], limit)
    group = case.group(impl)
    results = group.step(shards, per_rank(case.batches))
    check_grads(results, case)
    for name, value in shards.items():
        if name.startswith("heads.") and not name.startswith(f"heads.{task}."):
            assert_equal(results[-1][1][name], torch.zeros_like(value), what=f"the gradient of the unused {name}")
    check_sent(group, size, transfers(case), of="in a step that leaves parameters unused")


@claim(
    "A step sends the buckets of the plan, in its order, each in one all-reduce of 2 (N - 1) / N of its bytes, and "
    "nothing else; a rank alone sends nothing.",
    zh="一步训练按计划的次序发送各桶，每桶一次 all-reduce，发送其字节数的 2 (N - 1) / N，此外什么也不发；"
    "只有一个 rank 时什么也不发。",
)
@hole(3)
@given(
    model=st.sampled_from((ONE_LAYER, TWO_LAYERS)),
    kind=st.sampled_from(((2, torch.float32), (1, torch.float64), (3, torch.float64), (4, torch.float32))),
    limit=st.sampled_from((0, 24, 1000)),
)
def test_a_step_sends_the_buckets_of_the_plan(
    impl: Any, model: MultiTaskMLP, kind: tuple[int, torch.dtype], limit: int
) -> None:
    size, dtype = kind
    shards, (ranks,) = rounds(size, model, limit, dtype=dtype)
    case = Case(model, shards, ranks, limit)
    group = case.group(impl)
    check_grads(group.step(shards, per_rank(ranks)), case)
    check_sent(group, size, transfers(case), of="in a step")


@claim(
    "Every bucket has been started before any is waited for: a rank whose partner never comes has sent them all.",
    zh="等待任何一个桶之前，所有的桶都已启动：哪怕对方永远不来，这个 rank 也已把它们全部发出。",
)
@hole(3)
@after(test_a_step_sends_the_buckets_of_the_plan)
@given(model=st.sampled_from((ONE_LAYER, TWO_LAYERS)), limit=st.sampled_from((0, 24, 32)), absent=st.integers(0, 1))
def test_all_buckets_are_started_before_any_is_waited_for(
    impl: Any, model: MultiTaskMLP, limit: int, absent: int
) -> None:
    shards, (ranks,) = rounds(2, model, 0)
    case = Case(model, shards, ranks, limit)
    ranks[absent] = {"x": torch.ones(2, 7, dtype=torch.float64), "y": ranks[absent]["y"]}  # its forward pass raises
    group = case.group(impl)
    with rejects(RuntimeError, ValueError, what="an input of 7 numbers where the model takes 2"):
        group.step(shards, per_rank(ranks))
    sent = [(transfer.kind, transfer.bytes) for transfer in group.traffic() if transfer.rank != absent]
    assert_equal(sent, transfers(case), what=f"what rank {1 - absent} sends before it waits (calls, bytes)")


class Arrivals(NamedTuple):
    """A model's gradients in the order in which they come, and the size of a bucket."""

    model: MultiTaskMLP
    order: list[str]
    bucket_bytes: int


def arrivals() -> st.SearchStrategy[Arrivals]:
    """Draw orders that differ from the plan's: neighbours come in the wrong order, or anything in any order."""
    return st.one_of(
        [
            st.builds(Arrivals, st.just(model), st.permutations(list(shapes(model))[::-1]), st.sampled_from(LIMITS))
            for model in (ONE_LAYER, TWO_LAYERS)
        ]
    )


@claim(
    "A bucket is started by the last gradient that it lacks, at once, and never before the buckets in front of it.",
    zh="桶缺的最后一个梯度一到就立即启动它，但绝不先于排在它前面的桶。",
)
@hole(3)
@after(test_all_buckets_are_started_before_any_is_waited_for)  # a call is not waited for in another one than began it
@given(case=arrivals())
def test_a_bucket_is_started_by_its_last_gradient(impl: Any, case: Arrivals) -> None:
    shards = case.model.init(0)
    step = Case(case.model, shards, [{}, {}], case.bucket_bytes)
    plan, sent = planned(shards, case.bucket_bytes), transfers(step)
    group = step.group(impl)
    group.prepare(shards)
    for count, name in enumerate(case.order, start=1):
        group.ready(name, torch.ones_like(shards[name]))
        here = set(case.order[:count])
        complete = next((k for k, bucket in enumerate(plan) if not here.issuperset(bucket)), len(plan))
        check_sent(group, 2, sent[:complete], of=f"once {', '.join(case.order[:count])} have come")


@claim(
    "Steps with momentum on every rank's own copy give the same weights as one machine with all examples, and all "
    "copies stay the same, bit for bit.",
    zh="每个 rank 在自己的副本上做带动量的更新，得到的权重与一台机器处理全部样本相同，各副本始终逐位相同。",
)
@after(test_gradients_are_those_of_the_mean_loss_over_all_examples)
@given(size=st.sampled_from((2, 3)), seed=st.sampled_from((0, 1)), limit=st.sampled_from((0, 64)))
def test_training_equals_training_on_one_machine(impl: Any, size: int, seed: int, limit: int) -> None:
    model = TWO_LAYERS
    params, steps = rounds(size, model, seed, 3)
    group = impl(size, model, bucket_bytes=limit)
    alone, copies = Momentum(params), [Momentum(shards) for shards in group.shard(params)]
    for number, ranks in enumerate(steps, start=1):
        results = group.step(per_rank([copy.params for copy in copies]), per_rank(ranks))
        for copy, (_, grads) in zip(copies, results, strict=True):
            check_names(grads, params, what="the gradients")
            copy.step(grads)
        alone.step(Case(model, alone.params, ranks, limit).joined().expected())
        for rank, copy in enumerate(copies):
            for name, value in copy.params.items():
                what = f"the parameter {name} on rank {rank} after step {number}"
                tolerance = sum_tolerance(torch.float64, 1000, 10.0)
                assert_close(value, alone.params[name], dtype=torch.float64, tolerance=tolerance, what=what)
                assert_equal(value, copies[0].params[name], what=f"{what}, next to rank 0's,")


class Momentum:
    """Stochastic gradient descent with momentum, as a rank does it on its own copy."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.velocity = {name: torch.zeros_like(value) for name, value in params.items()}

    def step(self, grads: Params) -> None:
        self.velocity = {name: 0.5 * value + grads[name] for name, value in self.velocity.items()}
        self.params = {name: value - 0.125 * self.velocity[name] for name, value in self.params.items()}


@claim(
    "A step starts afresh: no gradient of an earlier step, and none of one that was broken off, is left in it.",
    zh="每一步都重新开始：不残留前一步的梯度，也不残留中断了的那一步的梯度。",
)
@after(
    test_gradients_are_those_of_the_mean_loss_over_all_examples, test_all_buckets_are_started_before_any_is_waited_for
)
@given(tasks=st.sampled_from(((0, 1), (1, 0))), seed=st.sampled_from((0, 1)), broken_off=st.booleans())
def test_a_step_leaves_nothing_behind(impl: Any, tasks: tuple[int, int], seed: int, broken_off: bool) -> None:
    limit = 48 * seed
    (before, (some, _)), (shards, (_, others)) = (rounds(2, TWO_TASKS, n, 2) for n in (seed, seed + 2))
    first, second = (
        Case(TWO_TASKS, params, [{**batch, "task": task} for batch in ranks], limit)
        for params, ranks, task in zip((before, shards), (some, others), tasks, strict=True)
    )
    group = first.group(impl)
    group.step(first.shards, per_rank(first.batches))
    if broken_off:
        group.prepare(first.shards)
        for name in list(first.shards)[:0:-1]:  # all but the first parameter's
            group.ready(name, torch.full_like(first.shards[name], 64.0))
    results = group.step(second.shards, per_rank(second.batches))
    check_grads(results, second)


@claim(
    "Gathering gives the whole parameters on every rank, and sends nothing.",
    zh="gather 在每个 rank 上给出完整的参数，什么也不发送。",
)
@given(model=st.sampled_from((ONE_LAYER, TWO_TASKS)), size=st.sampled_from((2, 1)))
def test_gathering_sends_nothing(impl: Any, model: MultiTaskMLP, size: int) -> None:
    params = model.init(0)
    group = impl(size, model, bucket_bytes=16)
    shards = group.shard(params)
    before = len(group.traffic())
    for rank, gathered in enumerate(group.gather(per_rank(shards))):
        check_names(gathered, params, what=f"the whole parameters of rank {rank}")
        for name, value in params.items():
            assert_equal(gathered[name], value, what=f"the gathered {name} on rank {rank}")
    assert_equal(len(group.traffic()), before, what="the number of calls that send something, gather included,")


@claim("It gives what the reference gives.", zh="与参考实现的结果相同。")
@after(test_gradients_are_those_of_the_mean_loss_over_all_examples)
@given(seed=st.sampled_from(range(4)), dtype=st.sampled_from(FLOATS))
def test_it_equals_the_reference(impl: Any, reference: Any, seed: int, dtype: torch.dtype) -> None:
    shards, (ranks,) = rounds(2, TWO_TASKS, seed, dtype=dtype)
    case = Case(TWO_TASKS, shards, [{**batch, "task": (rank + seed) % 2} for rank, batch in enumerate(ranks)], 48)
    ours, theirs = (case.group(kind).step(case.shards, per_rank(case.batches)) for kind in (reference, impl))
    for rank, ((output, grads), got) in enumerate(zip(ours, theirs, strict=True)):
        tolerance = sum_tolerance(dtype, TERMS, LARGEST)
        assert_close(got[0], output, dtype=dtype, tolerance=tolerance, what=f"the output of rank {rank}")
        for name, grad in grads.items():
            what = f"the gradient of {name} on rank {rank}"
            assert_close(got[1][name], grad, dtype=dtype, tolerance=tolerance, what=what)
