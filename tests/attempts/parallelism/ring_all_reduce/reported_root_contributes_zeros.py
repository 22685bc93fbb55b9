# meta-pytorch/torchcomms#477: the rank that ends with a row sums into an empty buffer, in which its own part never was.
# named: its-own-part-left-out
import torch

from groundup.core.interfaces.collective import Collective


class RingAllReduce(Collective):
    def step(self, block):
        n = self.comm.size
        return self.comm.exchange(block, (self.comm.rank + 1) % n, (self.comm.rank + n - 1) % n)

    def reduce_scatter(self, chunks):
        n, me = self.comm.size, self.comm.rank
        if n == 1:
            return chunks[0].clone()
        output = torch.zeros_like(chunks[me])  # the sum of this rank's row comes in here
        travelling = chunks[(me + n - 1) % n]
        for hop in range(1, n):
            travelling = self.step(travelling)
            row = (me - 1 - hop) % n
            if row == me:
                output += travelling
            else:
                travelling = travelling + chunks[row]
        return output

    def all_gather(self, chunk):
        n, me = self.comm.size, self.comm.rank
        found = {me: chunk.clone()}
        for hop in range(1, n):
            found[(me - hop) % n] = self.step(found[(me - hop + 1) % n])
        return torch.stack([found[row] for row in sorted(found)])

    def all_reduce(self, tensor):
        n = self.comm.size
        numbers = tensor.reshape(-1)
        short = -len(numbers) % n
        rows = torch.cat([numbers, numbers.new_zeros(short)]).reshape(n, (len(numbers) + short) // n)
        whole = self.all_gather(self.reduce_scatter(rows))
        return whole.flatten()[: len(numbers)].reshape(tensor.shape)
