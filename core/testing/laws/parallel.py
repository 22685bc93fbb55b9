"""Laws of parallel training: a strategy gives the results of one machine, and its traffic equals the formula.

Outputs, gradients and weights are compared with those of a single process in float64; the judge counts what the ranks
send::

    from groundup.core.testing.laws import parallel as laws

    STRATEGY = laws.Setting(sends=..., options=({"bucket_bytes_cap": 0}, {"bucket_bytes_cap": 1000}))
    test_it_equals_the_reference = laws.test_it_equals_the_reference(STRATEGY)

Laws about ranks with their own examples, or about the gradients that ranks return, apply only to strategies that have
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.optimizer import Optimizer, State, Tensors
from groundup.core.messages import Message
from groundup.core.models import MultiTaskMLP
from groundup.core.testing.compare import assert_close, assert_equal, sum_tolerance
from groundup.core.testing.laws import Property, law
from groundup.core.testing.laws.parallel_steps import (
    FLOATS,
    ONE_LAYER,
    THREE_TASKS,
    TWO_LAYERS,
    TWO_TASKS,
    Case,
    Setting,
    Step,
    all_reduce_bytes,
    check_grads,
    check_names,
    check_sent,
    check_whole,
    drawn,
    in_float64,
    random_case,
    sent,
    split_examples,
    whole_batch,
)
from groundup.core.testing.ranks import per_rank
from groundup.core.testing.strategies import LAYOUTS, laid_out

__all__ = [
    "FLOATS", "ONE_LAYER", "THREE_TASKS", "TWO_LAYERS", "TWO_TASKS", "Case", "Setting", "Step", "all_reduce_bytes",
    "check_grads", "check_names", "check_sent", "random_case", "sent", "split_examples", "whole_batch",
]  # fmt: skip


class Momentum(Optimizer):
    """Stochastic gradient descent with momentum."""

    def init(self, params: Tensors) -> State:
        """Return the velocities before the first step: zeros."""
        return {name: torch.zeros_like(value) for name, value in params.items()}

    def step(self, params: Tensors, grads: Tensors, state: State) -> tuple[Tensors, State]:
        """Return new parameters and velocities."""
        velocities = {name: 0.5 * value + grads[name] for name, value in state.items()}
        return {name: value - 0.125 * velocities[name] for name, value in params.items()}, velocities


@law(
    "Every rank begins with rank 0's parameters, bit for bit, whatever it was given; each of their bytes is sent N - 1 "
    "times in all.",
    zh="每个 rank 都从 rank 0 的参数开始，逐位相同，不管它自己拿到的是什么；这些参数的每个字节总共只发送 N - 1 次。",
)
def test_every_rank_begins_with_rank_zeros_parameters(setting: Setting) -> Property:
    """Test it on ranks that received different parameters."""

    @given(
        model=st.sampled_from((setting.models[0], (*setting.models, *setting.tasks)[-1])),
        size=st.sampled_from((*setting.sizes[:2], 1)),
        seed=st.sampled_from((0, 1)),
        dtype=st.sampled_from(FLOATS),
    )
    def holds(impl: Any, model: Any, size: int, seed: int, dtype: torch.dtype) -> None:
        case = random_case(setting, size, model, seed, dtype=dtype)
        first = {name: laid_out(value, LAYOUTS[seed]) for name, value in case.params.items()}
        unlike = [{name: value * (-0.5) ** rank + 4 * rank for name, value in first.items()} for rank in range(size)]
        group = setting.group(impl, case)
        shards = group.shard(per_rank(unlike))
        begun = sum(transfer.bytes for transfer in group.traffic())
        whole = setting.whole(group, shards)
        check_whole(whole, first, what=Message("the shards"))
        for rank, own in enumerate(whole):
            assert_equal(
                list(own), list(first), what=Message("the order of names in the shards of rank {rank}", rank=rank)
            )
        assert_equal(begun, setting.begun(case), what=Message("the bytes that shard sends in all"))

    return holds


@law(
    "With equal parts, every rank returns the gradient of the mean loss over the examples of all ranks, the same bits "
    "everywhere.",
    zh="各 rank 样本数相等时，每个 rank 返回的都是全部样本的平均损失的梯度，各处逐位相同。",
)
def test_gradients_are_those_of_the_mean_loss_over_all_examples(setting: Setting) -> Property:
    """Test it on every model with the smallest group, and on the first model with the next larger group."""
    few, more = setting.sizes[:2]
    groups = [(few, 2, setting.models[0]), *((few, 1, m) for m in setting.models[1:]), (more, 1, setting.models[0])]

    @given(case=st.one_of([drawn(setting, *group, dtype) for group in groups for dtype in FLOATS]))
    def holds(impl: Any, case: Case) -> None:
        group = setting.group(impl, case)
        check_grads(setting, group, setting.step(group, case), case)

    return holds


@law("Each rank's output is the model's for its own batch.", zh="每个 rank 的输出就是模型对它自己那批数据的输出。")
def test_outputs_are_those_of_ones_own_batch(setting: Setting) -> Property:
    """Test it on each rank's part of the output, which is split like the targets."""

    @given(size=st.sampled_from((setting.sizes[0], 1)), seed=st.sampled_from((0, 1, 2)), dtype=st.sampled_from(FLOATS))
    def holds(impl: Any, size: int, seed: int, dtype: torch.dtype) -> None:
        case = random_case(setting, size, setting.models[0], seed, dtype=dtype)
        assert case.whole is not None
        output = case.model.forward(in_float64(case.params), in_float64(case.whole))
        expected: list[Any] = [part["y"] for part in setting.parts({**case.whole, "y": output}, size)]
        for rank, result in enumerate(setting.step(setting.group(impl, case), case).results):
            got = result[0] if isinstance(result, tuple) and result else result
            tolerance = sum_tolerance(dtype, setting.terms, 4.0)
            assert_close(
                got,
                expected[rank],
                dtype=dtype,
                tolerance=tolerance,
                what=Message("the output of rank {rank}", rank=rank),
            )

    return holds


