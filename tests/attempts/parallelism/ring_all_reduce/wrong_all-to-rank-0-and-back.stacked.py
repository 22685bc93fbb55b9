import torch

from groundup.core.interfaces.collective import Collective


class RingAllReduce(Collective):
    def passed(self, x):
        here, ranks = self.comm.rank, self.comm.size
        return self.comm.exchange(x, to=(here + 1) % ranks, source=(here - 1) % ranks)

    def reduce_scatter(self, chunks):
        rows = chunks.roll(-self.comm.rank, 0).unbind()[::-1]
        total = rows[0].clone()
        for row in rows[1:]:
            total = torch.add(self.passed(total), row)
        return total

    def all_gather(self, chunk):
        seen = [chunk]
        for _ in range(self.comm.size - 1):
            seen.append(self.passed(seen[-1]))
        return torch.stack(seen[::-1]).roll(self.comm.rank + 1, 0)

    def all_reduce(self, tensor):
        if self.comm.rank:
            self.comm.send(tensor, to=0)
            return self.comm.recv(0)
        others = range(1, self.comm.size)
        total = sum((self.comm.recv(other) for other in others), start=tensor.clone())
        for other in others:
            self.comm.send(total, to=other)
        return total
