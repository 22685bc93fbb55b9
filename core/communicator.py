"""A rank's view of its group. Every byte that leaves a rank is counted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

__all__ = ["Call", "CommunicationError", "Communicator", "Pending", "wire_bytes"]
__contract__ = ("Communicator", "Pending", "CommunicationError")

POINT_TO_POINT = ("send", "recv", "exchange")
COLLECTIVES = ("all_reduce", "reduce_scatter", "all_gather", "all_to_all", "broadcast", "barrier")


class CommunicationError(Exception):
    """The ranks' calls do not match: some ranks wait for ever, or the ranks' collective calls differ."""


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a communicator: its kind, the tensors it sends, the receiving rank and the source rank."""

    kind: str
    tensors: tuple[Tensor, ...] = ()
    to: int | None = None
    source: int | None = None


class Pending:
    """A collective call in progress. The ranks can compute while it runs."""

    def __init__(self, finish: Callable[[], list[Tensor]]) -> None:
        self._finish: Callable[[], list[Tensor]] | None = finish
        self._result: Tensor | None = None

    def wait(self) -> Tensor:
        """Wait for the call to complete and return its result; a second call returns the same tensor."""
        if self._finish is not None:
            (self._result,) = self._finish()
            self._finish = None
        assert self._result is not None
        return self._result


class Communicator(ABC):
    """Point-to-point messages and collectives among ``size`` ranks, numbered from 0.

    Every call blocks until this rank's part is done. ``send`` returns when the other rank has received, so two ranks
    that both send first wait for each other for ever, as with NCCL; use ``exchange`` instead. Every rank of the group
    makes the same collective calls in the same order, with tensors of the same shape and dtype. No call changes the
    tensor that it is given, and the caller may change that tensor once the call returns. A received tensor has the
    shape and dtype of the one sent, and carries no gradient.

    Raises ValueError for a rank that does not exist and for a tensor that cannot be split, CommunicationError where the
    calls of the ranks do not match.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.sent_bytes = 0
        """Bytes that this rank has sent so far; a collective counts the bytes that its ring algorithm sends."""

    def send(self, tensor: Tensor, to: int) -> None:
        """Send ``tensor`` to rank ``to``; returns once it has been received."""
        self._finish(Call("send", (tensor,), to=self._other(to)))

    def recv(self, source: int) -> Tensor:
        """Return the next tensor that rank ``source`` sends here."""
        return self._finish(Call("recv", source=self._other(source)))[0]

    def exchange(self, tensor: Tensor, to: int, source: int) -> Tensor:
        """Send to rank ``to`` and receive from rank ``source`` at the same time, as a ring does."""
        return self._finish(Call("exchange", (tensor,), to=self._other(to), source=self._other(source)))[0]

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Return the sum of every rank's ``tensor``. Sends 2 (N - 1) / N of its bytes."""
        return self._finish(Call("all_reduce", (tensor,)))[0]

    def reduce_scatter(self, tensor: Tensor) -> Tensor:
        """Return this rank's chunk, along the first axis, of the sum of every rank's ``tensor``.

        The chunks are equal: N divides the first axis. Sends (N - 1) / N of the tensor's bytes.
        """
        return self._finish(Call("reduce_scatter", (self._divisible(tensor),)))[0]

    def all_gather(self, tensor: Tensor) -> Tensor:
        """Return every rank's ``tensor``, joined along the first axis in rank order. Sends N - 1 times its bytes."""
        return self._finish(Call("all_gather", (self._divisible(tensor, 1),)))[0]

    def all_to_all(self, chunks: list[Tensor]) -> list[Tensor]:
        """Send ``chunks[r]`` to each rank r; return what each rank sent here. The chunks may differ in shape."""
        if len(chunks) != self.size:
            raise ValueError(f"all_to_all takes a chunk for each of the {self.size} ranks, got {len(chunks)}")
        return self._finish(Call("all_to_all", tuple(chunks)))

    def broadcast(self, tensor: Tensor, source: int) -> Tensor:
        """Return rank ``source``'s ``tensor`` on every rank; the other ranks pass a tensor of its shape and dtype."""
        if not 0 <= source < self.size:
            raise ValueError(f"there is no rank {source} among {self.size}")
        return self._finish(Call("broadcast", (tensor,), source=source))[0]

    def barrier(self) -> None:
        """Return once every rank has called this."""
        self._finish(Call("barrier"))

    def start_all_reduce(self, tensor: Tensor) -> Pending:
        """Start ``all_reduce`` and return at once; ``wait()`` on the returned object gives the sum."""
        return self._pending(Call("all_reduce", (tensor,)))

    def start_reduce_scatter(self, tensor: Tensor) -> Pending:
        """Start ``reduce_scatter`` and return at once."""
        return self._pending(Call("reduce_scatter", (self._divisible(tensor),)))

    def start_all_gather(self, tensor: Tensor) -> Pending:
        """Start ``all_gather`` and return at once."""
        return self._pending(Call("all_gather", (self._divisible(tensor, 1),)))

    @abstractmethod
    def _start(self, call: Call, *, wait: bool) -> Callable[[], list[Tensor]]:
        """Begin ``call`` and return a function that completes it and returns its results.

        ``wait`` says that the caller calls that function at once.
        """

    def _finish(self, call: Call) -> list[Tensor]:
        self.sent_bytes += wire_bytes(call, self.rank, self.size)
        return self._start(_detached(call), wait=True)()

    def _pending(self, call: Call) -> Pending:
        self.sent_bytes += wire_bytes(call, self.rank, self.size)
        return Pending(self._start(_detached(call), wait=False))

    def _other(self, rank: int) -> int:
        if not 0 <= rank < self.size:
            raise ValueError(f"there is no rank {rank} among {self.size}")
        if rank == self.rank:
            raise ValueError(f"rank {rank} cannot send to itself, or receive from itself")
        return rank

    def _divisible(self, tensor: Tensor, by: int | None = None) -> Tensor:
        parts = self.size if by is None else by
        if tensor.dim() == 0 or tensor.shape[0] % parts:
            raise ValueError(f"a tensor of shape {tuple(tensor.shape)} has no first axis that divides into {parts}")
        return tensor


