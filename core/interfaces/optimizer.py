"""Optimizers as pure functions of parameters, gradients and state.

Parameters and gradients are dicts by name; a state is plain data that a checkpoint can hold.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from jaxtyping import Float
from torch import Tensor

from groundup.core.answers import answer_dtype

__all__ = ["Optimizer", "State", "Tensors"]

Tensors = dict[str, Float[Tensor, "..."]]
State = dict[str, Any]


class Optimizer(ABC):
    """One update rule. Its constructor takes the hyperparameters (learning rate, decay ...) by keyword."""

    @abstractmethod
    @answer_dtype("any")
    def init(self, params: Tensors) -> State:
        """Return the state before the first step; the update rule chooses the dtype of each part."""

    @abstractmethod
    @answer_dtype("any")
    def step(self, params: Tensors, grads: Tensors, state: State) -> tuple[Tensors, State]:
        """Return new parameters and new state, each in its old dtype. The arguments are not modified.

        A parameter without an entry in ``grads`` stays as it is, and so does its state.
        """
