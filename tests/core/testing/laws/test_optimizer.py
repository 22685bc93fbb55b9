"""The laws of optimizers hold for AdamW and for very different optimizers; each detects a wrong one."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import hypothesis
import pytest
import torch
from torch import Tensor

from groundup.core.interfaces.optimizer import Optimizer, State, Tensors
from groundup.core.registry import Registry
from groundup.core.testing import Mismatch
from groundup.core.testing.laws import Law
from groundup.core.testing.laws import optimizer as laws
from groundup.core.testing.laws.optimizer import Setting
from groundup.core.testing.modules import module_from_source
from groundup.grader.judging.edits import load_edits
from groundup.plugins.training.adamw.properties import ADAMW, constants
from groundup.solutions.training.adamw import AdamW

TECHNIQUE = Registry().technique("training/adamw")
ALL = {name for name, value in vars(laws).items() if isinstance(value, Law)}
SETTINGS = {"test_scaling_all_gradients_changes_nothing": replace(ADAMW, constants=constants(eps=(0.0,)))}
TRIPPED_BY = {  # law -> a known mistake that it detects
    "test_a_parameter_without_a_gradient_is_left_alone": "decays-without-a-gradient",
    "test_the_state_is_all_that_is_remembered": "steps-counted-by-the-object",
    "test_a_step_changes_nothing_that_it_is_given": "averages-changed-in-place",
    "test_no_gradient_flows_through_a_step": "graph-kept",
    "test_a_gradient_that_fits_no_parameter_is_refused": "gradient-broadcast",
    "test_it_equals_the_reference": "clamped-by-eps",
    "test_every_number_goes_its_own_way": "one-average-for-a-whole-tensor",
    "test_scaling_all_gradients_changes_nothing": "no-root",
    "test_the_decay_is_a_share_of_the_parameter": "decay-of-the-update",
    "test_without_gradients_parameters_fade": "decay-by-the-sign",
}


def tried(name: str, setting: Setting, impl: Any, reference: Any = None) -> None:
    """Run the law of that name on ``impl``, with as many examples as a grading."""
    property: Any = getattr(laws, name)(setting)
    once = hypothesis.settings(
        max_examples=25, deadline=None, database=None, derandomize=True, phases=[hypothesis.Phase.generate]
    )
    fixtures = {"impl": impl, "reference": reference or impl}
    once(property)(**{name: fixtures[name] for name in inspect.signature(property).parameters})


def edited(mistake: str) -> Any:
    """Return the solution's class with a known mistake."""
    edit = next(e for e in load_edits(TECHNIQUE) if e.id == mistake)
    source = edit.apply(TECHNIQUE.files.solution.read_text(encoding="utf-8"), "solution.py")
    return module_from_source("edited", source, "<edited>").AdamW


def test_a_mistake_is_known_for_every_law() -> None:
    assert set(TRIPPED_BY) == ALL


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_law_holds_of_the_solution(name: str) -> None:
    tried(name, SETTINGS.get(name, ADAMW), AdamW)


@pytest.mark.parametrize(("name", "mistake"), TRIPPED_BY.items())
def test_a_law_finds_a_mistake_out(name: str, mistake: str) -> None:
    with pytest.raises(Mismatch):
        tried(name, SETTINGS.get(name, ADAMW), edited(mistake), AdamW)


# Very different optimizers


class Stepper(Optimizer):
    """Base class of the optimizers below: which parameters are updated, and which arguments are refused."""

    def __init__(self, *, lr: float, weight_decay: float = 0.0) -> None:
        self.lr, self.weight_decay = lr, weight_decay

    def init(self, params: Tensors) -> State:
        return {name: self.first(param) for name, param in params.items()}

    @torch.no_grad()
    def step(self, params: Tensors, grads: Tensors, state: State) -> tuple[Tensors, State]:
        for name, grad in grads.items():
            if name not in params:
                raise KeyError(name)
            if grad.shape != params[name].shape:
                raise ValueError(name)
        new_params, new_state = dict(params), dict(state)
        for name, grad in grads.items():
            update, new_state[name] = self.update(grad, state[name])
            new_params[name] = params[name] - self.lr * (update + self.weight_decay * params[name])
        return new_params, new_state

    def first(self, param: Tensor) -> Any:
        raise NotImplementedError

    def update(self, grad: Tensor, kept: Any) -> tuple[Tensor, Any]:
        raise NotImplementedError


