"""Properties of every right AdamW.

Constants are dyadic and large: eps, decay and bias correction change the leading digits of a step, and powers of beta
are as accurate in float32 as in float64.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.messages import Message
from groundup.core.testing import (
    Mismatch,
    about,
    after,
    assert_close,
    assert_equal,
    assert_form,
    claim,
    float_dtypes,
    hole,
    sum_tolerance,
)
from groundup.core.testing.laws import optimizer as laws
from groundup.core.testing.laws.optimizer import DTYPES, Training, trainings

MOMENTS = ("exp_avg", "exp_avg_sq")
LRS = (0.5, 0.125)
ONE = (1.0,)  # the learning rate is part of hole 5
BETAS = ((0.75, 0.875), (0.25, 0.625), (0.75, 0.375))  # no two of b1, b2, 1 - b1, 1 - b2, b1^2 are equal in all pairs
EPSILONS = (0.25, 1.5)
WEIGHT_DECAYS = (0.5, 0.75)


def constants(
    *,
    lrs: Sequence[float] = LRS,
    betas: Sequence[tuple[float, float]] = BETAS,
    eps: Sequence[float] = EPSILONS,
    weight_decay: Sequence[float] = WEIGHT_DECAYS,
) -> list[dict[str, Any]]:
    """Return all combinations of the constructor's arguments."""
    fields = ("lr", "betas", "eps", "weight_decay")
    return [dict(zip(fields, drawn, strict=True)) for drawn in itertools.product(lrs, betas, eps, weight_decay)]


def form(params: dict[str, Tensor], state: Any) -> None:
    """Check the form of a state: names, keys, shapes and dtypes."""
    laws.by_name(params, state)
    for name, param in params.items():
        of_it = state[name]
        if not isinstance(of_it, dict) or set(of_it) != {"step", *MOMENTS}:
            expected = laws.names(dict.fromkeys(("step", *MOMENTS)))
            raise Mismatch(Message("the state of {name!r} has other entries", name=name), expected, laws.names(of_it))
        if type(of_it["step"]) not in (int, float):  # a float fails later, in the comparison after all steps
            raise Mismatch(
                Message("the step of {name!r} is no int", name=name), Message("an int"), type(of_it["step"]).__name__
            )
        for moment in MOMENTS:
            assert_form(
                of_it[moment],
                param.shape,
                param.dtype,
                what=Message("the average {moment} of {name!r}", moment=moment, name=name),
            )


ADAMW = laws.Setting(constants=constants(), form=form)


@claim(
    "Before the first step each parameter has a state of its own: no step counted, and averages of zeros in its shape "
    "and dtype.",
    zh="第一步之前，每个参数都有自己的状态：步数为 0，两个滑动平均全为零，形状和 dtype 与参数相同。",
)
@hole(1)
@given(
    shapes=st.sampled_from([[(2,)], [(2,), (1, 3)], [(), (0,), (2, 2)], []]),
    dtype=st.sampled_from((*DTYPES, torch.bfloat16)),
)
def test_the_state_begins_with_zeros(impl: Any, shapes: list[tuple[int, ...]], dtype: torch.dtype) -> None:
    params = {f"w{n}": torch.full(shape, 2.0, dtype=dtype) for n, shape in enumerate(shapes)}
    _, state = ADAMW.begin(impl(), params)
    for name, param in params.items():
        assert_equal(state[name]["step"], 0, what=Message("the step of {name!r}", name=name))
        for moment in MOMENTS:
            assert_equal(
                state[name][moment],
                torch.zeros_like(param),
                what=Message("the average {moment} of {name!r}", moment=moment, name=name),
            )


@claim(
    "After t steps the averages are (1 - beta) times the sum of beta^(t - i) times the i-th gradient, or its square. "
    "Of parameter, learning rate and decay they know nothing.",
    zh="t 步之后，两个滑动平均是 (1 - beta) 乘以各步 beta^(t - i) 与第 i 个梯度（或其平方）之积的和。"
    "它们与参数、学习率和衰减无关。",
)
@hole(3)
@given(training=trainings(constants()))
def test_the_averages_weigh_gradients_by_their_age(impl: Any, training: Training) -> None:
    _, state = ADAMW.run(impl, training)
    steps, (beta1, beta2) = len(training.grads), training.constants["betas"]
    grads = torch.stack([grad["w"].to(torch.float64) for grad in training.grads])
    exp_avg = (1 - beta1) * weighted_sum(grads, beta1)
    exp_avg_sq = (1 - beta2) * weighted_sum(grads * grads, beta2)
    check_state(state, "w", steps, exp_avg, exp_avg_sq, dtype=training.params["w"].dtype)


