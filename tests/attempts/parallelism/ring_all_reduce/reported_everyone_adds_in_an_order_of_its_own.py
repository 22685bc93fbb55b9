# open-mpi/ompi#12258: all data is gathered and each rank sums it in another order, its own first, so that results differ.
# named: everything-to-everyone
import torch
from groundup.core.interfaces.collective import Collective


class RingAllReduce(Collective):
    def shift(self, x):
        return self.comm.exchange(x, to=(self.comm.rank + 1) % self.comm.size, source=(self.comm.rank - 1) % self.comm.size)

    def reduce_scatter(self, chunks):
        order = [(self.comm.rank - 1 - k) % self.comm.size for k in range(self.comm.size)]
        total = chunks[order[0]].clone()
        for row in order[1:]:
            total = self.shift(total).add(chunks[row])
        return total

    def all_gather(self, chunk):
        gathered = torch.zeros((self.comm.size, *chunk.shape), dtype=chunk.dtype)
        piece = chunk
        for k in range(self.comm.size):
            piece = self.shift(piece) if k else piece
            gathered[self.comm.rank - k] = piece
        return gathered

    def all_reduce(self, tensor):
        everything = self.all_gather(tensor.reshape(-1))
        result = everything[self.comm.rank].clone()
        for r in range(self.comm.size):
            if r != self.comm.rank:
                result += everything[r]
        return result.reshape(tensor.shape)
