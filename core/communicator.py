"""A rank's view of its group. Every byte that leaves a rank is counted."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

__all__ = ["Communicator"]


class Communicator(ABC):
    """Point-to-point messages and collectives among ``size`` ranks, numbered from 0.

    Every call blocks until its part is done, and every rank of the group must make the same collective calls in the
    same order. A tensor received has the shape and dtype of the one sent.
    """

    rank: int
    size: int
    sent_bytes: int
    """Bytes that this rank has put on the wire so far."""

    @abstractmethod
    def send(self, tensor: Tensor, to: int) -> None:
        """Send ``tensor`` to rank ``to``; it may be changed once the call returns."""

    @abstractmethod
    def recv(self, source: int) -> Tensor:
        """Return the next tensor that rank ``source`` sent here."""

    @abstractmethod
    def exchange(self, tensor: Tensor, to: int, source: int) -> Tensor:
        """Send to one rank while receiving from another, as a ring does; neither waits for the other first."""

    @abstractmethod
    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Return the sum of every rank's ``tensor``."""

    @abstractmethod
    def reduce_scatter(self, tensor: Tensor) -> Tensor:
        """Return this rank's chunk, along the first axis, of the sum of every rank's ``tensor``."""

    @abstractmethod
    def all_gather(self, tensor: Tensor) -> Tensor:
        """Return every rank's ``tensor``, joined along the first axis in the order of ranks."""

    @abstractmethod
    def all_to_all(self, chunks: list[Tensor]) -> list[Tensor]:
        """Send ``chunks[r]`` to each rank r; return what each rank sent here."""

    @abstractmethod
    def broadcast(self, tensor: Tensor, source: int) -> Tensor:
        """Return rank ``source``'s ``tensor`` on every rank."""

    @abstractmethod
    def barrier(self) -> None:
        """Return once every rank has called this."""