@law(
    "A rank counts once, however many examples it was given: the gradients are the mean of the ranks' means.",
    zh="不管分到多少样本，每个 rank 只算一份：梯度是各 rank 平均梯度的平均。",
)
def test_a_rank_counts_once_however_many_examples_it_has(setting: Setting) -> Property:
    """Test it on ranks with different numbers of examples."""

    @given(examples=st.sampled_from(((1, 3), (4, 1), (1, 2, 4))), seed=st.sampled_from((0, 1, 2)))
    def holds(impl: Any, examples: tuple[int, ...], seed: int) -> None:
        case = random_case(setting, len(examples), setting.models[0], seed, examples=max(examples))
        own = [
            {key: value[:count] if isinstance(value, Tensor) else value for key, value in batch.items()}
            for batch, count in zip(case.batches, examples, strict=True)
        ]
        case, group = case._replace(batches=own, whole=None), setting.group(impl, case)
        check_grads(setting, group, setting.step(group, case), case)

    return holds


@law(
    "Ranks may train different tasks: what a rank does not use counts as zeros there, and nobody waits for ever.",
    zh="各 rank 可以训练不同的任务：某个 rank 没用到的参数在它那里算作零，谁也不会永远等下去。",
)
def test_ranks_may_use_different_parameters(setting: Setting) -> Property:
    """Test it on one rank per task, each with its own task."""
    orders = [(model, [*range(first, model.tasks), *range(first)]) for model in setting.tasks for first in (0, 1)]

    def own(model: MultiTaskMLP, tasks: list[int]) -> st.SearchStrategy[Case]:
        return drawn(setting, model.tasks, 1, model).map(lambda case: case.of_tasks(*tasks))

    @given(case=st.one_of([own(model, tasks) for model, tasks in orders]))
    def holds(impl: Any, case: Case) -> None:
        group = setting.group(impl, case)
        check_grads(setting, group, setting.step(group, case), case)

    return holds


