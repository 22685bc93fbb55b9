"""Ways to spread a training step over ranks.

The same code runs on every rank, each in its own process, and sees the others through its communicator alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from groundup.core.communicator import Communicator
from groundup.core.interfaces.optimizer import Tensors
from groundup.core.models import Batch, MultiTaskMLP

__all__ = ["ParallelStrategy"]


class ParallelStrategy(ABC):
    """One way to split examples, parameters, gradients or activations over ``comm.size`` ranks.

    What differs between ranks is in ``shards`` and in the batch that each is given. Between ``shard`` and ``gather`` an
    optimizer steps on the shards of each rank, with the gradients that ``step`` returned there.
    """

    def __init__(self, comm: Communicator, model: MultiTaskMLP) -> None:
        self.comm, self.model = comm, model

    @abstractmethod
    def shard(self, params: Tensors) -> Tensors:
        """Return what this rank keeps of the model's parameters."""

    @abstractmethod
    def step(self, shards: Tensors, batch: Batch) -> tuple[Tensor, Tensors]:
        """Run forward and backward; return the model's output for ``batch`` and the gradients of ``shards``, by name.

        ``batch`` is this rank's own part where the strategy splits the examples, and the whole where it does not.
        """

    @abstractmethod
    def gather(self, shards: Tensors) -> Tensors:
        """Return the whole parameters again, on every rank."""
