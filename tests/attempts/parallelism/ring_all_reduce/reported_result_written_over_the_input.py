# jax-ml/jax#40830: a reduce-scatter sends from its input, and every rank but the first writes over the start of it.
# named: adds-into-what-it-was-given
import torch

from groundup.core.interfaces.collective import Collective


class RingAllReduce(Collective):
    def reduce_scatter(self, chunks):
        rank, size = self.comm.rank, self.comm.size
        total = self.reduced(rank, chunks)
        if rank > 0:
            chunks[0] = total
            return chunks[0].clone()
        return total

    def reduced(self, row, chunks):
        held = None
        for step in range(self.comm.size):
            part = chunks[(row - 1 - step) % self.comm.size]
            held = part.clone() if held is None else self.forward(held) + part
        return held

    def forward(self, block):
        rank, size = self.comm.rank, self.comm.size
        return self.comm.exchange(block, to=(rank + 1) % size, source=(rank - 1) % size)

    def all_gather(self, chunk):
        rank, size = self.comm.rank, self.comm.size
        line = [chunk.clone()]
        for _ in range(size - 1):
            line.insert(0, self.forward(line[0]))
        return torch.stack(line).roll(rank + 1, dims=0)

    def all_reduce(self, tensor):
        size = self.comm.size
        length = -(-tensor.numel() // size)
        buffer = tensor.new_zeros((size, length))
        buffer.flatten()[: tensor.numel()].copy_(tensor.flatten())
        gathered = self.all_gather(self.reduce_scatter(buffer))
        return gathered.flatten()[: tensor.numel()].reshape(tensor.shape)