@law(
    "A parameter that no rank uses has a gradient of zeros, and is sent like any other.",
    zh="没有任何 rank 用到的参数，梯度是零，照样发送。",
)
def test_what_nobody_uses_has_a_gradient_of_zeros(setting: Setting) -> Property:
    """Test it on ranks that all have the same one of several tasks."""

    @given(model=st.sampled_from(setting.tasks), task=st.sampled_from((0, 1)), options=st.sampled_from(setting.options))
    def holds(impl: Any, model: MultiTaskMLP, task: int, options: Mapping[str, Any]) -> None:
        case = random_case(setting, setting.sizes[0], model, task, options).of_tasks(task)
        group = setting.group(impl, case)
        step = setting.step(group, case)
        for rank, grads in enumerate(setting.whole(group, step.grads())):
            check_names(grads, case.params, what=Message("the gradients on rank {rank}", rank=rank))
            for name, value in case.params.items():
                if name.startswith("heads.") and not name.startswith(f"heads.{task}."):
                    what = Message("the gradient of the unused {name} on rank {rank}", name=name, rank=rank)
                    assert_equal(grads[name], torch.zeros_like(value), what=what)
        check_sent(step.sent, partial(setting.sends, case), of=Message("in a step that leaves parameters unused"))

    return holds


@law(
    "A step sends what the formula says, and nothing else; a rank alone sends nothing.",
    zh="一步训练发送的正是公式所说的，此外什么也不发；只有一个 rank 时什么也不发。",
)
def test_a_step_sends_what_the_formula_says(setting: Setting) -> Property:
    """Test it on each group size, and on a single rank; groups of odd size compute in float64."""
    sizes = [
        (size, model, options) for size in setting.sizes for model in setting.models for options in setting.options
    ]

    @given(chosen=st.sampled_from([*sizes, (1, setting.models[0], setting.options[0])]))
    def holds(impl: Any, chosen: tuple[int, Any, Mapping[str, Any]]) -> None:
        size, model, options = chosen
        case = random_case(setting, size, model, 0, options, dtype=FLOATS[size % 2])
        group = setting.group(impl, case)
        step = setting.step(group, case)
        check_sent(step.sent, lambda rank: setting.sends(case, rank) if size > 1 else [], of=Message("in a step"))
        dtypes = {dtype for transfer in group.traffic() for dtype in transfer.dtypes}
        assert_equal(
            dtypes - {FLOATS[size % 2]}, set(), what=Message("other dtypes than the parameters' in what is sent")
        )

    return holds


@law(
    "Steps with momentum on every rank's own shards give the same weights as one machine with all examples, and all "
    "ranks agree on them, bit for bit.",
    zh="每个 rank 在自己的分片上做带动量的更新，得到的权重与一台机器处理全部样本相同，各 rank 的结果始终逐位相同。",
)
def test_training_equals_training_on_one_machine(setting: Setting) -> Property:
    """Test it on three optimizer steps, taken by the strategy if the setting has an optimizer, and otherwise here."""

    @given(size=st.sampled_from(setting.sizes[:2]), seed=st.sampled_from(range(4)))
    def holds(impl: Any, size: int, seed: int) -> None:
        options = setting.options[seed % len(setting.options)]
        steps = [random_case(setting, size, setting.models[-1], 3 * seed + n, options) for n in range(3)]
        group, optimizer = setting.group(impl, steps[0]), setting.optimizer or Momentum()
        alone = steps[0].params
        state, shards = optimizer.init(alone), group.shard(alone)
        states = group.init_state(per_rank(shards)) if setting.optimizer else [optimizer.init(own) for own in shards]
        for number, case in enumerate(steps, start=1):
            alone, state = optimizer.step(alone, case._replace(params=alone).expected(), state)
            step = Step(group.step(per_rank(shards), per_rank(case.batches)), [])
            if setting.optimizer:
                updated = group.update(per_rank(shards), per_rank(step.grads()), per_rank(states))
            else:
                for own, grads in zip(shards, step.grads(), strict=True):
                    check_names(grads, own, what=Message("the gradients"))
                updated = list(map(optimizer.step, shards, step.grads(), states))
            shards, states = [own for own, _ in updated], [own for _, own in updated]
            whole = setting.whole(group, shards)
            for rank, params in enumerate(whole):
                check_names(params, alone, what=Message("the parameters on rank {rank}", rank=rank))
                for name, value in params.items():
                    what = Message(
                        "the parameter {name} on rank {rank} after step {number}", name=name, rank=rank, number=number
                    )
                    tolerance = sum_tolerance(torch.float64, 1000, 10.0)
                    assert_close(value, alone[name], dtype=torch.float64, tolerance=tolerance, what=what)
                    assert_equal(value, whole[0][name], what=Message("{what}, next to rank 0's,", what=what))
        check_whole(group.gather(per_rank(shards)), whole[0], what=Message("the gathered parameters"))

    return holds


