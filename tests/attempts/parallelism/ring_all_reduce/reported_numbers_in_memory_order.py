# pytorch/pytorch#130251: numbers are taken as they lie in memory and put into a contiguous result, strides forgotten.
# named: in-the-order-of-memory
import torch

from groundup.core.interfaces.collective import Collective


def as_it_lies(tensor):
    dims = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
    return tensor.permute(dims).reshape(-1)


class RingAllReduce(Collective):
    def reduce_scatter(self, chunks):
        n, r = self.comm.size, self.comm.rank
        acc = chunks[(r - 1) % n].clone()
        for k in range(2, n + 1):
            acc = self._turn(acc).add(chunks[(r - k) % n])
        return acc

    def all_gather(self, chunk):
        n, r = self.comm.size, self.comm.rank
        got = [None] * n
        for k in range(n):
            got[(r - k) % n] = chunk
            chunk = self._turn(chunk) if k < n - 1 else None
        return torch.stack(got)

    def all_reduce(self, tensor):
        n = self.comm.size
        numbers = as_it_lies(tensor)
        blocks = torch.nn.functional.pad(numbers, (0, -numbers.numel() % n))
        blocks = blocks.view(n, blocks.numel() // n)
        result = tensor.new_empty(tensor.shape)
        result.view(-1).copy_(self.all_gather(self.reduce_scatter(blocks)).view(-1)[: numbers.numel()])
        return result

    def _turn(self, block):
        n, r = self.comm.size, self.comm.rank
        return self.comm.exchange(block, to=(r + 1) % n, source=(r + n - 1) % n)