@claim(
    "With lr 1 and without eps and decay the first step is the sign of the gradient, however large the gradient and "
    "whatever the betas.",
    zh="lr 为 1、eps 和衰减都为 0 时，第一步等于梯度的符号，与梯度的大小和两个 beta 无关。",
)
@hole(4)
@given(training=trainings(constants(lrs=ONE, eps=(0.0,), weight_decay=(0.0,)), steps=(1,), nonzero=True))
def test_the_first_step_is_the_learning_rate(impl: Any, training: Training) -> None:
    params, _ = ADAMW.run(impl, training)
    ADAMW.check(params["w"], training.params["w"] - training.grads[0]["w"].sign())


@claim(
    "Under a steady gradient g every step is the same, the first like all others: g / (|g| + eps), with lr 1.",
    zh="梯度恒为 g 时，每一步都一样，第一步也不例外：lr 为 1 时是 g / (|g| + eps)。",
)
@hole(4)
@given(training=trainings(constants(lrs=ONE, weight_decay=(0.0,)), steps=(1,)), steps=st.integers(1, 5))
def test_a_steady_gradient_takes_equal_steps(impl: Any, training: Training, steps: int) -> None:
    grad, eps = training.grads[0]["w"], training.constants["eps"]
    params, _ = ADAMW.run(impl, training._replace(grads=training.grads * steps))
    ADAMW.check(params["w"], training.params["w"] - steps * grad / (grad.abs() + eps), steps)


@claim(
    "A step goes along the weighted mean of the gradients so far, over the root of the weighted mean of their squares "
    "plus eps; weights of beta^age, divided by their sum.",
    zh="一步的方向是迄今梯度的加权平均，除以“梯度平方的加权平均的平方根加 eps”；"
    "权重是 beta 的若干次方（次数为该步距今的步数），再除以权重之和。",
)
@hole(4)
@after(test_the_averages_weigh_gradients_by_their_age)
@given(
    training=trainings(constants(lrs=ONE, betas=(*BETAS, (0.0, 0.75), (0.0, 0.0)), weight_decay=(0.0,)), steps=(2, 3))
)
def test_a_step_divides_weighted_means(impl: Any, training: Training) -> None:
    params, _ = ADAMW.run(impl, training)
    ADAMW.check(params["w"], slowly(training)["w"], len(training.grads))


test_scaling_all_gradients_changes_nothing = laws.test_scaling_all_gradients_changes_nothing(
    replace(ADAMW, constants=constants(lrs=ONE, eps=(0.0,), weight_decay=(0.0,))),
    hole=4,
    claim={
        "en": "Without eps and decay, scaling all gradients of a training by one factor changes no step.",
        "zh": "没有 eps 和衰减时，把训练中的所有梯度乘以同一个因子，每一步都不变。",
    },
)
test_the_decay_is_a_share_of_the_parameter = laws.test_the_decay_is_a_share_of_the_parameter(ADAMW, hole=5)
test_without_gradients_parameters_fade = laws.test_without_gradients_parameters_fade(ADAMW, hole=5)


@claim(
    "A gradient of zeros is a gradient: the step is counted, both averages shrink by their betas, and the parameter "
    "coasts on.",
    zh="全零的梯度也是梯度：计入步数，两个滑动平均各自按 beta 缩小，参数凭惯性继续移动。",
)
@given(training=trainings(constants(weight_decay=(0.0,)), steps=(1,)), steps=st.integers(1, 3))
def test_a_zero_gradient_is_a_gradient(impl: Any, training: Training, steps: int) -> None:
    grad, (beta1, beta2) = training.grads[0]["w"], training.constants["betas"]
    coasting = training._replace(grads=[{"w": grad}, *[{"w": torch.zeros_like(grad)}] * steps])
    params, state = ADAMW.run(impl, coasting)
    ADAMW.check(params["w"], slowly(coasting)["w"], 1 + steps)
    exp_avg = (1 - beta1) * beta1**steps * grad.to(torch.float64)
    exp_avg_sq = (1 - beta2) * beta2**steps * grad.to(torch.float64) ** 2
    check_state(state, "w", 1 + steps, exp_avg, exp_avg_sq, dtype=grad.dtype)


test_a_parameter_without_a_gradient_is_left_alone = laws.test_a_parameter_without_a_gradient_is_left_alone(
    ADAMW, hole=2
)
test_every_number_goes_its_own_way = laws.test_every_number_goes_its_own_way(ADAMW)


