"""What the laws of optimizers are tested with: settings of techniques, drawn training runs."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.messages import Message
from groundup.core.testing.compare import Mismatch, assert_close, assert_equal, assert_form, sum_tolerance
from groundup.core.testing.strategies import LAYOUTS, laid_out, tensors

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
    "trainings",
]

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
