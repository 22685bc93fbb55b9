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
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.messages import Message
from groundup.core.tensors import tensors_in
from groundup.core.testing.compare import Mismatch, assert_close, assert_equal, assert_form, rejects, sum_tolerance
from groundup.core.testing.laws import Property, law
from groundup.core.testing.marks import about
from groundup.core.testing.strategies import LAYOUTS, laid_out, tensors

DTYPES = (torch.float32, torch.float64)
Shapes = dict[str, tuple[int, ...]]
"""The shapes of the parameters, by name."""
ONE: tuple[Shapes, ...] = ({"w": (1,)}, {"w": (2,)}, {"w": ()}, {"w": (2, 2)})
TWO: tuple[Shapes, ...] = ({"w": (2,), "v": (2,)}, {"v": (1, 2), "w": ()})
SEVERAL: tuple[Shapes, ...] = ({"w": (2, 1), "v": (), "u": (1,)}, {"w": (2, 2), "v": (2,), "u": (1,)})
LARGER: tuple[Shapes, ...] = ({"w": (3, 2), "v": (), "u": (0,)}, {"u": (2, 2, 2), "w": (4,), "v": (3,)})


class Training(NamedTuple):
    """A training run: the constructor's arguments, the parameters, and the gradients of each step; all by name."""

    constants: dict[str, Any]
    params: dict[str, Tensor]
    grads: list[dict[str, Tensor]]


def by_name(params: dict[str, Tensor], state: Any) -> None:
    """Check that a state is a dict with an entry for each parameter. Raises Mismatch."""
    if not isinstance(state, dict) or set(state) != set(params):
        raise Mismatch(Message("the state has other names"), names(params), names(state))


def names(value: Any) -> str:
    """Return the keys of a dict as a text, or the type's name of another value."""
    if not isinstance(value, dict):
        return type(value).__name__
    return ", ".join(sorted(map(str, value))) or Message("none")


@dataclass(frozen=True)
class Setting:
    """How to test a technique: its constructor's arguments, the shapes of its parameters, and the form of its state."""

    constants: Sequence[dict[str, Any]]
    """Sets of constructor arguments to draw from. The laws on weight decay need ``lr`` and ``weight_decay``."""
    form: Callable[[dict[str, Tensor], Any], None] = by_name
    """Raises Mismatch if a state for those parameters lacks the documented names, shapes or dtypes."""
    shapes: Sequence[Shapes] = ONE
    """Shapes of a parameter 'w'."""
    two: Sequence[Shapes] = TWO
    """Shapes of the parameters 'w' and 'v'."""
    larger: Sequence[Shapes] = LARGER
    depth: int = 16
    """The approximate number of operations in a step."""
    largest: float = 4.0
    """The approximate largest magnitude of a parameter, a number of the state or an update."""

    def run(self, impl: Any, training: Training) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return parameters and state after all steps of ``training``."""
        optimizer = impl(**training.constants)
        params, state = self.begin(optimizer, training.params)
        for grads in training.grads:
            params, state = self.step(optimizer, params, state, grads)
        return params, state

    def begin(self, optimizer: Any, params: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return copies of ``params``, which a step might change in place, and their state, checked by ``form``.

        The drawn tensors must not change: the diagnosis runs the same case on other implementations for comparison.
        """
        own = copy.deepcopy(params)  # unlike clone, it keeps the memory layout
        state: dict[str, Any] = optimizer.init(own)
        self.form(params, state)
        return own, state

    def step(
        self, optimizer: Any, params: dict[str, Tensor], state: dict[str, Any], grads: dict[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Take one step; check that parameters and state keep their names, shapes and dtypes."""
        answer = optimizer.step(params, copy.deepcopy(grads), state)
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise Mismatch(
                Message("step returns no pair"), Message("a tuple of parameters and state"), type(answer).__name__
            )
        new, new_state = answer
        if not isinstance(new, dict) or set(new) != set(params):
            raise Mismatch(Message("the new parameters have other names"), names(params), names(new))
        for name, param in params.items():
            assert_form(new[name], param.shape, param.dtype, what=Message("the new parameter {name!r}", name=name))
        self.form(params, new_state)
        return new, new_state

    def check(self, got: Tensor, expected: Tensor, steps: int = 1, *, what: str = Message("the new parameter")) -> None:
        """Compare a parameter after ``steps`` steps from the same start, with the tolerance of its dtype."""
        tolerance = sum_tolerance(got.dtype, self.depth * steps, self.largest)
        assert_close(got, expected, dtype=got.dtype, tolerance=tolerance, what=what)

    def check_state(self, got: Any, expected: Any, steps: int, *, what: str) -> None:
        """Compare states, or parts of states, ``steps`` steps after they were equal: floats in DTYPES up to rounding.

        Everything else must be equal.
        """
        if isinstance(expected, Tensor) and expected.dtype in DTYPES:
            tolerance = sum_tolerance(expected.dtype, self.depth * max(steps, 1), self.largest)
            assert_close(got, expected, dtype=expected.dtype, tolerance=tolerance, what=what)
        elif isinstance(expected, dict):
            if not isinstance(got, dict) or set(got) != set(expected):
                raise Mismatch(Message("{what} has other entries", what=what), names(expected), names(got))
            for key, part in expected.items():
                self.check_state(got[key], part, steps, what=Message("{what}, {key!r}", what=what, key=key))
        elif isinstance(expected, list | tuple):
            assert_equal(len(got), len(expected), what=Message("the length of {what}", what=what))
            for number, part in enumerate(expected):
                self.check_state(
                    got[number], part, steps, what=Message("{what}, part {number}", what=what, number=number)
                )
        else:
            assert_equal(got, expected, what=what)


def trainings(
    constants: Sequence[dict[str, Any]],
    *,
    steps: Sequence[int] = (1, 2, 3),
    shapes: Sequence[Shapes] = ONE,
    nonzero: bool = False,
) -> st.SearchStrategy[Training]:
    """Draw a training run of one of ``steps`` lengths and ``shapes``; ``nonzero`` excludes gradients of 0."""
    plans = list(itertools.product(shapes, DTYPES, steps))
    longest = max(sum(map(math.prod, of_it.values())) * (1 + count) for of_it, _, count in plans)
    numbers = tensors((longest,), dtype=torch.float64, layouts=False)  # a single draw for all tensors is fast
    layout = st.sampled_from(LAYOUTS)
    return st.builds(partial(_planned, nonzero), st.sampled_from(plans), st.sampled_from(constants), numbers, layout)


def _planned(
    nonzero: bool, plan: tuple[Shapes, torch.dtype, int], constants: dict[str, Any], numbers: Tensor, layout: str
) -> Training:
    (shapes, dtype, steps), start = plan, 0
    trained: list[dict[str, Tensor]] = []
    for number in range(1 + steps):
        trained.append({})
        for name, shape in shapes.items():
            drawn = numbers[start : start + math.prod(shape)].reshape(shape).to(dtype)
            start += math.prod(shape)
            trained[-1][name] = laid_out(torch.where(drawn == 0, 0.125, drawn) if nonzero and number else drawn, layout)
    return Training(constants, trained[0], trained[1:])


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
