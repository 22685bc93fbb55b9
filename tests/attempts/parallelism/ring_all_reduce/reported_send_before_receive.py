# NVIDIA/nccl#479: both ranks send first and receive second, and neither send ends before the other rank receives.
# named: everyone-sends-first everyone-sends-first-when-gathering
import torch

from groundup.core.interfaces.collective import Collective


class RingAllReduce(Collective):
    @property
    def after(self):
        return (self.comm.rank + 1) % self.comm.size

    @property
    def before(self):
        return (self.comm.rank - 1) % self.comm.size

    def trade(self, tensor):
        self.comm.send(tensor, self.after)
        return self.comm.recv(self.before)

    def reduce_scatter(self, chunks):
        rows = [chunks[self.comm.rank - k] for k in range(1, self.comm.size + 1)]
        total, *rest = rows
        for row in rest:
            total = self.trade(total) + row
        return total.clone()

    def all_gather(self, chunk):
        rows = {self.comm.rank: chunk}
        for k in range(1, self.comm.size):
            chunk = self.trade(chunk)
            rows[(self.comm.rank - k) % self.comm.size] = chunk
        return torch.stack([rows[r] for r in range(self.comm.size)])

    def all_reduce(self, tensor):
        flat = tensor.flatten()
        padded = torch.cat((flat, flat.new_zeros(-flat.numel() % self.comm.size)))
        rows = padded.view(self.comm.size, padded.numel() // self.comm.size)
        return self.all_gather(self.reduce_scatter(rows)).view(-1)[: flat.numel()].view(tensor.shape)