@law(
    "A step starts afresh: no gradient of an earlier step, and none of one that was broken off, is left in it.",
    zh="每一步都重新开始：不残留前一步的梯度，也不残留中断了的那一步的梯度。",
)
def test_a_step_leaves_nothing_behind(setting: Setting) -> Property:
    """Test it on two steps with different parameters, and with different tasks if there are several."""
    models = setting.tasks or setting.models

    @given(
        tasks=st.sampled_from(((0, 1), (1, 0))),
        seed=st.sampled_from((0, 1)),
        broken_off=st.booleans() if setting.interrupt else st.just(False),
    )
    def holds(impl: Any, tasks: tuple[int, int], seed: int, broken_off: bool) -> None:
        options = setting.options[seed % len(setting.options)]
        first, second = (random_case(setting, setting.sizes[0], models[0], n, options) for n in (seed, seed + 2))
        if setting.tasks:
            first, second = first.of_tasks(tasks[0]), second.of_tasks(tasks[1])
        group = setting.group(impl, first)
        setting.step(group, first)
        if broken_off and setting.interrupt:
            setting.interrupt(group, first)
        check_grads(setting, group, setting.step(group, second), second)

    return holds


@law(
    "Gathering gives the whole parameters on every rank, and sends what the formula says.",
    zh="gather 在每个 rank 上给出完整的参数，发送的正是公式所说的。",
)
def test_gathering_gives_the_whole_parameters(setting: Setting) -> Property:
    """Test it on the shards from ``shard``."""

    @given(
        model=st.sampled_from((setting.models[0], (*setting.models, *setting.tasks)[-1])),
        size=st.sampled_from((setting.sizes[0], 1)),
    )
    def holds(impl: Any, model: Any, size: int) -> None:
        case = random_case(setting, size, model, 0)
        group = setting.group(impl, case)
        shards = group.shard(case.params)
        before = sent(group, size)
        check_whole(group.gather(per_rank(shards)), case.params, what=Message("the whole parameters"))
        since = [own[len(old) :] for old, own in zip(before, sent(group, size), strict=True)]
        check_sent(since, lambda rank: setting.gathers(case, rank) if size > 1 else [], of=Message("in gather"))

    return holds


@law("It gives what the reference gives.", zh="与参考实现的结果相同。")
def test_it_equals_the_reference(setting: Setting) -> Property:
    """Test it on the outputs and gradients of one step."""

    @given(seed=st.sampled_from(range(4)), dtype=st.sampled_from(FLOATS))
    def holds(impl: Any, reference: Any, seed: int, dtype: torch.dtype) -> None:
        models = setting.tasks or setting.models
        case = random_case(setting, setting.sizes[0], models[0], seed, dtype=dtype)
        case = case.of_tasks(seed % 2) if setting.tasks else case
        ours, theirs = (setting.step(setting.group(kind, case), case) for kind in (reference, impl))
        tolerance = sum_tolerance(dtype, setting.terms, setting.largest)
        for rank, (expected, got) in enumerate(zip(ours.grads(), theirs.grads(), strict=True)):
            output = ours.results[rank][0]
            what = Message("the output of rank {rank}", rank=rank)
            assert_close(theirs.results[rank][0], output, dtype=output.dtype, tolerance=tolerance, what=what)
            for name, grad in expected.items():
                what = Message("the gradient of {name} on rank {rank}", name=name, rank=rank)
                assert_close(got[name], grad, dtype=grad.dtype, tolerance=tolerance, what=what)

    return holds
