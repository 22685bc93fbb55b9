"""Ring all-reduce: reduce-scatter, then all-gather, between neighbours on a ring.

Source: Patarasuk and Yuan 2009, Bandwidth optimal all-reduce algorithms for clusters of workstations,
doi:10.1016/j.jpdc.2008.09.002; the same indices as in NCCL, src/device/all_reduce.h, runRing.
Axes: N ranks, K elements of a chunk.
"""

from __future__ import annotations

from jaxtyping import Shaped
from torch import Tensor

from groundup.core.communicator import Communicator
from groundup.core.interfaces.collective import Collective

__all__ = ["RingAllReduce"]


class RingAllReduce(Collective):
    """Sums over N ranks in a ring, which exchange messages only with their neighbours.

    Only ``comm.send``, ``comm.recv`` and ``comm.exchange`` are used, no collective of ``comm``. A message is one chunk,
    in the dtype of the input. All messages of a rank go to the same neighbour: here to rank + 1, and from the last rank
    to rank 0. The other direction is equally right. Inputs are not modified, and every result is a new tensor. With
    N = 1 nothing is sent.
    """

    def __init__(self, comm: Communicator) -> None:
        super().__init__(comm)
        self.next_rank = (comm.rank + 1) % comm.size
        self.prev_rank = (comm.rank - 1) % comm.size

    def reduce_scatter(self, chunks: Shaped[Tensor, "N K"]) -> Shaped[Tensor, "K"]:
        """Return row ``comm.rank`` of the sum of every rank's ``chunks``, in N - 1 messages of K elements.

        Floats or integers, K may be 0. The sum is not divided by N.
        """
        rank, size = self.comm.rank, self.comm.size
        # HOLE 1/3: partial sums travel around the ring; set ``partial``, (K,), to the sum of row ``rank`` over all
        # ranks. In each of N - 1 steps a rank sends the partial sum that it holds, receives its neighbour's, which is
        # for another row, and adds its own part of that row. With which row must it begin to end with row ``rank``?
        raise NotImplementedError("hole 1/3: partial sums travel around the ring")
        return partial

    def all_gather(self, chunk: Shaped[Tensor, "K"]) -> Shaped[Tensor, "N K"]:
        """Return every rank's ``chunk`` bit for bit, rank r's in row r, in N - 1 messages of K elements."""
        rank, size = self.comm.rank, self.comm.size
        # HOLE 2/3: finished chunks travel around the ring; set ``gathered``, (N, K). In the first of N - 1 steps a rank
        # sends its own chunk, in each later step the chunk it received in the step before. Whose chunk does it receive?
        raise NotImplementedError("hole 2/3: finished chunks travel around the ring")
        return gathered

    def all_reduce(self, tensor: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """Return the sum of every rank's ``tensor``, the same bits on every rank, in 2 (N - 1) messages of K elements.

        ``tensor`` has any shape, including () and shapes with a 0, and any memory layout. Its elements are padded with
        zeros to N chunks of the smallest equal length, K = ceil(elements / N), even if whole chunks are then padding.
        So a tensor without elements sends 0 bytes. The sum is not divided by N.
        """
        size = self.comm.size
        # HOLE 3/3: cut, reduce, gather, put together; set ``result``, with the shape and dtype of ``tensor``. Arrange
        # its elements in N rows of K, call the two methods above, and drop the padding.
        raise NotImplementedError("hole 3/3: cut, reduce, gather, put together")
        return result
