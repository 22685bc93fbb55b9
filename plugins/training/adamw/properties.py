"""What holds of every right AdamW.

Constants are dyadic, and large: what eps, decay or a correction does to a step shows in its first digits, and an
implementation that raises beta to a power in float32 is not off by more than one that does so in float64.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.testing import (
    Mismatch,
    after,
    assert_close,
    assert_equal,
    claim,
    float_dtypes,
    hole,
    rejects,
    sum_tolerance,
    tensors,
)
from groundup.core.testing.strategies import LAYOUTS, laid_out

DTYPES = (torch.float32, torch.float64)
MOMENTS = ("exp_avg", "exp_avg_sq")
LARGEST = 4.0  # parameter, average or update, about
DEEP = 16  # operations in a step, about


class Constants(NamedTuple):
    """What an optimizer is constructed with."""

    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float


LRS = (0.5, 0.125)
BETAS = ((0.75, 0.875), (0.25, 0.625), (0.75, 0.375))  # no two of b1, b2, 1 - b1, 1 - b2 and b1^2 alike in all of them
EPSILONS = (0.25, 1.5)
WEIGHT_DECAYS = (0.5, 0.75)


def constants(
    *,
    betas: Sequence[tuple[float, float]] = BETAS,
    eps: Sequence[float] = EPSILONS,
    weight_decay: Sequence[float] = WEIGHT_DECAYS,
) -> list[Constants]:
    return list(itertools.starmap(Constants, itertools.product(LRS, betas, eps, weight_decay)))


class Training(NamedTuple):
    """Constants, parameters, and the gradients of one step after another; all by name."""

    constants: Constants
    params: dict[str, Tensor]
    grads: list[dict[str, Tensor]]


Shapes = dict[str, tuple[int, ...]]
ONE: tuple[Shapes, ...] = ({"w": (1,)}, {"w": (2,)}, {"w": ()}, {"w": (2, 2)})


def trainings(
    of: Sequence[Constants],
    *,
    steps: Sequence[int] = (1, 2, 3),
    shapes: Sequence[Shapes] = ONE,
    nonzero: bool = False,
) -> st.SearchStrategy[Training]:
    """Draw a training: of how many steps, of which parameters; ``nonzero`` asks for gradients other than 0."""
    plans = list(itertools.product(shapes, DTYPES, steps))
    longest = max(sum(map(math.prod, of_it.values())) * (1 + count) for of_it, _, count in plans)
    numbers = tensors((longest,), dtype=torch.float64, layouts=False)  # one draw for all, which is quick
    layout = st.sampled_from(LAYOUTS)
    return st.builds(partial(planned, nonzero), st.sampled_from(plans), st.sampled_from(of), numbers, layout)


def planned(
    nonzero: bool, plan: tuple[Shapes, torch.dtype, int], of: Constants, numbers: Tensor, layout: str
) -> Training:
    (shapes, dtype, steps), start = plan, 0
    trained: list[dict[str, Tensor]] = []
    for number in range(1 + steps):
        trained.append({})
        for name, shape in shapes.items():
            drawn = numbers[start : start + math.prod(shape)].reshape(shape).to(dtype)
            start += math.prod(shape)
            trained[-1][name] = laid_out(torch.where(drawn == 0, 0.125, drawn) if nonzero and number else drawn, layout)
    return Training(of, trained[0], trained[1:])


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
    _, state = begin(impl(), params)
    for name, param in params.items():
        assert_equal(state[name]["step"], 0, what=f"the step of {name!r}")
        for moment in MOMENTS:
            assert_equal(state[name][moment], torch.zeros_like(param), what=f"the average {moment} of {name!r}")


@claim(
    "After t steps the averages are (1 - beta) times the sum of beta^(t - i) times the i-th gradient, or its square. "
    "Of parameter, learning rate and decay they know nothing.",
    zh="t 步之后，两个滑动平均是 (1 - beta) 乘以各步 beta^(t - i) 与第 i 个梯度（或其平方）之积的和。"
    "它们与参数、学习率和衰减无关。",
)
@hole(3)
@given(training=trainings(constants()))
def test_the_averages_weigh_gradients_by_their_age(impl: Any, training: Training) -> None:
    _, state = run(impl, training)
    steps, (beta1, beta2) = len(training.grads), training.constants.betas
    grads = torch.stack([grad["w"].to(torch.float64) for grad in training.grads])
    exp_avg = (1 - beta1) * weighted_sum(grads, beta1)
    exp_avg_sq = (1 - beta2) * weighted_sum(grads * grads, beta2)
    check_state(state, "w", steps, exp_avg, exp_avg_sq, dtype=training.params["w"].dtype)


@claim(
    "With eps and decay 0 the first step is lr times the sign of the gradient, however large the gradient and whatever "
    "the betas.",
    zh="eps 和衰减都为 0 时，第一步等于 lr 乘以梯度的符号，与梯度的大小和两个 beta 无关。",
)
@hole(4)
@given(training=trainings(constants(eps=(0.0,), weight_decay=(0.0,)), steps=(1,), nonzero=True))
def test_the_first_step_is_the_learning_rate(impl: Any, training: Training) -> None:
    params, _ = run(impl, training)
    check(params["w"], training.params["w"] - training.constants.lr * training.grads[0]["w"].sign())


@claim(
    "Under a steady gradient g every step is the same, the first like all others: lr * g / (|g| + eps).",
    zh="梯度恒为 g 时，每一步都一样，第一步也不例外：lr * g / (|g| + eps)。",
)
@hole(4)
@given(training=trainings(constants(weight_decay=(0.0,)), steps=(1,)), steps=st.integers(1, 5))
def test_a_steady_gradient_takes_equal_steps(impl: Any, training: Training, steps: int) -> None:
    grad, (lr, _, eps, _) = training.grads[0]["w"], training.constants
    params, _ = run(impl, training._replace(grads=training.grads * steps))
    check(params["w"], training.params["w"] - steps * lr * grad / (grad.abs() + eps), steps)


@claim(
    "A step goes along the weighted mean of the gradients so far, over the root of the weighted mean of their squares "
    "plus eps; weights of beta^age, divided by their sum.",
    zh="一步的方向是迄今梯度的加权平均，除以“梯度平方的加权平均的平方根加 eps”；"
    "权重是 beta 的若干次方（次数为该步距今的步数），再除以权重之和。",
)
@hole(4)
@after(test_the_averages_weigh_gradients_by_their_age)
@given(training=trainings(constants(betas=(*BETAS, (0.0, 0.75), (0.0, 0.0)), weight_decay=(0.0,)), steps=(2, 3)))
def test_a_step_divides_weighted_means(impl: Any, training: Training) -> None:
    params, _ = run(impl, training)
    check(params["w"], slowly(training)["w"], len(training.grads))


@claim(
    "With eps 0, scaling all gradients of a training by one factor changes no step. The decay is not scaled along.",
    zh="eps 为 0 时，把训练中的所有梯度乘以同一个因子，每一步都不变。衰减不随之缩放。",
)
@hole(4)
@given(
    training=trainings(constants(eps=(0.0,)), steps=(1, 2), nonzero=True),
    factor=st.sampled_from((64.0, 1 / 64, 1 / 1024)),
)
def test_scaling_all_gradients_changes_nothing(impl: Any, training: Training, factor: float) -> None:
    scaled = [{name: factor * grad for name, grad in grads.items()} for grads in training.grads]
    params, _ = run(impl, training._replace(grads=scaled))
    expected, _ = run(impl, training)
    check(params["w"], expected["w"], len(scaled))


@claim(
    "The decay takes lr * weight_decay of the parameter as it was before the step, whatever the gradients are and "
    "were, and leaves the averages alone.",
    zh="衰减减去的是这一步之前的参数的 lr * weight_decay 倍，与现在和过去的梯度无关，也不影响滑动平均。",
)
@hole(5)
@given(training=trainings(constants()))
def test_the_decay_is_a_share_of_the_parameter(impl: Any, training: Training) -> None:
    *earlier, last = training.grads
    plain, how = training.constants._replace(weight_decay=0.0), training.constants
    params, state = run(impl, Training(plain, training.params, earlier))
    without, state_without = step(impl(**plain._asdict()), params, state, last)
    with_it, state_with = step(impl(**how._asdict()), params, state, last)
    check(with_it["w"], without["w"] - how.lr * how.weight_decay * params["w"].to(torch.float64), len(training.grads))
    check_state(state_with, "w", len(training.grads), *(state_without["w"][moment] for moment in MOMENTS))


@claim(
    "Where all gradients are zero only the decay is left: every parameter shrinks by 1 - lr * weight_decay a step, "
    "large and small ones alike.",
    zh="梯度全为零时只剩衰减：每个参数无论大小，每步都缩小为原来的 1 - lr * weight_decay 倍。",
)
@hole(5)
@given(training=trainings(constants(), steps=(1,)), steps=st.integers(1, 4))
def test_without_gradients_parameters_fade(impl: Any, training: Training, steps: int) -> None:
    param, (lr, _, _, weight_decay) = training.params["w"], training.constants
    params, state = run(impl, training._replace(grads=[{"w": torch.zeros_like(param)}] * steps))
    check(params["w"], param.to(torch.float64) * (1 - lr * weight_decay) ** steps, steps)
    check_state(state, "w", steps, torch.zeros_like(param), torch.zeros_like(param))


@claim(
    "A gradient of zeros is a gradient: the step is counted, both averages shrink by their betas, and the parameter "
    "coasts on.",
    zh="全零的梯度也是梯度：计入步数，两个滑动平均各自按 beta 缩小，参数凭惯性继续移动。",
)
@given(training=trainings(constants(weight_decay=(0.0,)), steps=(1,)), steps=st.integers(1, 3))
def test_a_zero_gradient_is_a_gradient(impl: Any, training: Training, steps: int) -> None:
    grad, (beta1, beta2) = training.grads[0]["w"], training.constants.betas
    coasting = training._replace(grads=[{"w": grad}, *[{"w": torch.zeros_like(grad)}] * steps])
    params, state = run(impl, coasting)
    check(params["w"], slowly(coasting)["w"], 1 + steps)
    exp_avg = (1 - beta1) * beta1**steps * grad.to(torch.float64)
    exp_avg_sq = (1 - beta2) * beta2**steps * grad.to(torch.float64) ** 2
    check_state(state, "w", 1 + steps, exp_avg, exp_avg_sq, dtype=grad.dtype)


@claim(
    "A parameter without a gradient in a step stays as it is, undecayed, with its state; later it goes on as if that "
    "step had not been, whatever the others did.",
    zh="某一步没有梯度的参数保持原样，不衰减，状态也不变；之后它继续下去，就像那一步没有发生过，与其他参数无关。",
)
@hole(2)
@given(
    training=trainings(constants(), steps=(2, 3), shapes=({"w": (2,), "v": (2,)}, {"v": (1, 2), "w": ()})),
    absent=st.sampled_from([(0,), (1,), (0, 1)]),
)
def test_a_parameter_without_a_gradient_is_left_alone(impl: Any, training: Training, absent: Sequence[int]) -> None:
    optimizer = impl(**training.constants._asdict())
    params, state = begin(optimizer, training.params)
    for number, grads in enumerate(training.grads):
        if number not in absent:
            params, state = step(optimizer, params, state, grads)
            continue
        before, before_state = params["v"], state["v"]
        params, state = step(optimizer, params, state, {"w": grads["w"]})
        assert_equal(params["v"], before, what="the parameter without a gradient")
        check_state(state, "v", before_state["step"], *(before_state[moment] for moment in MOMENTS))
    present = [{"v": grads["v"]} for number, grads in enumerate(training.grads) if number not in absent]
    alone, _ = run(impl, Training(training.constants, {"v": training.params["v"]}, present))
    check(params["v"], alone["v"], len(training.grads))


@claim(
    "Every number goes its own way: a parameter steps the same beside others or alone, in one piece or in several, as "
    "a matrix or as a row.",
    zh="每个数各走各的路：一个参数单独更新还是与别的一起，整块还是拆成几块，矩阵还是一行，结果都一样。",
)
@given(
    training=trainings(
        constants(), steps=(1, 2), shapes=({"w": (2, 1), "v": (), "u": (1,)}, {"w": (2, 2), "v": (2,), "u": (1,)})
    )
)
def test_every_number_goes_its_own_way(impl: Any, training: Training) -> None:
    together, _ = run(impl, training)
    row = {"all": torch.cat([param.flatten() for param in training.params.values()])}
    rows = [{"all": torch.cat([grads[name].flatten() for name in training.params])} for grads in training.grads]
    in_a_row, _ = run(impl, Training(training.constants, row, rows))
    check(torch.cat([together[name].flatten() for name in training.params]), in_a_row["all"], len(rows))


@claim(
    "All that a step remembers is in the state: a new object goes on from it, and one object serves two trainings in "
    "turn.",
    zh="一步要记住的一切都在状态里：新建的对象能接着训练，同一个对象也能轮流服务两次训练。",
)
@given(training=trainings(constants(), steps=(2,)), other=trainings(constants(), steps=(1,)))
def test_the_state_is_all_that_is_remembered(impl: Any, training: Training, other: Training) -> None:
    through, through_state = run(impl, training)
    serving = impl(**training.constants._asdict())
    params, state = begin(serving, training.params)
    beside, beside_state = begin(serving, other.params)
    for number, grads in enumerate(training.grads):
        optimizer = serving if number % 2 == 0 else impl(**training.constants._asdict())
        params, state = step(optimizer, params, state, grads)
        beside, beside_state = step(serving, beside, beside_state, other.grads[0])
    check(params["w"], through["w"], len(training.grads))
    check_state(state, "w", len(training.grads), *(through_state["w"][moment] for moment in MOMENTS))


@claim(
    "A step changes nothing of what it is given, parameters, gradients or state: asked again, it answers the same.",
    zh="一步不改变传入的参数、梯度和状态：再问一次，回答相同。",
)
@given(training=trainings(constants(), steps=(2,)))
def test_a_step_changes_nothing_that_it_is_given(impl: Any, training: Training) -> None:
    first, second = training.grads
    optimizer = impl(**training.constants._asdict())
    params, state = step(optimizer, *begin(optimizer, training.params), first)
    param, count, moments = params["w"].clone(), state["w"]["step"], [state["w"][m].clone() for m in MOMENTS]
    once, once_state = step(optimizer, params, state, second)
    assert_equal(params["w"], param, what="the parameter passed in")
    check_state(state, "w", count, *moments)
    again, again_state = step(optimizer, params, state, second)
    assert_equal(again["w"], once["w"], what="the parameter at the second asking")
    check_state(again_state, "w", once_state["w"]["step"], *(once_state["w"][moment] for moment in MOMENTS))


@claim(
    "A gradient in half or double precision counts as the number that it is, even where its square leaves the range of "
    "half precision; the parameter's dtype is kept.",
    zh="半精度或双精度的梯度按它所代表的数计算，即使平方会超出半精度的范围；结果保持参数的 dtype。",
)
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
    grads = {"w": torch.full((1,), grad, dtype=grad_dtype)}
    new, state = step(optimizer, *begin(optimizer, params), grads)
    expected = torch.tensor([grad], dtype=dtype)
    check_state(state, "w", 1, 0.25 * expected, 0.125 * expected**2, relative=True)
    check(new["w"], 1 - 0.5 * (expected.sign() + 0.5))


@claim(
    "No gradient flows through a step: the new tensors require none, whether the old ones did or not.",
    zh="一步不传递梯度：无论旧张量是否需要梯度，新张量都不需要。",
)
@given(training=trainings(constants(), steps=(1,)))
def test_no_gradient_flows_through_a_step(impl: Any, training: Training) -> None:
    params = {"w": training.params["w"].clone().requires_grad_()}
    optimizer = impl(**training.constants._asdict())
    new, state = step(optimizer, *begin(optimizer, params), training.grads[0])
    made = {"the new parameter": new["w"], **{f"the average {moment} of 'w'": state["w"][moment] for moment in MOMENTS}}
    for name, tensor in made.items():
        if tensor.requires_grad:
            raise Mismatch(f"{name} carries a gradient", "a tensor that requires no gradient", "one that requires it")
    check(new["w"], slowly(training)["w"])


WRONG = {  # gradients that fit no parameter, of parameters 'w' (2, 2) and 'b' (2,)
    "a gradient of an unknown name": ({"x": torch.ones(2)}, KeyError),
    "a row for a matrix": ({"w": torch.ones(2)}, ValueError),
    "a number for a row": ({"b": torch.ones(())}, ValueError),
    "a column for a matrix": ({"w": torch.ones(2, 1)}, ValueError),
    "a column for a row": ({"b": torch.ones(2, 1)}, ValueError),
    "all numbers of a matrix in a row": ({"w": torch.ones(4)}, ValueError),
    "a matrix for a row": ({"w": torch.ones(2, 2), "b": torch.ones(2, 2)}, ValueError),
}


@claim(
    "A gradient that no parameter has the name of is refused with KeyError, one of another shape with ValueError: it "
    "is neither dropped nor broadcast.",
    zh="名字对不上任何参数的梯度被拒绝并抛出 KeyError，形状不符的抛出 ValueError：既不丢弃，也不广播。",
)
@given(wrong=st.sampled_from(sorted(WRONG)))
def test_a_gradient_that_fits_no_parameter_is_refused(impl: Any, wrong: str) -> None:
    optimizer = impl()
    params, state = begin(optimizer, {"w": torch.ones(2, 2), "b": torch.ones(2)})
    step(optimizer, params, state, {"w": torch.ones(2, 2)})  # what fits is not refused
    grads, error = WRONG[wrong]
    with rejects(error, what=wrong):
        optimizer.step(params, grads, state)


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
    defaults = Constants(1e-3, (0.9, 0.999), 1e-8, 0.01)
    optimizer, expected = impl(), slowly(Training(defaults, params, grads))
    params, state = begin(optimizer, params)
    for grad in grads:
        params, state = step(optimizer, params, state, grad)
    moved, right = params["w"] - start, expected["w"] - start
    rounding = 8 * torch.finfo(torch.float64).eps * abs(start) / right.abs().item()  # of the parameter, as a share
    tolerance = sum_tolerance(torch.float64, DEEP + math.ceil(rounding / torch.finfo(torch.float64).eps))
    assert_close(moved / right, torch.ones(1), dtype=torch.float64, tolerance=tolerance, what="the share of the way")


@claim(
    "Over fifty steps it stays with a recurrence in float64, in float32 too.",
    zh="走五十步，它始终与 float64 的递推一致，float32 也是如此。",
)
@after(test_the_averages_weigh_gradients_by_their_age, test_the_decay_is_a_share_of_the_parameter)
@given(dtype=float_dtypes(), how=st.sampled_from((Constants(0.0625, (0.875, 0.96875), 2.0**-10, 0.5),)))
def test_fifty_steps_stay_with_a_recurrence(impl: Any, dtype: torch.dtype, how: Constants) -> None:
    param = torch.tensor([2.0, -1.0, 0.25], dtype=dtype)
    waves = [[((7 * t + 5 * n) % 17 - 8) / 8 for n in range(3)] for t in range(50)]  # up and down, past 0
    grads = [{"w": torch.tensor(wave, dtype=dtype)} for wave in waves]
    params, state = run(impl, Training(how, {"w": param}, grads))
    m, v, theta = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), param.to(torch.float64)
    for t, wave in enumerate(waves, start=1):
        g = torch.tensor(wave, dtype=torch.float64)
        m, v = m + (1 - how.betas[0]) * (g - m), v + (1 - how.betas[1]) * (g * g - v)
        root = (v / (1 - how.betas[1] ** t)).sqrt()
        theta = (1 - how.lr * how.weight_decay) * theta - how.lr * m / (1 - how.betas[0] ** t) / (root + how.eps)
    check(params["w"], theta, len(grads))
    check_state(state, "w", len(grads), m, v, dtype=dtype)


@claim("It gives what the reference gives.", zh="与参考实现的结果相同。")
@after(test_the_averages_weigh_gradients_by_their_age)
@given(
    training=trainings(
        constants(betas=(*BETAS, (0.0, 0.0)), weight_decay=(0.0, *WEIGHT_DECAYS)),
        steps=(2, 3),
        shapes=({"w": (3, 2), "v": (), "u": (0,)}, {"u": (2, 2, 2), "w": (4,), "v": (3,)}),
    ),
    absent=st.sampled_from(("u", "v", "w", "")),
)
def test_it_equals_the_reference(impl: Any, reference: Any, training: Training, absent: str) -> None:
    first, *others = training.grads
    training = training._replace(grads=[{name: grad for name, grad in first.items() if name != absent}, *others])
    params, state = run(impl, training)
    expected, expected_state = run(reference, training)
    for name, param in expected.items():
        check(params[name], param, len(training.grads))
        moments = (expected_state[name][moment] for moment in MOMENTS)
        check_state(state, name, expected_state[name]["step"], *moments)


def run(impl: Any, training: Training) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return parameters and state after all steps of ``training``."""
    optimizer = impl(**training.constants._asdict())
    params, state = begin(optimizer, training.params)
    for grads in training.grads:
        params, state = step(optimizer, params, state, grads)
    return params, state


