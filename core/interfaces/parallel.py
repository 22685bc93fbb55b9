"""Ways to spread a training step over ranks.

The same code runs on every rank, each in its own process, and sees the others through its communicator alone.
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

    What differs between ranks is in ``shards``, in ``state`` and in the batch that each is given. Training on a rank::

        shards = strategy.shard(params)
        state = strategy.init_state(shards)
        for batch in batches:
            output, grads = strategy.step(shards, batch)
            shards, state = strategy.update(shards, grads, state)
        params = strategy.gather(shards)

    A strategy without an ``optimizer`` leaves its step to whoever calls: an optimizer then steps on the shards of each
    rank, with the gradients that ``step`` returned there.
    """

    optimizer: Optimizer | None = None

    def __init__(self, comm: Communicator, model: Model, optimizer: Optimizer | None = None) -> None:
        """``optimizer`` works on each number by itself: its step on a part of a tensor is that part of its step."""
        self.comm, self.model, self.optimizer = comm, model, optimizer

    @abstractmethod
    def shard(self, params: Tensors) -> Tensors:
        """Return what this rank keeps of the model's parameters."""

    @abstractmethod
    def step(self, shards: Tensors, batch: Batch) -> tuple[Tensor, Tensors]:
        """Run forward and backward; return the model's output for ``batch`` and the gradients of ``shards``, by name.

        ``batch`` is this rank's own part where the strategy splits the examples or their positions, and the whole where
        it does not. A strategy that splits gradients returns the part that ``update`` takes. One that splits layers
        returns the output on the rank of the last one, and an empty tensor elsewhere.
        """

    @answer_dtype("any")
    def init_state(self, shards: Tensors) -> State:
        """Return this rank's optimizer state before the first step: all that it holds, and nothing of other ranks'.

        By default that is the state of all its shards. A strategy that splits the states returns this rank's part;
        copies of parameters that only the optimizer needs, as in mixed precision, are state too.
        """
        return self._optimizer().init(shards)

    @answer_dtype("any")
    def update(self, shards: Tensors, grads: Tensors, state: State) -> tuple[Tensors, State]:
        """Take the optimizer's step with what ``step`` returned; return new shards and state, each in the dtype it had.

        What is passed in is left as it was. By default each rank steps on all its shards, and nothing is sent.
        """
        return self._optimizer().step(shards, grads, state)

    @abstractmethod
    def gather(self, shards: Tensors) -> Tensors:
        """Return the whole parameters again, on every rank."""

    def _optimizer(self) -> Optimizer:
        if self.optimizer is None:
            raise ValueError(f"this {type(self).__name__} was constructed without an optimizer")
        return self.optimizer
