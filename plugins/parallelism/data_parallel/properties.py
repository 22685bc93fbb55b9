"""Properties of every right data-parallel strategy: the laws of parallel training, and properties of the buckets.

The judge counts the messages between ranks, which shows which buckets were started, their sizes and their order.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.messages import Message
from groundup.core.models import Linears, MultiTaskMLP, Params
from groundup.core.testing import (
    Deadlock,
    Event,
    Mismatch,
    after,
    assert_close,
    assert_equal,
    claim,
    handed,
    hole,
    per_rank,
    rejects,
    sum_tolerance,
)
from groundup.core.testing.laws import parallel as laws
from groundup.core.testing.laws.parallel import (
    FLOATS,
    ONE_LAYER,
    THREE_TASKS,
    TWO_LAYERS,
    TWO_TASKS,
    Case,
    all_reduce_bytes,
    check_names,
    check_sent,
)
from groundup.core.testing.strategies import LAYOUTS, laid_out

CAPS = (0, 48, 24, 1000)  # bytes: from one bucket per parameter to a single bucket


def planned(params: Params, bucket_bytes_cap: int) -> list[list[str]]:
    """Return the names in each bucket, filled from the last parameter to the first."""
    left, buckets = list(params)[::-1], []
    while left:
        count = 1
        while count < len(left) and sum(params[n].nbytes for n in left[: count + 1]) <= bucket_bytes_cap:
            count += 1
        buckets.append(left[:count])
        left = left[count:]
    return buckets


def buckets_sent(case: Case, rank: int = 0) -> list[tuple[str, int]]:
    """Return what one rank sends for the buckets of a step: one all-reduce per bucket."""
    sent = []
    for bucket in planned(case.params, case.options["bucket_bytes_cap"]):
        grads = [case.params[name] for name in bucket]
        elements = sum(grad.numel() for grad in grads)
        sent.append(("all_reduce", all_reduce_bytes(elements, grads[0].element_size(), case.size)))
    return sent


def broken_off(group: Any, case: Case) -> None:
    """Start a step that stays incomplete: pass the gradients of all parameters but the first."""
    group.prepare_for_backward(case.params)
    for name in list(case.params)[:0:-1]:
        group.mark_variable_ready(name, torch.full_like(case.params[name], 64.0))


DATA_PARALLEL = laws.Setting(
    sends=buckets_sent, options=tuple({"bucket_bytes_cap": cap} for cap in CAPS), interrupt=broken_off
)

test_every_rank_begins_with_rank_zeros_parameters = laws.test_every_rank_begins_with_rank_zeros_parameters(
    DATA_PARALLEL, hole=1
)


@claim(
    "Buckets are filled from the last parameter on, up to exactly bucket_bytes_cap; a larger parameter has one of its "
    "own, and none is left out.",
    zh="桶从最后一个参数开始装，最多恰好装到 bucket_bytes_cap；更大的参数独占一个桶，没有参数被漏掉。",
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
    params = model.init(0, dtype)
    run = list(params)[::-1][first : first + count]  # the cap is their total size, or differs from it by one byte
    cap = sum(params[name].nbytes for name in run) + more
    (buckets,) = impl(1, model, bucket_bytes_cap=cap).compute_bucket_assignment_by_size(params)
    if not isinstance(buckets, list):
        raise Mismatch(
            Message("what is returned is no list"), Message("a list of lists of names"), type(buckets).__name__
        )
    got = [list(bucket) if isinstance(bucket, tuple) else bucket for bucket in buckets]
    assert_equal(got, planned(params, cap), what=Message("the buckets"))


test_gradients_are_those_of_the_mean_loss_over_all_examples = (
    laws.test_gradients_are_those_of_the_mean_loss_over_all_examples(
        DATA_PARALLEL,
        hole=5,
        claim={
            "en": "With equal parts, every rank returns the gradient of the mean loss over the examples of all ranks, "
            "the same bits everywhere, whatever the buckets.",
            "zh": "各 rank 样本数相等时，每个 rank 返回的都是全部样本的平均损失的梯度，各处逐位相同，与怎样分桶无关。",
        },
    )
)
test_outputs_are_those_of_ones_own_batch = laws.test_outputs_are_those_of_ones_own_batch(DATA_PARALLEL, hole=5)
test_a_rank_counts_once_however_many_examples_it_has = laws.test_a_rank_counts_once_however_many_examples_it_has(
    DATA_PARALLEL, hole=5
)
test_ranks_may_use_different_parameters = laws.test_ranks_may_use_different_parameters(DATA_PARALLEL, hole=5)
test_what_nobody_uses_has_a_gradient_of_zeros = laws.test_what_nobody_uses_has_a_gradient_of_zeros(
    DATA_PARALLEL,
    hole=5,
    claim={
        "en": "A parameter that no rank uses has a gradient of zeros, and its bucket is sent like any other.",
        "zh": "没有任何 rank 用到的参数，梯度是零；它的桶照样发送。",
    },
)
test_a_step_sends_what_the_formula_says = laws.test_a_step_sends_what_the_formula_says(
    DATA_PARALLEL,
    hole=4,
    claim={
        "en": "A step sends the buckets of the plan, in its order, each in one all-reduce of 2 (N - 1) / N of its "
        "bytes, and nothing else; a rank alone sends nothing.",
        "zh": "一步训练按计划的次序发送各桶，每桶一次 all-reduce，发送其字节数的 2 (N - 1) / N，此外什么也不发；"
        "只有一个 rank 时什么也不发。",
    },
)


@claim(
    "Every bucket has been started before any is waited for: a rank whose partner never comes has sent them all.",
    zh="等待任何一个桶之前，所有的桶都已启动：哪怕对方永远不来，这个 rank 也已把它们全部发出。",
)
@hole(5)
@after(test_a_step_sends_what_the_formula_says)
@given(
    model=st.sampled_from((ONE_LAYER, TWO_LAYERS)),
    options=st.sampled_from(DATA_PARALLEL.options),
    absent=st.integers(0, 1),
)
def test_all_buckets_are_started_before_any_is_waited_for(
    impl: Any, model: MultiTaskMLP, options: dict[str, int], absent: int
) -> None:
    case = laws.random_case(DATA_PARALLEL, 2, model, 0, options)
    case.batches[absent]["x"] = torch.ones(2, 7, dtype=torch.float64)  # its forward pass raises
    group = DATA_PARALLEL.group(impl, case)
    with rejects(RuntimeError, ValueError, what=Message("an input of 7 numbers where the model takes 2")):
        DATA_PARALLEL.step(group, case)
    there = laws.sent(group, 2)[1 - absent]
    check_sent(
        [there],
        lambda _: buckets_sent(case),
        of=Message("before it waits for rank {absent}, which never comes", absent=absent),
    )


class Arrivals(NamedTuple):
    """A step on two ranks, and the order in which its gradients come."""

    case: Case
    order: list[str]


def arrivals() -> st.SearchStrategy[Arrivals]:
    """Draw steps with the gradients in any order, shrinking towards the order of the buckets."""

    def build(model: MultiTaskMLP, order: list[str], dtype: torch.dtype, layout: str, cap: int) -> Arrivals:
        params = {name: laid_out(value, layout) for name, value in model.init(0, dtype).items()}
        return Arrivals(Case(model, params, [{}, {}], {"bucket_bytes_cap": cap}), order)

    choices = [st.sampled_from(options) for options in (FLOATS, LAYOUTS, CAPS)]
    return st.one_of(
        [
            st.builds(build, st.just(model), st.permutations(list(model.init(0))[::-1]), *choices)
            for model in (ONE_LAYER, TWO_LAYERS)
        ]
    )


@claim(
    "A bucket is started by the last gradient that it lacks, at once, and never before the buckets in front of it.",
    zh="桶缺的最后一个梯度一到就立即启动它，但绝不先于排在它前面的桶。",
)
@hole(3)
@given(arrived=arrivals())
def test_a_bucket_is_started_by_its_last_gradient(impl: Any, arrived: Arrivals) -> None:
    case, order = arrived
    buckets, expected = planned(case.params, case.options["bucket_bytes_cap"]), buckets_sent(case)
    group = DATA_PARALLEL.group(impl, case)
    group.prepare_for_backward(case.params)
    for count, name in enumerate(order, start=1):
        try:
            group.mark_variable_ready(name, torch.ones_like(case.params[name]))
        except Deadlock:  # it waits for a bucket, which the next property checks
            return
        here = set(order[:count])
        complete = next((k for k, bucket in enumerate(buckets) if not here.issuperset(bucket)), len(buckets))
        of = Message("once {names} have come", names=order[:count])
        check_sent(laws.sent(group, 2), lambda _, count=complete: expected[:count], of=of)  # type: ignore[misc]


@claim(
    "A bucket that is started is not waited for: one gradient sets all buckets free, and all are sent, though the "
    "other rank never comes.",
    zh="启动一个桶之后不等待它：一个梯度放行了所有的桶，哪怕另一个 rank 永远不来，它们也全部发出。",
)
@hole(3)
@after(test_a_bucket_is_started_by_its_last_gradient)
@given(model=st.sampled_from((ONE_LAYER, TWO_LAYERS)), absent=st.integers(0, 1))
def test_a_bucket_that_is_started_is_not_waited_for(impl: Any, model: MultiTaskMLP, absent: int) -> None:
    params = model.init(0)
    case = Case(model, params, [{}, {}], {"bucket_bytes_cap": 0})
    group = DATA_PARALLEL.group(impl, case)
    group.prepare_for_backward(params)
    *names, first = params  # the gradient of ``first``, in the first bucket, comes last
    for name in names:
        group.mark_variable_ready(name, torch.ones_like(params[name]))
    grads = [
        "not a tensor" if rank == absent else torch.ones_like(params[first]) for rank in range(2)
    ]  # the absent rank raises
    with rejects(AttributeError, TypeError, RuntimeError, ValueError, what=Message("a text as a gradient")):
        group.mark_variable_ready(first, per_rank(grads))
    there = laws.sent(group, 2)[1 - absent]
    check_sent([there], lambda _: buckets_sent(case), of=Message("while rank {absent} never comes", absent=absent))


class UnlikeArrivals(NamedTuple):
    """A step on two ranks, and the order in which gradients come on each."""

    case: Case
    orders: tuple[list[str], list[str]]


@st.composite
def unlike_arrivals(draw: st.DrawFn) -> UnlikeArrivals:
    """Draw steps with an order of gradients for each rank, shrinking towards that of the buckets and its reverse.

    On both ranks the last gradient is one of the first bucket, so that it starts all buckets in the same call of the
    judge. A bucket that one rank alone starts in a call is a deadlock to the judge, which keeps a sum only until the
    end of the next call.
    """
    model, cap = draw(st.sampled_from((ONE_LAYER, TWO_LAYERS))), draw(st.sampled_from(CAPS))
    dtype, layout = draw(st.sampled_from(FLOATS)), draw(st.sampled_from(LAYOUTS))
    params = {name: laid_out(value, layout) for name, value in model.init(0, dtype).items()}
    buckets = planned(params, cap)

    def order(turned: int) -> list[str]:
        last = draw(st.sampled_from(buckets[0][::turned]))
        rest = [name for bucket in buckets for name in bucket if name != last]
        return [*draw(st.permutations(rest[::turned])), last]

    return UnlikeArrivals(Case(model, params, [{}, {}], {"bucket_bytes_cap": cap}), (order(1), order(-1)))


@claim(
    "On each rank gradients may come in another order: what is averaged is each parameter's own.",
    zh="各 rank 上梯度到来的次序可以不同：求平均的始终是同一个参数的梯度。",
)
@hole(4)
@after(test_a_bucket_is_started_by_its_last_gradient)
@given(arrived=unlike_arrivals())
def test_on_each_rank_gradients_may_come_in_another_order(impl: Any, arrived: UnlikeArrivals) -> None:
    case, orders = arrived
    group = DATA_PARALLEL.group(impl, case)
    group.prepare_for_backward(case.params)
    own = {
        name: [torch.full_like(case.params[name], n + 4.0 * rank) for rank in range(2)]
        for n, name in enumerate(orders[0])
    }
    for names in zip(*orders, strict=True):
        group.mark_variable_ready(per_rank(names), per_rank([own[name][rank] for rank, name in enumerate(names)]))
    for rank, grads in enumerate(group.finalize_backward()):
        for name, (here, there) in own.items():
            assert_equal(
                grads[name],
                (here + there) / 2,
                what=Message("the gradient of {name} on rank {rank}", name=name, rank=rank),
            )


@claim(
    "Every rank returns the mean of what each would return alone, in the parameters' shapes, the same bits everywhere.",
    zh="每个 rank 返回的都是各 rank 单独训练时所得梯度的平均，形状与参数相同，各处逐位相同。",
)
@hole(4)
@given(
    model=st.sampled_from((THREE_TASKS, TWO_LAYERS)),
    examples=st.sampled_from(((1, 5), (6, 2), (3, 7, 4))),
    options=st.sampled_from(DATA_PARALLEL.options),
    seed=st.sampled_from((0, 1)),
)
def test_it_is_the_mean_of_what_each_would_get_alone(
    impl: Any, model: MultiTaskMLP, examples: tuple[int, ...], options: dict[str, int], seed: int
) -> None:
    size = len(examples)
    case = laws.random_case(DATA_PARALLEL, size, model, seed, options, examples=max(examples))
    case = case.of_tasks(*[(rank + seed) % model.tasks for rank in range(size)])
    batches = [
        {key: value[:count] if isinstance(value, torch.Tensor) else value for key, value in batch.items()}
        for batch, count in zip(case.batches, examples, strict=True)
    ]
    case = case._replace(batches=batches)
    alone = [
        DATA_PARALLEL.step(impl(1, model, bucket_bytes_cap=0), case._replace(batches=[batch])).grads()[0]
        for batch in batches
    ]
    for own in alone:
        check_names(own, case.params, what=Message("the gradients of a rank alone"))
        shapes = {name: list(grad.shape) for name, grad in own.items()}
        assert_equal(
            shapes, {name: list(v.shape) for name, v in case.params.items()}, what=Message("the gradients' shapes")
        )
    step = DATA_PARALLEL.step(DATA_PARALLEL.group(impl, case), case)
    for rank, grads in enumerate(step.grads()):
        check_names(grads, case.params, what=Message("the gradients on rank {rank}", rank=rank))
        for name, grad in grads.items():
            what = Message("the gradient of {name} on rank {rank}", name=name, rank=rank)
            mean = torch.stack([own[name] for own in alone]).mean(0)
            tolerance = sum_tolerance(torch.float64, size, DATA_PARALLEL.largest)
            assert_close(grad, mean, dtype=torch.float64, tolerance=tolerance, what=what)
            assert_equal(grad, step.grads()[0][name], what=Message("{what}, next to rank 0's,", what=what))


@claim(
    "Buckets leave while the backward pass goes on: when it reaches the first layer, every bucket without a gradient "
    "of that layer is on its way.",
    zh="反向传播还在进行时桶就已发出：轮到第一层时，凡是不含该层梯度的桶都已在途中。",
)
@hole(5)
@after(test_a_step_sends_what_the_formula_says)
@given(model=st.sampled_from((ONE_LAYER, TWO_LAYERS)), options=st.sampled_from(DATA_PARALLEL.options))
def test_buckets_leave_while_the_backward_pass_goes_on(impl: Any, model: MultiTaskMLP, options: dict[str, int]) -> None:
    events: list[Event] = []
    case = laws.random_case(DATA_PARALLEL, 2, replace(model, linears=handed(Linears(), events)), 0, options)
    group = DATA_PARALLEL.group(impl, case)
    DATA_PARALLEL.step(group, case)
    first = set(model.layers()[0])
    early = list(itertools.takewhile(first.isdisjoint, planned(case.params, case.options["bucket_bytes_cap"])))
    for rank in range(case.size):
        ends = max(event.at for event in events if event.kind == "backward" and event.rank == rank)
        gone = sum(event.at < ends for event in group.messages() if event.rank == rank)
        if gone < len(early):
            raise Mismatch(
                Message("rank {rank} holds buckets back until the backward pass has ended", rank=rank),
                Message("{count} bucket(s) started before it reaches the first layer", count=len(early)),
                Message("{count} bucket(s)", count=gone),
            )


test_training_equals_training_on_one_machine = laws.test_training_equals_training_on_one_machine(
    DATA_PARALLEL,
    after=test_gradients_are_those_of_the_mean_loss_over_all_examples,
    claim={
        "en": "Steps with momentum on every rank's own copy give the same weights as one machine with all examples, "
        "and all copies stay the same, bit for bit.",
        "zh": "每个 rank 在自己的副本上做带动量的更新，得到的权重与一台机器处理全部样本相同，各副本始终逐位相同。",
    },
)
test_a_step_leaves_nothing_behind = laws.test_a_step_leaves_nothing_behind(
    DATA_PARALLEL,
    after=(
        test_gradients_are_those_of_the_mean_loss_over_all_examples,
        test_all_buckets_are_started_before_any_is_waited_for,
    ),
)


@claim(
    "The plan is the same on all ranks and in all steps, whichever parameters the ranks have used before.",
    zh="不管各 rank 之前用到了哪些参数，计划在所有 rank 上、在每一步里都相同。",
)
@hole(4)
@given(
    model=st.sampled_from((TWO_TASKS, THREE_TASKS)),
    options=st.sampled_from(DATA_PARALLEL.options),
    seed=st.sampled_from((0, 1)),
)
def test_the_plan_stays_the_same(impl: Any, model: MultiTaskMLP, options: dict[str, int], seed: int) -> None:
    case = laws.random_case(DATA_PARALLEL, 2, model, seed, options).of_tasks(0, model.tasks - 1)
    group = DATA_PARALLEL.group(impl, case)
    before = group.compute_bucket_assignment_by_size(case.params)
    first = DATA_PARALLEL.step(group, case).sent
    for rank, plan in enumerate(group.compute_bucket_assignment_by_size(case.params)):
        assert_equal(
            before[rank], before[0], what=Message("the plan of rank {rank}, next to that of rank 0,", rank=rank)
        )
        assert_equal(
            plan, before[rank], what=Message("the plan of rank {rank} after a step, next to that before it,", rank=rank)
        )
    for rank, sent in enumerate(DATA_PARALLEL.step(group, case).sent):
        assert_equal(
            sent, first[rank], what=Message("what rank {rank} sends in the next step, next to the first,", rank=rank)
        )


test_gathering_gives_the_whole_parameters = laws.test_gathering_gives_the_whole_parameters(
    DATA_PARALLEL,
    hole=1,
    claim={
        "en": "Gathering gives the whole parameters on every rank, and sends nothing.",
        "zh": "gather 在每个 rank 上给出完整的参数，什么也不发送。",
    },
)
test_it_equals_the_reference = laws.test_it_equals_the_reference(
    DATA_PARALLEL, after=test_gradients_are_those_of_the_mean_loss_over_all_examples
)