class Lion(Stepper):
    """The update is the sign of a momentum: the state is one tensor, and the gradients' scale does not matter."""

    def first(self, param: Tensor) -> Tensor:
        return torch.zeros_like(param)

    def update(self, grad: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        return (0.75 * kept + 0.25 * grad).sign(), 0.875 * kept + 0.125 * grad


class Factored(Stepper):
    """Like Adafactor: the state is a count, and the row and column sums of a matrix's squared gradients."""

    def first(self, param: Tensor) -> list[Any]:
        return [0, {"rows": torch.zeros_like(param.sum(-1)), "columns": torch.zeros_like(param.sum(-2))}]

    def update(self, grad: Tensor, kept: list[Any]) -> tuple[Tensor, list[Any]]:
        square = grad**2 + 0.25
        rows, columns = (kept[1][name] + square.sum(dim) for name, dim in (("rows", -1), ("columns", -2)))
        update = grad / (rows[:, None] * columns / rows.sum()).sqrt()
        return update, [kept[0] + 1, {"rows": rows, "columns": columns}]


class Coarse(Stepper):
    """Like 8-bit optimizers: the momentum is stored as int8, in steps of 1/64."""

    def first(self, param: Tensor) -> Tensor:
        return torch.zeros(param.shape, dtype=torch.int8)

    def update(self, grad: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        momentum = 0.5 * kept.to(grad.dtype) / 64 + 0.25 * grad
        return momentum, (momentum * 64).round().clamp(-127, 127).to(torch.int8)


CONSTANTS = [{"lr": lr, "weight_decay": decay} for lr in (0.5, 0.125) for decay in (0.5, 0.75)]
MATRICES = ({"w": (1, 2)}, {"w": (2, 2)})
LION, COARSE = Setting(CONSTANTS), Setting(CONSTANTS)
FACTORED = Setting(
    CONSTANTS,
    shapes=MATRICES,
    two=({"w": (2, 1), "v": (2, 2)},),
    larger=({"w": (3, 2), "v": (2, 2)}, {"w": (4, 1), "u": (2, 3)}),
)
OF_VECTORS = {"test_every_number_goes_its_own_way", "test_a_gradient_that_fits_no_parameter_is_refused"}
OF_NO_SCALE = {"test_scaling_all_gradients_changes_nothing"}


@pytest.mark.parametrize(
    ("name", "setting", "impl"),
    [
        *((name, LION, Lion) for name in sorted(ALL)),
        *((name, FACTORED, Factored) for name in sorted(ALL - OF_VECTORS - OF_NO_SCALE)),
        *((name, COARSE, Coarse) for name in sorted(ALL - OF_NO_SCALE)),
    ],
)
def test_no_law_is_bent_by_what_is_kept(name: str, setting: Setting, impl: Any) -> None:
    tried(name, setting, impl)


class Forgetful(Coarse):
    """A wrong optimizer: it halves the momentum of every parameter once more, even of one without a gradient."""

    def step(self, params: Tensors, grads: Tensors, state: State) -> tuple[Tensors, State]:
        new_params, new_state = super().step(params, grads, state)
        return new_params, {name: (kept / 2).to(torch.int8) for name, kept in new_state.items()}


def test_a_state_of_whole_numbers_is_compared_exactly() -> None:
    with pytest.raises(Mismatch, match="the state of the parameter without a gradient differs"):
        tried("test_a_parameter_without_a_gradient_is_left_alone", COARSE, Forgetful)
