import torch

from groundup.core.interfaces.collective import Collective


class RingAllReduce(Collective):
    def _ring(self, x):
        return self.comm.exchange(x, to=(self.comm.rank + 1) % self.comm.size, source=(self.comm.rank - 1) % self.comm.size)

    def reduce_scatter(self, chunks):
        own = list(chunks.clone())
        i = self.comm.rank
        for s in range(self.comm.size - 1):
            own[i - s - 2] += self._ring(own[i - s - 1])
        return own[i]

    def all_gather(self, chunk):
        out = torch.zeros((self.comm.size, chunk.numel()), dtype=chunk.dtype)
        i = self.comm.rank
        out[i].copy_(chunk)
        for s in range(self.comm.size - 1):
            out[i - s - 1].copy_(self._ring(out[i - s]))
        return out

    def all_reduce(self, tensor):
        n, i = self.comm.size, self.comm.rank
        if tensor.numel() == 0:
            return tensor.clone()
        k = (tensor.numel() + n - 1) // n
        buf = torch.cat([tensor.reshape(-1), torch.ones(n * k - tensor.numel(), dtype=tensor.dtype)])
        rows = [buf[j * k:(j + 1) * k] for j in range(n)]
        for s in range(n - 1):
            rows[(i - s - 1) % n] += self._ring(rows[(i - s) % n])
        for s in range(n - 1):
            rows[(i - s) % n][:] = self._ring(rows[(i - s + 1) % n])
        return buf[:tensor.numel()].reshape(tensor.shape)
