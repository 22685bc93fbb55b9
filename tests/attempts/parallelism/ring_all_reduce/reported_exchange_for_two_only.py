# faasm/faabric#37: the helper that sends and receives takes one partner for both, which works among two ranks only.
# named: speaks-to-one-neighbour-only gathers-from-the-rank-it-sends-to
import torch

from groundup.core.interfaces.collective import Collective


def send_recv(comm, tensor, send_rank, recv_rank):
    return comm.exchange(tensor, to=send_rank, source=send_rank)


class RingAllReduce(Collective):
    def neighbours(self):
        return (self.comm.rank + 1) % self.comm.size, (self.comm.rank - 1) % self.comm.size

    def reduce_scatter(self, chunks):
        to, source = self.neighbours()
        order = [(self.comm.rank - k) % self.comm.size for k in range(1, self.comm.size + 1)]
        held = chunks[order[0]].clone()
        for row in order[1:]:
            held = torch.add(chunks[row], send_recv(self.comm, held, to, source))
        return held

    def all_gather(self, chunk):
        to, source = self.neighbours()
        rows = [chunk]
        while len(rows) < self.comm.size:
            rows.append(send_recv(self.comm, rows[-1], to, source))
        # rows[k] belongs to the rank k places back
        return torch.stack([rows[(self.comm.rank - r) % self.comm.size] for r in range(self.comm.size)])

    def all_reduce(self, tensor):
        total = tensor.numel()
        length = (total + self.comm.size - 1) // self.comm.size
        laid = torch.zeros((self.comm.size, length), dtype=tensor.dtype)
        laid.view(-1)[:total] = tensor.flatten()
        return self.all_gather(self.reduce_scatter(laid)).view(-1)[:total].view(tensor.shape)
