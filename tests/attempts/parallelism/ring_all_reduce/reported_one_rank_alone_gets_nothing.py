# Xilinx/ACCL#58: with a single rank reductions are wrong; here the result is what has arrived, and nothing arrives.
# named: alone-it-gets-zeros
import torch

from groundup.core.interfaces.collective import Collective


class RingAllReduce(Collective):
    def __init__(self, comm):
        super().__init__(comm)
        self.to = comm.rank + 1 if comm.rank + 1 < comm.size else 0
        self.source = comm.rank - 1 if comm.rank > 0 else comm.size - 1

    def reduce_scatter(self, chunks):
        n = self.comm.size
        result = torch.zeros_like(chunks[0])
        outgoing = chunks[self.source]
        for hop in range(n - 1):
            incoming = self.comm.exchange(outgoing, self.to, self.source)
            outgoing = incoming + chunks[(self.comm.rank - hop - 2) % n]
            result = outgoing
        return result

    def all_gather(self, chunk):
        rows = chunk.repeat(self.comm.size, 1)
        for hop in range(1, self.comm.size):
            chunk = self.comm.exchange(chunk, self.to, self.source)
            rows[(self.comm.rank - hop) % self.comm.size] = chunk
        return rows

    def all_reduce(self, tensor):
        n, count = self.comm.size, tensor.numel()
        length = count // n + bool(count % n)
        flat = tensor.new_zeros(n * length)
        flat[:count] = tensor.flatten()
        return self.all_gather(self.reduce_scatter(flat.view(n, length))).flatten()[:count].view(tensor.shape)
