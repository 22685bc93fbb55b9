import torch

from groundup.core.interfaces.collective import Collective


class RingAllReduce(Collective):
    def reduce_scatter(self, chunks):
        return self._run(chunks)[self.comm.rank].clone() if self.comm.size == 1 else self._rs(chunks)

    def _nb(self):
        return dict(to=(self.comm.rank + 1) % self.comm.size, source=(self.comm.rank - 1) % self.comm.size)

    def _rs(self, chunks):
        n, ix = self.comm.size, self.comm.rank
        buf = self.comm.exchange(chunks[(ix + n - 1) % n], **self._nb())
        for j in range(2, n):
            buf = self.comm.exchange(buf + chunks[(ix + n - j) % n], **self._nb())
        return buf + chunks[ix]

    def _run(self, rows):
        n, ix = self.comm.size, self.comm.rank
        out = rows.clone()
        if n == 1:
            return out
        out[ix] = self._rs(rows)
        buf = self.comm.exchange(out[ix], **self._nb())
        for j in range(1, n - 1):
            c = (ix + n - j) % n
            out[c] = buf
            buf = self.comm.exchange(buf, **self._nb())
        out[(ix + 1) % n] = buf
        return out

    def all_gather(self, chunk):
        n = self.comm.size
        out = [None] * n
        out[self.comm.rank] = chunk.clone()
        c = chunk
        for j in range(1, n):
            c = self.comm.exchange(c, **self._nb())
            out[self.comm.rank - j] = c
        return torch.stack(out)

    def all_reduce(self, tensor):
        n = self.comm.size
        flat = torch.zeros(-(-tensor.numel() // n) * n, dtype=tensor.dtype)
        flat[:tensor.numel()].copy_(tensor.flatten())
        return self._run(flat.unflatten(0, (n, flat.numel() // n)) if flat.numel() else flat.reshape(n, 0)).flatten()[:tensor.numel()].view(tensor.shape)
