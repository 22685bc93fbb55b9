# Xilinx/ACCL#25: what reduce-scatter leaves on rank i is chunk i + 1, where the ring happens to stop, not chunk i.
# named: gathers-from-the-next-row
import torch

from groundup.core.interfaces.collective import Collective


class RingAllReduce(Collective):
    def pass_on(self, data):
        rank, size = self.comm.rank, self.comm.size
        return self.comm.exchange(data, to=(rank + 1) % size, source=(rank + size - 1) % size)

    def reduce_scatter(self, chunks):
        rank, size = self.comm.rank, self.comm.size
        acc = chunks[rank].clone()
        for i in range(1, size):
            acc = self.pass_on(acc) + chunks[(rank - i) % size]
        return acc

    def all_gather(self, chunk):
        rank, size = self.comm.rank, self.comm.size
        parts = {rank: chunk}
        for i in range(size - 1):
            parts[(rank - i - 1) % size] = self.pass_on(parts[(rank - i) % size])
        return torch.stack([parts[r] for r in range(size)])

    def all_reduce(self, tensor):
        size = self.comm.size
        flat = tensor.flatten()
        padded = flat.new_zeros(-(-flat.numel() // size) * size)
        padded[: flat.numel()] = flat
        gathered = self.all_gather(self.reduce_scatter(padded.view(size, -1) if len(padded) else padded.view(size, 0)))
        return gathered.roll(1, dims=0).flatten()[: flat.numel()].reshape(tensor.shape)
