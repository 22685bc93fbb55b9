# pytorch/pytorch#85234: gathering tensors without elements ends in a division by zero, that of an offset by the size.
# named: nothing
import torch
from groundup.core.interfaces.collective import Collective


class RingAllReduce(Collective):
    def reduce_scatter(self, chunks):
        me, n = self.comm.rank, self.comm.size
        if n == 1:
            return chunks[0].clone()
        travelling = chunks[me - 1]
        for back in range(2, n + 1):
            travelling = self.comm.exchange(travelling, to=(me + 1) % n, source=(me - 1) % n)
            travelling = travelling + chunks[(me - back) % n]
        return travelling

    def all_gather(self, chunk):
        me, n = self.comm.rank, self.comm.size
        width = chunk.numel()
        output = torch.empty(n * width, dtype=chunk.dtype)
        offset = me * width
        output[offset : offset + width] = chunk
        for _ in range(n - 1):
            received = self.comm.exchange(output[offset : offset + width].clone(), (me + 1) % n, (me - 1) % n)
            offset = (offset - width) % output.numel()
            output[offset : offset + width] = received
        return output.reshape(n, width)

    def all_reduce(self, tensor):
        n, elements = self.comm.size, tensor.numel()
        if elements == 0:
            return torch.empty_like(tensor)
        each = (elements + n - 1) // n
        rows = torch.zeros(n, each, dtype=tensor.dtype)
        rows.view(-1)[:elements] = tensor.reshape(-1)
        return self.all_gather(self.reduce_scatter(rows)).view(-1)[:elements].view(tensor.shape).clone()