def wire_bytes(call: Call, rank: int, size: int) -> int:
    """Return how many bytes ``rank`` sends for ``call``; a collective is counted as its ring algorithm.

    A tensor that N ranks cannot share out evenly is padded to the next multiple of N elements. An empty tensor counts
    the bytes of its shape if any axis is longer than 1, since axis lengths can carry numbers. Source: Patarasuk and
    Yuan 2009, Bandwidth optimal all-reduce algorithms for clusters of workstations (all-reduce, 2 (N - 1) / N).
    """
    if call.kind in ("recv", "barrier") or (size == 1 and call.kind in COLLECTIVES):
        return 0
    return _payload(call, rank, size) + sum(map(_told_by_its_shape, call.tensors))


def _payload(call: Call, rank: int, size: int) -> int:
    if call.kind == "all_to_all":
        return sum(t.nbytes for r, t in enumerate(call.tensors) if r != rank)
    (tensor,) = call.tensors
    chunk = -(-tensor.numel() // size) * tensor.element_size()
    if call.kind == "broadcast":  # a chain of ranks from the source: every rank but the last sends the tensor
        return tensor.nbytes if (rank + 1) % size != call.source else 0
    factors = {"all_reduce": 2 * (size - 1) * chunk, "reduce_scatter": (size - 1) * chunk}
    return factors.get(call.kind, (size - 1) * tensor.nbytes if call.kind == "all_gather" else tensor.nbytes)


def _told_by_its_shape(tensor: Tensor) -> int:
    """Return the bytes that an empty tensor's shape could carry: 8 per axis if any axis is longer than 1, else 0."""
    return 8 * tensor.dim() if tensor.numel() == 0 and any(length > 1 for length in tensor.shape) else 0


def _detached(call: Call) -> Call:
    return Call(call.kind, tuple(t.detach() for t in call.tensors), call.to, call.source)
