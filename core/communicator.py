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
    """The ranks' calls do not fit together: some wait for what never comes, or their collective calls differ."""


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a communicator: what it is, what it sends, to whom, and from whom it receives."""

    kind: str
    tensors: tuple[Tensor, ...] = ()
    to: int | None = None
    source: int | None = None


class Pending:
    """A collective call that has been started: the ranks go on computing while it runs."""

    def __init__(self, finish: Callable[[], list[Tensor]]) -> None:
        self._finish: Callable[[], list[Tensor]] | None = finish
        self._result: Tensor | None = None

    def wait(self) -> Tensor:
        """Return the result once it is there; asked again, the same tensor."""
        if self._finish is not None:
            (self._result,) = self._finish()
            self._finish = None
        assert self._result is not None
        return self._result


class Communicator(ABC):
    """Point-to-point messages and collectives among ``size`` ranks, numbered from 0.

    Every call blocks until its part is done. ``send`` is done when the other rank has received: two ranks that both
    send first wait for each other for ever, as over NCCL; ``exchange`` is for that. Every rank of the group makes
    the same collective calls in the same order, with tensors of the same shape and dtype. No call changes the tensor
    that it is given, and the tensor may be changed once the call returns. What is received has the shape and dtype of
    what was sent, and carries no gradient.

    Raises ValueError for a rank that does not exist and for a tensor that cannot be split, CommunicationError where the
    calls of the ranks do not fit together.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.sent_bytes = 0
        """Bytes that this rank has put on the wire so far; a collective counts as its ring algorithm sends."""

    def send(self, tensor: Tensor, to: int) -> None:
        """Send ``tensor`` to rank ``to``; returns once it has been received."""
        self._finish(Call("send", (tensor,), to=self._other(to)))

    def recv(self, source: int) -> Tensor:
        """Return the next tensor that rank ``source`` sends here."""
        return self._finish(Call("recv", source=self._other(source)))[0]

    def exchange(self, tensor: Tensor, to: int, source: int) -> Tensor:
        """Send to one rank while receiving from another, as a ring does; neither waits for the other first."""
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
        """Return every rank's ``tensor``, joined along the first axis in the order of ranks. Sends N - 1 times it."""
        return self._finish(Call("all_gather", (self._divisible(tensor, 1),)))[0]

    def all_to_all(self, chunks: list[Tensor]) -> list[Tensor]:
        """Send ``chunks[r]`` to each rank r; return what each rank sent here. The chunks may differ in shape."""
        if len(chunks) != self.size:
            raise ValueError(f"all_to_all takes a chunk for each of the {self.size} ranks, got {len(chunks)}")
        return self._finish(Call("all_to_all", tuple(chunks)))

    def broadcast(self, tensor: Tensor, source: int) -> Tensor:
        """Return rank ``source``'s ``tensor`` on every rank; the others pass one of the same shape and dtype."""
        if not 0 <= source < self.size:
            raise ValueError(f"there is no rank {source} among {self.size}")
        return self._finish(Call("broadcast", (tensor,), source=source))[0]

    def barrier(self) -> None:
        """Return once every rank has called this."""
        self._finish(Call("barrier"))

    def start_all_reduce(self, tensor: Tensor) -> Pending:
        """Start ``all_reduce`` and return at once; ``wait()`` on what is returned gives the sum."""
        return self._pending(Call("all_reduce", (tensor,)))

    def start_reduce_scatter(self, tensor: Tensor) -> Pending:
        """Start ``reduce_scatter`` and return at once."""
        return self._pending(Call("reduce_scatter", (self._divisible(tensor),)))

    def start_all_gather(self, tensor: Tensor) -> Pending:
        """Start ``all_gather`` and return at once."""
        return self._pending(Call("all_gather", (self._divisible(tensor, 1),)))

    @abstractmethod
    def _start(self, call: Call, *, wait: bool) -> Callable[[], list[Tensor]]:
        """Begin ``call``; the function returned ends it and gives its results. ``wait``: it is called right away."""

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
    """Return how many bytes ``rank`` puts on the wire for ``call``, a collective by its ring algorithm.

    A tensor that N ranks cannot share out evenly is padded to the next multiple of N elements. One without elements
    counts as its shape where an axis is above 1: numbers can be sent as the lengths of axes. Source: Patarasuk and
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
    if call.kind == "broadcast":  # a chain from the source: everyone but the last in it passes the tensor on
        return tensor.nbytes if (rank + 1) % size != call.source else 0
    factors = {"all_reduce": 2 * (size - 1) * chunk, "reduce_scatter": (size - 1) * chunk}
    return factors.get(call.kind, (size - 1) * tensor.nbytes if call.kind == "all_gather" else tensor.nbytes)


def _told_by_its_shape(tensor: Tensor) -> int:
    """Return the bytes that the shape of an empty tensor could carry: eight an axis, where an axis is above 1."""
    return 8 * tensor.dim() if tensor.numel() == 0 and any(length > 1 for length in tensor.shape) else 0


def _detached(call: Call) -> Call:
    return Call(call.kind, tuple(t.detach() for t in call.tensors), call.to, call.source)