def begin(optimizer: Any, params: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return copies of ``params``, which a step might change in place, and their state, in the form that the text says.

    What was drawn stays as it is: the same case is run with other implementations, to see which of them does the same.
    """
    own = copy.deepcopy(params)  # unlike clone, in the same layout
    state: dict[str, Any] = optimizer.init(own)
    check_form(state, params)
    return own, state


def step(
    optimizer: Any, params: dict[str, Tensor], state: dict[str, Any], grads: dict[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Take one step; see that parameters and state come back under the same names, in the same shapes and dtypes."""
    answer = optimizer.step(params, copy.deepcopy(grads), state)
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise Mismatch("step returns no pair", "a tuple of parameters and state", type(answer).__name__)
    new, new_state = answer
    if not isinstance(new, dict) or set(new) != set(params):
        raise Mismatch("the new parameters have other names", names(params), names(new))
    for name, param in params.items():
        check_like(new[name], param, f"the new parameter {name!r}")
    check_form(new_state, params)
    return new, new_state


def check_form(state: Any, params: dict[str, Tensor]) -> None:
    """Check that a state has its form: names, keys, shapes and dtypes."""
    if not isinstance(state, dict) or set(state) != set(params):
        raise Mismatch("the state has other names", names(params), names(state))
    for name, param in params.items():
        of_it = state[name]
        if not isinstance(of_it, dict) or set(of_it) != {"step", *MOMENTS}:
            expected = names(dict.fromkeys(("step", *MOMENTS)))
            raise Mismatch(f"the state of {name!r} has other entries", expected, names(of_it))
        if type(of_it["step"]) not in (int, float):  # a float is found out where it is compared, after all steps
            raise Mismatch(f"the step of {name!r} is no int", "an int", type(of_it["step"]).__name__)
        for moment in MOMENTS:
            check_like(of_it[moment], param, f"the average {moment} of {name!r}")


def check_like(got: Any, param: Tensor, what: str) -> None:
    if not isinstance(got, Tensor):
        raise Mismatch(f"{what} is no tensor", "a tensor", type(got).__name__)
    if (got.shape, got.dtype) != (param.shape, param.dtype):
        expected, other = (f"{(tuple(t.shape), t.dtype)}" for t in (param, got))
        raise Mismatch(f"{what} has another shape or dtype", expected, other)


def names(value: Any) -> str:
    return ", ".join(sorted(map(str, value))) or "none" if isinstance(value, dict) else type(value).__name__


def check(got: Tensor, expected: Tensor, steps: int = 1) -> None:
    """Compare parameters, ``steps`` steps after they were the same; in the dtype in which they came."""
    tolerance = sum_tolerance(got.dtype, DEEP * steps, LARGEST)
    assert_close(got, expected, dtype=got.dtype, tolerance=tolerance, what="the new parameter")


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
    """Compare one parameter's state; ``relative`` to the size of the expected numbers, where these are tiny."""
    assert_equal(state[name]["step"], count, what=f"the step of {name!r}")
    for moment, expected in zip(MOMENTS, (exp_avg, exp_avg_sq), strict=True):
        size, kept = float(expected.abs().max()) if relative else LARGEST, dtype or expected.dtype
        tolerance = sum_tolerance(kept, DEEP * max(count, 1), size)
        assert_close(
            state[name][moment], expected, dtype=kept, tolerance=tolerance, what=f"the average {moment} of {name!r}"
        )


def weighted_sum(values: Tensor, beta: float) -> Tensor:
    """Return the sum over steps of ``values`` (T, ...), each times beta to the power of its age: the last is 0 old."""
    ages = range(len(values) - 1, -1, -1)
    return torch.stack([beta**age * value for age, value in zip(ages, values, strict=True)]).sum(0)


def slowly(training: Training) -> dict[str, Tensor]:
    """Return the parameters after all steps, in float64, each step from all gradients so far."""
    lr, (beta1, beta2), eps, weight_decay = training.constants
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
