"""Strategies that split a training step over ranks.

The same code runs on every rank, each in its own process. Ranks communicate only through the communicator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from groundup.core.answers import answer_dtype
from groundup.core.communicator import Communicator
from groundup.core.interfaces.optimizer import Optimizer, State, Tensors
from groundup.core.models import Batch, Model

__all__ = ["ParallelStrategy"]


class ParallelStrategy(ABC):
    """One way to split examples, parameters, gradients, optimizer states or activations over ``comm.size`` ranks.

    Ranks differ in their ``shards``, ``state`` and batches. Training on one rank::

        shards = strategy.shard(params)
        state = strategy.init_state(shards)
        for batch in batches:
            output, grads = strategy.step(shards, batch)
            shards, state = strategy.update(shards, grads, state)
        params = strategy.gather(shards)

    With ``optimizer`` None the caller takes the optimizer step instead of ``update``: on each rank's shards, with the
    gradients that ``step`` returned there.
    """

    optimizer: Optimizer | None = None

    def __init__(self, comm: Communicator, model: Model, optimizer: Optimizer | None = None) -> None:
        """``optimizer`` is elementwise: its step on a slice of a tensor equals that slice of the step on the tensor."""
        self.comm, self.model, self.optimizer = comm, model, optimizer

    @abstractmethod
    def shard(self, params: Tensors) -> Tensors:
        """Return this rank's part of the model's parameters."""

    @abstractmethod
    def step(self, shards: Tensors, batch: Batch) -> tuple[Tensor, Tensors]:
        """Run forward and backward; return the model's output for ``batch`` and the gradients of ``shards``, by name.

        ``batch`` is this rank's part if the strategy splits examples or positions, else the whole batch. A strategy
        that splits gradients returns the part that ``update`` takes. A strategy that splits layers returns the output
        on the rank with the last layer, and an empty tensor on the other ranks.
        """

    @answer_dtype("any")
    def init_state(self, shards: Tensors) -> State:
        """Return this rank's optimizer state before the first step: all that this rank holds, and nothing else.

        The default is the state of all its shards. A strategy that splits the states returns this rank's part. Copies
        of parameters that only the optimizer needs, as in mixed precision, belong to the state.
        """
        return self._optimizer().init(shards)

    @answer_dtype("any")
    def update(self, shards: Tensors, grads: Tensors, state: State) -> tuple[Tensors, State]:
        """Take the optimizer step with the gradients from ``step``; return new shards and state, in their old dtypes.

        The arguments are not modified. By default each rank steps on all its shards and sends nothing.
        """
        return self._optimizer().step(shards, grads, state)

    @abstractmethod
    def gather(self, shards: Tensors) -> Tensors:
        """Return the full parameters on every rank."""

    def _optimizer(self) -> Optimizer:
        if self.optimizer is None:
            raise ValueError(f"this {type(self).__name__} was constructed without an optimizer")
        return self.optimizer
