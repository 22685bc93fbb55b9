import torch

from groundup.core.interfaces.collective import Collective


class RingAllReduce(Collective):
    def step(self, x):
        n, r = self.comm.size, self.comm.rank
        if r == 0:
            y = self.comm.recv(n - 1)
            self.comm.send(x, to=1 % n)
        else:
            self.comm.send(x, to=(r + 1) % n)
            y = self.comm.recv(r - 1)
        return y

    def reduce_scatter(self, chunks):
        n, r = self.comm.size, self.comm.rank
        order = [(r - 1 - s) % n for s in range(n)]
        acc = chunks[order[0]] + 0
        for row in order[1:]:
            acc = torch.stack([self.step(acc), chunks[row]]).sum(0, dtype=chunks.dtype)
        return acc

    def all_gather(self, chunk):
        n, r = self.comm.size, self.comm.rank
        parts = [chunk]
        while len(parts) < n:
            parts.append(self.step(parts[-1]))
        return torch.stack(parts[::-1]).roll(r + 1, 0)

    def all_reduce(self, tensor):
        n = self.comm.size
        k = -(-tensor.numel() // n)
        m = torch.zeros((n, k), dtype=tensor.dtype)
        m.view(-1)[:tensor.numel()] = tensor.reshape(-1)
        return self.all_gather(self.reduce_scatter(m)).view(-1)[:tensor.numel()].reshape(tensor.shape)