@claim(
    "A parameter steps the same beside one of another dtype as alone.",
    zh="一个参数与另一种 dtype 的参数一起更新时，结果与单独更新时相同。",
)
@hole(5)
@given(training=trainings(constants(), steps=(1, 2), shapes=laws.TWO))
def test_dtypes_stand_side_by_side(impl: Any, training: Training) -> None:
    other = DTYPES[training.params["v"].dtype == DTYPES[0]]
    params = {name: param.to(other) if name == "v" else param for name, param in training.params.items()}
    grads = [{name: grad.to(params[name].dtype) for name, grad in step.items()} for step in training.grads]
    together, _ = ADAMW.run(impl, Training(training.constants, params, grads))
    for name, param in params.items():
        own = Training(training.constants, {name: param}, [{name: step[name]} for step in grads])
        alone, _ = ADAMW.run(impl, own)
        ADAMW.check(together[name], alone[name], len(grads), what=Message("the new parameter {name!r}", name=name))


@claim(
    "A step is counted however many there were, once for each parameter: the counts of a long training go up by one.",
    zh="无论已经走了多少步，下一步都照样计入，每个参数只计一次：长时间训练的步数也加一。",
)
@hole(3)
@given(training=trainings(constants(), steps=(1,), shapes=laws.TWO), before=st.sampled_from((256, 2048, 100_000)))
def test_a_long_training_counts_on(impl: Any, training: Training, before: int) -> None:
    optimizer = impl(**training.constants)
    params, state = ADAMW.begin(optimizer, training.params)
    for entry in state.values():
        entry["step"] = before  # as restored from a checkpoint
    _, state = ADAMW.step(optimizer, params, state, training.grads[0])
    for name in params:
        what = Message("the step of {name!r} after step {before}", name=name, before=before)
        assert_equal(state[name]["step"], before + 1, what=what)


test_the_state_is_all_that_is_remembered = laws.test_the_state_is_all_that_is_remembered(ADAMW)
test_a_step_changes_nothing_that_it_is_given = laws.test_a_step_changes_nothing_that_it_is_given(ADAMW)


@claim(
    "A gradient in half or double precision does what the same number does in the parameter's dtype, even where its "
    "square leaves the range of half precision.",
    zh="半精度或双精度的梯度，效果与参数 dtype 下的同一个数相同，即使平方会超出半精度的范围。",
)
@about("dtype")
@hole(3)
@given(
    dtype=float_dtypes(),
    grad_dtype=st.sampled_from((torch.float16, torch.bfloat16, torch.float64)),
    grad=st.sampled_from((0.5, 2.0**-13, -(2.0**-11), 512.0)),
)
def test_a_gradient_is_taken_into_the_parameters_dtype(
    impl: Any, dtype: torch.dtype, grad_dtype: torch.dtype, grad: float
) -> None:
    params, optimizer = {"w": torch.ones(1, dtype=dtype)}, impl(lr=0.5, betas=(0.75, 0.875), eps=0.0, weight_decay=0.5)
    (new, state), (same, same_state) = (
        ADAMW.step(optimizer, *ADAMW.begin(optimizer, params), {"w": torch.full((1,), grad, dtype=of_grad)})
        for of_grad in (grad_dtype, dtype)
    )
    first, second = (same_state["w"][moment] for moment in MOMENTS)
    check_state(state, "w", same_state["w"]["step"], first, second, relative=True)
    ADAMW.check(new["w"], same["w"])


test_no_gradient_flows_through_a_step = laws.test_no_gradient_flows_through_a_step(ADAMW)
test_a_gradient_that_fits_no_parameter_is_refused = laws.test_a_gradient_that_fits_no_parameter_is_refused(ADAMW)


@claim(
    "Constructed without arguments it has torch's constants: lr 0.001, betas 0.9 and 0.999, eps 1e-8, weight_decay "
    "0.01. In float64 none of them is rounded to float32.",
    zh="不带参数构造时，常数与 torch 相同：lr 0.001，beta 为 0.9 和 0.999，eps 1e-8，weight_decay 0.01。"
    "float64 时，它们都不会被舍入成 float32。",
)
@given(start=st.sampled_from((1.0, -3.0, 64.0)), size=st.sampled_from((1.0, 1e-8, 3e-7)))
def test_the_defaults_are_those_of_torch(impl: Any, start: float, size: float) -> None:
    params = {"w": torch.tensor([start], dtype=torch.float64)}
    grads = [{"w": torch.tensor([sign * size], dtype=torch.float64)} for sign in (1, -0.5, 0.25)]
    defaults = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
    optimizer, expected = impl(), slowly(Training(defaults, params, grads))
    params, state = ADAMW.begin(optimizer, params)
    for grad in grads:
        params, state = ADAMW.step(optimizer, params, state, grad)
    moved, right = params["w"] - start, expected["w"] - start
    rounding = 8 * torch.finfo(torch.float64).eps * abs(start) / right.abs().item()  # parameter's rounding / update
    tolerance = sum_tolerance(torch.float64, ADAMW.depth + math.ceil(rounding / torch.finfo(torch.float64).eps))
    assert_close(
        moved / right, torch.ones(1), dtype=torch.float64, tolerance=tolerance, what=Message("the share of the way")
    )


