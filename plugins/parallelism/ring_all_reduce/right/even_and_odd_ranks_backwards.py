import torch

from groundup.core.interfaces.collective import Collective


class RingAllReduce(Collective):
    def swap(self, x):
        n, r = self.comm.size, self.comm.rank
        if r % 2 == 0:
            self.comm.send(x, (r - 1) % n)
            return self.comm.recv((r + 1) % n)
        got = self.comm.recv((r + 1) % n)
        self.comm.send(x, (r - 1) % n)
        return got

    def reduce_scatter(self, chunks):
        n, r = self.comm.size, self.comm.rank
        held = chunks[(r + 1) % n].clone()
        for s in range(2, n + 1):
            held = self.swap(held)
            held += chunks[(r + s) % n]
        return held

    def all_gather(self, chunk):
        n, r = self.comm.size, self.comm.rank
        rows = {r: chunk}
        for s in range(1, n):
            chunk = self.swap(chunk)
            rows[(r + s) % n] = chunk
        return torch.stack([rows[k] for k in range(n)])

    def all_reduce(self, tensor):
        n = self.comm.size
        flat = tensor.flatten()
        flat = torch.nn.functional.pad(flat, (0, -len(flat) % n))
        return self.all_gather(self.reduce_scatter(flat.view(n, len(flat) // n))).flatten()[:tensor.numel()].view(tensor.shape)
