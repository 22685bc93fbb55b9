# hw-native-sys/pypto#1942: the ring takes SIZE // N elements a rank, and a size that N does not divide drops its tail.
# named: remainder-left-out
import torch

from groundup.core.interfaces.collective import Collective


class RingAllReduce(Collective):
    def shift(self, block):
        return self.comm.exchange(block, to=(self.comm.rank + 1) % self.comm.size, source=self.comm.rank - 1 if self.comm.rank else self.comm.size - 1)

    def reduce_scatter(self, chunks):
        mine = chunks.clone()
        for step in range(self.comm.size - 1):
            send, receive = (self.comm.rank - step - 1) % self.comm.size, (self.comm.rank - step - 2) % self.comm.size
            mine[receive] += self.shift(mine[send])
        return mine[self.comm.rank]

    def all_gather(self, chunk):
        slots = torch.stack([chunk] * self.comm.size)
        for step in range(self.comm.size - 1):
            send, receive = (self.comm.rank - step) % self.comm.size, (self.comm.rank - step - 1) % self.comm.size
            slots[receive] = self.shift(slots[send])
        return slots

    def all_reduce(self, tensor):
        target = tensor.clone(memory_format=torch.contiguous_format)
        each = target.numel() // self.comm.size
        window = target.view(-1)[: each * self.comm.size].view(self.comm.size, each)
        window.copy_(self.all_gather(self.reduce_scatter(window)))
        return target
