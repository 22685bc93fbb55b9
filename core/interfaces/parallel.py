"""Ways to spread a training step over ranks.

The same code runs on every rank, each in its own process, and sees the others through its communicator alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from groundup.core.communicator import Communicator
from groundup.core.interfaces.optimizer import Tensors

__all__ = ["ParallelStrategy"]


class ParallelStrategy(ABC):
    """One way to split parameters, gradients, states or activations over ``comm.size`` ranks."""

    def __init__(self, comm: Communicator) -> None:
        self.comm = comm

    @abstractmethod
    def shard(self, params: Tensors) -> Tensors:
        """Return what this rank keeps of ``params``, which every rank is given whole."""

    @abstractmethod
    def step(self, shards: Tensors, batch: dict[str, Any]) -> tuple[Tensors, Tensors]:
        """Run forward and backward on this rank's part of ``batch``; return the outputs and this rank's gradients."""

    @abstractmethod
    def gather(self, shards: Tensors) -> Tensors:
        """Return the whole parameters again, on every rank."""
