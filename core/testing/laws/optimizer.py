"""Laws of optimizers: what a step leaves unchanged, what its state holds, which inputs it refuses.

::

    from groundup.core.testing.laws import optimizer as laws

    LION = laws.Setting(constants=({"lr": 0.5, "betas": (0.75, 0.875), "weight_decay": 0.5}, ...))
    test_the_state_is_all_that_is_remembered = laws.test_the_state_is_all_that_is_remembered(LION)

Some laws hold only for one kind of optimizer, and the others leave them out: elementwise optimizers (not Adafactor,
Muon), optimizers with decoupled weight decay, and optimizers invariant to the gradients' scale (not SGD).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.messages import Message
from groundup.core.tensors import tensors_in
from groundup.core.testing.compare import Mismatch, assert_equal, rejects
from groundup.core.testing.laws import Property, law
from groundup.core.testing.laws.optimizer_setting import (
    DTYPES,
    LARGER,
    ONE,
    SEVERAL,
    TWO,
    Setting,
    Shapes,
    Training,
    by_name,
    names,
    trainings,
)
from groundup.core.testing.marks import about

__all__ = [
    "DTYPES",
    "LARGER",
    "ONE",
    "SEVERAL",
    "TWO",
    "Setting",
    "Shapes",
    "Training",
    "by_name",
    "names",
    "test_a_gradient_that_fits_no_parameter_is_refused",
    "test_a_parameter_without_a_gradient_is_left_alone",
    "test_a_step_changes_nothing_that_it_is_given",
    "test_every_number_goes_its_own_way",
    "test_it_equals_the_reference",
    "test_no_gradient_flows_through_a_step",
    "test_scaling_all_gradients_changes_nothing",
    "test_the_decay_is_a_share_of_the_parameter",
    "test_the_state_is_all_that_is_remembered",
    "test_without_gradients_parameters_fade",
    "trainings",
]


# For every optimizer.


@law(
    "A parameter without a gradient in a step stays as it is, undecayed, with its state; later it goes on as if that "
    "step had not been. The others step as if it were not there.",
    zh="某一步没有梯度的参数保持原样，不衰减，状态也不变；之后它继续下去，就像那一步没有发生过。其他参数照常更新，就像它不存在。",
)
def test_a_parameter_without_a_gradient_is_left_alone(setting: Setting) -> Property:
    @given(
        training=trainings(setting.constants, steps=(2, 3), shapes=setting.two),
        absent=st.sampled_from([(0,), (1,), (0, 1)]),
    )
    def holds(impl: Any, training: Training, absent: Sequence[int]) -> None:
        optimizer = impl(**training.constants)
        params, state = setting.begin(optimizer, training.params)
        for number, grads in enumerate(training.grads):
            if number not in absent:
                params, state = setting.step(optimizer, params, state, grads)
                continue
            before, before_state = params["v"], copy.deepcopy(state["v"])
            params, state = setting.step(optimizer, params, state, {"w": grads["w"]})
            assert_equal(params["v"], before, what=Message("the parameter without a gradient"))
            setting.check_state(
                state["v"], before_state, number, what=Message("the state of the parameter without a gradient")
            )
        present = [{"v": grads["v"]} for number, grads in enumerate(training.grads) if number not in absent]
        of_others = [{"w": grads["w"]} for grads in training.grads]
        for name, grads_of_it in (("v", present), ("w", of_others)):
            alone, _ = setting.run(impl, Training(training.constants, {name: training.params[name]}, grads_of_it))
            setting.check(
                params[name], alone[name], len(training.grads), what=Message("the new parameter {name!r}", name=name)
            )

    return holds


@law(
    "All that a step remembers is in the state: a new object goes on from it, and one object serves two trainings in "
    "turn.",
    zh="一步要记住的一切都在状态里：新建的对象能接着训练，同一个对象也能轮流服务两次训练。",
)
def test_the_state_is_all_that_is_remembered(setting: Setting) -> Property:
    two, one = (trainings(setting.constants, steps=(steps,), shapes=setting.shapes) for steps in (2, 1))

    @given(training=two, other=one)
    def holds(impl: Any, training: Training, other: Training) -> None:
        through, through_state = setting.run(impl, training)
        serving = impl(**training.constants)
        params, state = setting.begin(serving, training.params)
        beside, beside_state = setting.begin(serving, other.params)
        for number, grads in enumerate(training.grads):
            optimizer = serving if number % 2 == 0 else impl(**training.constants)
            params, state = setting.step(optimizer, params, state, grads)
            beside, beside_state = setting.step(serving, beside, beside_state, other.grads[0])
        setting.check(params["w"], through["w"], len(training.grads))
        setting.check_state(state, through_state, len(training.grads), what=Message("the state"))

    return holds


@law(
    "A step changes nothing of what it is given, parameters, gradients or state: asked again, it answers the same.",
    zh="一步不改变传入的参数、梯度和状态：再问一次，回答相同。",
)
@about("inputs")
def test_a_step_changes_nothing_that_it_is_given(setting: Setting) -> Property:
    @given(training=trainings(setting.constants, steps=(2,), shapes=setting.shapes, nonzero=True))
    def holds(impl: Any, training: Training) -> None:
        first, second = training.grads
        optimizer = impl(**training.constants)
        params, state = setting.step(optimizer, *setting.begin(optimizer, training.params), first)
        param, before = params["w"].clone(), copy.deepcopy(state)
        once, once_state = setting.step(optimizer, params, state, second)
        assert_equal(params["w"], param, what=Message("the parameter passed in"))
        setting.check_state(state, before, 1, what=Message("the state passed in"))
        again, again_state = setting.step(optimizer, params, state, second)
        assert_equal(
            again["w"].nan_to_num(), once["w"].nan_to_num(), what=Message("the parameter at the second asking")
        )
        setting.check_state(again_state, once_state, 2, what=Message("the state at the second asking"))

    return holds


@law(
    "No gradient flows through a step: the new tensors require none, whether the old ones did or not.",
    zh="一步不传递梯度：无论旧张量是否需要梯度，新张量都不需要。",
)
@about("gradient")
def test_no_gradient_flows_through_a_step(setting: Setting) -> Property:
    @given(training=trainings(setting.constants, steps=(1,), shapes=setting.shapes, nonzero=True))
    def holds(impl: Any, training: Training) -> None:
        params = {"w": training.params["w"].clone().requires_grad_()}
        optimizer = impl(**training.constants)
        new, state = setting.step(optimizer, *setting.begin(optimizer, params), training.grads[0])
        made = [(Message("the new parameter"), new["w"])]
        made += [(Message("a tensor of the state"), tensor) for tensor in tensors_in(state)]
        for what, tensor in made:
            if tensor.requires_grad:
                raise Mismatch(
                    Message("{what} carries a gradient", what=what),
                    Message("a tensor that requires no gradient"),
                    Message("one that requires it"),
                )

    return holds


WRONG: dict[
    str, tuple[dict[str, Tensor], type[Exception]]
] = {  # gradients that fit no parameter, of parameters 'w' (2, 2) and 'b' (2,)
    Message("a gradient of an unknown name"): ({"x": torch.ones(2)}, KeyError),
    Message("a row for a matrix"): ({"w": torch.ones(2)}, ValueError),
    Message("a number for a row"): ({"b": torch.ones(())}, ValueError),
    Message("a column for a matrix"): ({"w": torch.ones(2, 1)}, ValueError),
    Message("a column for a row"): ({"b": torch.ones(2, 1)}, ValueError),
    Message("all numbers of a matrix in a row"): ({"w": torch.ones(4)}, ValueError),
    Message("a matrix for a row"): ({"w": torch.ones(2, 2), "b": torch.ones(2, 2)}, ValueError),
}


@law(
    "A gradient that no parameter has the name of is refused with KeyError, one of another shape with ValueError: it "
    "is neither dropped nor broadcast.",
    zh="名字对不上任何参数的梯度被拒绝并抛出 KeyError，形状不符的抛出 ValueError：既不丢弃，也不广播。",
)
@about("refusal")
def test_a_gradient_that_fits_no_parameter_is_refused(setting: Setting) -> Property:
    @given(wrong=st.sampled_from(sorted(WRONG)))
    def holds(impl: Any, wrong: str) -> None:
        optimizer = impl(**setting.constants[0])
        params, state = setting.begin(optimizer, {"w": torch.ones(2, 2), "b": torch.ones(2)})
        setting.step(optimizer, params, state, {"w": torch.ones(2, 2)})  # a matching gradient is accepted
        grads, error = WRONG[wrong]
        with rejects(error, what=wrong):
            optimizer.step(params, grads, state)

    return holds


@law("It gives what the reference gives.", zh="与参考实现的结果相同。")
def test_it_equals_the_reference(setting: Setting) -> Property:
    named = sorted({name for shapes in setting.larger for name in shapes})

    @given(
        training=trainings(setting.constants, steps=(2, 3), shapes=setting.larger),
        absent=st.sampled_from((*named, "")),
    )
    def holds(impl: Any, reference: Any, training: Training, absent: str) -> None:
        first, *others = training.grads
        training = training._replace(grads=[{name: grad for name, grad in first.items() if name != absent}, *others])
        params, state = setting.run(impl, training)
        expected, expected_state = setting.run(reference, training)
        for name, param in expected.items():
            setting.check(
                params[name], param, len(training.grads), what=Message("the new parameter {name!r}", name=name)
            )
        setting.check_state(state, expected_state, len(training.grads), what=Message("the state"))

    return holds


# For elementwise optimizers.


@law(
    "Every number goes its own way: a parameter steps the same beside others or alone, in one piece or in several, as "
    "a matrix or as a row.",
    zh="每个数各走各的路：一个参数单独更新还是与别的一起，整块还是拆成几块，矩阵还是一行，结果都一样。",
)
def test_every_number_goes_its_own_way(setting: Setting) -> Property:
    @given(training=trainings(setting.constants, steps=(1, 2), shapes=SEVERAL))
    def holds(impl: Any, training: Training) -> None:
        together, _ = setting.run(impl, training)
        row = {"all": torch.cat([param.flatten() for param in training.params.values()])}
        rows = [{"all": torch.cat([grads[name].flatten() for name in training.params])} for grads in training.grads]
        in_a_row, _ = setting.run(impl, Training(training.constants, row, rows))
        setting.check(torch.cat([together[name].flatten() for name in training.params]), in_a_row["all"], len(rows))

    return holds


# For optimizers whose steps do not depend on the scale of the gradients.


@law(
    "Scaling all gradients of a training by one factor changes no step. The decay is not scaled along.",
    zh="把训练中的所有梯度乘以同一个因子，每一步都不变。衰减不随之缩放。",
)
def test_scaling_all_gradients_changes_nothing(setting: Setting) -> Property:
    @given(
        training=trainings(setting.constants, steps=(1, 2), shapes=setting.shapes, nonzero=True),
        factor=st.sampled_from((64.0, 1 / 64, 1 / 1024)),
    )
    def holds(impl: Any, training: Training, factor: float) -> None:
        scaled = [{name: factor * grad for name, grad in grads.items()} for grads in training.grads]
        params, _ = setting.run(impl, training._replace(grads=scaled))
        expected, _ = setting.run(impl, training)
        setting.check(params["w"], expected["w"], len(scaled))

    return holds


# For optimizers with decoupled weight decay.


@law(
    "The decay takes lr * weight_decay of the parameter as it was before the step, whatever the gradients are and "
    "were, and leaves the state alone.",
    zh="衰减减去的是这一步之前的参数的 lr * weight_decay 倍，与现在和过去的梯度无关，也不影响状态。",
)
def test_the_decay_is_a_share_of_the_parameter(setting: Setting) -> Property:
    @given(training=trainings(setting.constants, shapes=setting.shapes))
    def holds(impl: Any, training: Training) -> None:
        *earlier, last = training.grads
        constants, steps = training.constants, len(training.grads)
        plain = {**constants, "weight_decay": 0.0}
        params, state = setting.run(impl, Training(plain, training.params, earlier))
        without, state_without = setting.step(impl(**plain), params, state, last)
        with_it, state_with = setting.step(impl(**constants), params, state, last)
        decay = constants["lr"] * constants["weight_decay"] * params["w"].to(torch.float64)
        setting.check(with_it["w"], without["w"] - decay, steps)
        setting.check_state(state_with, state_without, steps, what=Message("the state"))

    return holds


@law(
    "Where all gradients are zero only the decay is left: every parameter shrinks by 1 - lr * weight_decay a step, "
    "large and small ones alike.",
    zh="梯度全为零时只剩衰减：每个参数无论大小，每步都缩小为原来的 1 - lr * weight_decay 倍。",
)
def test_without_gradients_parameters_fade(setting: Setting) -> Property:
    @given(training=trainings(setting.constants, steps=(1,), shapes=setting.shapes), steps=st.integers(1, 4))
    def holds(impl: Any, training: Training, steps: int) -> None:
        param, constants = training.params["w"], training.constants
        params, _ = setting.run(impl, training._replace(grads=[{"w": torch.zeros_like(param)}] * steps))
        left = (1 - constants["lr"] * constants["weight_decay"]) ** steps
        setting.check(params["w"], param.to(torch.float64) * left, steps)

    return holds
