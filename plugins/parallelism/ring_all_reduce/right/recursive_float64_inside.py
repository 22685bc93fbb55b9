import torch

from groundup.core.interfaces.collective import Collective


class RingAllReduce(Collective):
    def _pass(self, x):
        n, r = self.comm.size, self.comm.rank
        return self.comm.exchange(x.reshape(1, -1), to=(r + 1) % n, source=(r + n - 1) % n).reshape(-1)

    def _add(self, a, b):
        return (a.double() + b.double()).to(a.dtype) if a.is_floating_point() else a + b

    def reduce_scatter(self, chunks):
        n, r = self.comm.size, self.comm.rank
        def go(s):
            if s == 0:
                return chunks[(r - 1) % n].clone()
            return self._add(self._pass(go(s - 1)), chunks[(r - 1 - s) % n])
        return go(n - 1)

    def all_gather(self, chunk):
        n, r = self.comm.size, self.comm.rank
        def go(s, c):
            return [c] if s == n else [c, *go(s + 1, self._pass(c))]
        got = go(1, chunk)
        return torch.stack([got[(r - k) % n] for k in range(n)])

    def all_reduce(self, tensor):
        n = self.comm.size
        k = -(-tensor.numel() // n)
        flat = tensor.reshape(-1)
        flat = torch.cat([flat, flat.new_zeros(n * k - flat.numel())])
        return self.all_gather(self.reduce_scatter(flat.reshape(n, k))).reshape(-1)[:tensor.numel()].reshape(tensor.shape).clone()