FIFTY = {"lr": 0.0625, "betas": (0.875, 0.96875), "eps": 2.0**-10, "weight_decay": 0.5}


@claim(
    "Over fifty steps it stays with a recurrence in float64, in float32 too.",
    zh="走五十步，它始终与 float64 的递推一致，float32 也是如此。",
)
@after(test_the_averages_weigh_gradients_by_their_age, test_the_decay_is_a_share_of_the_parameter)
@given(dtype=float_dtypes(), how=st.sampled_from((FIFTY,)))
def test_fifty_steps_stay_with_a_recurrence(impl: Any, dtype: torch.dtype, how: dict[str, Any]) -> None:
    lr, (beta1, beta2), eps, weight_decay = how.values()
    param = torch.tensor([2.0, -1.0, 0.25], dtype=dtype)
    waves = [[((7 * t + 5 * n) % 17 - 8) / 8 for n in range(3)] for t in range(50)]  # of both signs
    grads = [{"w": torch.tensor(wave, dtype=dtype)} for wave in waves]
    params, state = ADAMW.run(impl, Training(how, {"w": param}, grads))
    m, v, theta = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), param.to(torch.float64)
    for t, wave in enumerate(waves, start=1):
        g = torch.tensor(wave, dtype=torch.float64)
        m, v = m + (1 - beta1) * (g - m), v + (1 - beta2) * (g * g - v)
        root = (v / (1 - beta2**t)).sqrt()
        theta = (1 - lr * weight_decay) * theta - lr * m / (1 - beta1**t) / (root + eps)
    ADAMW.check(params["w"], theta, len(grads))
    check_state(state, "w", len(grads), m, v, dtype=dtype)


test_it_equals_the_reference = laws.test_it_equals_the_reference(
    replace(ADAMW, constants=constants(betas=(*BETAS, (0.0, 0.0)), weight_decay=(0.0, *WEIGHT_DECAYS))),
    after=test_the_averages_weigh_gradients_by_their_age,
)


def check_state(
    state: dict[str, Any],
    name: str,
    count: int,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    *,
    dtype: torch.dtype | None = None,
    relative: bool = False,
) -> None:
    """Compare one parameter's state. With ``relative`` the tolerance scales with the expected numbers, if tiny."""
    assert_equal(state[name]["step"], count, what=Message("the step of {name!r}", name=name))
    for moment, expected in zip(MOMENTS, (exp_avg, exp_avg_sq), strict=True):
        size, kept = float(expected.abs().max()) if relative else ADAMW.largest, dtype or expected.dtype
        tolerance = sum_tolerance(kept, ADAMW.depth * max(count, 1), size)
        assert_close(
            state[name][moment],
            expected,
            dtype=kept,
            tolerance=tolerance,
            what=Message("the average {moment} of {name!r}", moment=moment, name=name),
        )


def weighted_sum(values: Tensor, beta: float) -> Tensor:
    """Return the sum of ``values``, (T, ...), over steps, each times beta to the power of its age (0 for the last)."""
    ages = range(len(values) - 1, -1, -1)
    return torch.stack([beta**age * value for age, value in zip(ages, values, strict=True)]).sum(0)


def slowly(training: Training) -> dict[str, Tensor]:
    """Return the parameters after all steps, in float64; each step is computed from all gradients so far."""
    lr, (beta1, beta2), eps, weight_decay = training.constants.values()
    moved = {}
    for name, param in training.params.items():
        theta = param.detach().to(torch.float64)
        grads = torch.stack([grad[name].to(torch.float64) for grad in training.grads])
        for t in range(1, len(grads) + 1):
            one, seen = torch.ones(t, dtype=torch.float64), grads[:t]
            mean = weighted_sum(seen, beta1) / weighted_sum(one, beta1)
            square = weighted_sum(seen * seen, beta2) / weighted_sum(one, beta2)
            theta = theta - lr * mean / (square.sqrt() + eps) - lr * weight_decay * theta
        moved[name] = theta
    return moved
