"""Collective operations, built from point-to-point messages between ranks.

Axes: N ranks, K elements of a chunk.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Shaped
from torch import Tensor

from groundup.core.communicator import Communicator

__all__ = ["Collective"]


class Collective(ABC):
    """An algorithm for sums over ranks. Every rank makes the same calls, with tensors of the same shape and dtype."""

    def __init__(self, comm: Communicator) -> None:
        self.comm = comm

    @abstractmethod
    def reduce_scatter(self, chunks: Shaped[Tensor, "N K"]) -> Shaped[Tensor, "K"]:
        """Return row ``comm.rank`` of the sum of every rank's ``chunks``."""

    @abstractmethod
    def all_gather(self, chunk: Shaped[Tensor, "K"]) -> Shaped[Tensor, "N K"]:
        """Return every rank's ``chunk``; row r is rank r's."""

    @abstractmethod
    def all_reduce(self, tensor: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """Return the sum of every rank's ``tensor``, of any shape, the same on every rank."""
