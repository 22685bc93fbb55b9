# pytorch/pytorch#21480: a reduction leaves partial sums in the tensors of the ranks that only pass them on.
# named: adds-into-what-it-was-given
import torch

from groundup.core.interfaces.collective import Collective


class RingAllReduce(Collective):
    def reduce_scatter(self, chunks):
        size, rank, comm = self.comm.size, self.comm.rank, self.comm
        row = (rank - 1) % size
        for _ in range(size - 1):
            arrived = comm.exchange(chunks[row], to=(rank + 1) % size, source=(rank - 1) % size)
            row = (row - 1) % size
            chunks[row].add_(arrived)  # reduced where it lies
        return chunks[rank].clone()

    def all_gather(self, chunk):
        size, rank, comm = self.comm.size, self.comm.rank, self.comm
        out = torch.empty((size, len(chunk)), dtype=chunk.dtype)
        out[rank].copy_(chunk)
        for behind in range(size - 1):
            source, arriving = (rank - behind) % size, (rank - behind - 1) % size
            out[arriving].copy_(comm.exchange(out[source], to=(rank + 1) % size, source=(rank - 1) % size))
        return out

    def all_reduce(self, tensor):
        size, count = self.comm.size, tensor.numel()
        flat = tensor.reshape(-1)  # a view where that is possible
        if count % size or count == 0:
            flat = torch.nn.functional.pad(flat, (0, -count % size))
        reduced = self.all_gather(self.reduce_scatter(flat.view(size, len(flat) // size)))
        return reduced.view(-1)[:count].view(tensor.shape)
