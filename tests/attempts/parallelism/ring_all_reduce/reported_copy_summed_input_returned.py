# NVIDIA/Megatron-LM#5337: a copy made where memory is not contiguous is summed, and the tensor that was given returned.
# named: sums-a-copy-and-returns-the-tensor
import math

from groundup.core.interfaces.collective import Collective


class RingAllReduce(Collective):
    def __init__(self, comm):
        super().__init__(comm)
        self.right, self.left = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size

    def pass_right(self, block):
        return self.comm.exchange(block, to=self.right, source=self.left)

    def reduce_scatter(self, chunks):
        who = self.comm.rank
        block = chunks[who - 1].clone()
        for back in range(2, self.comm.size + 1):
            block = self.pass_right(block) + chunks[who - back]
        return block

    def all_gather(self, chunk):
        table = chunk.new_zeros((self.comm.size, chunk.numel()))
        table[self.comm.rank] = chunk
        for back in range(1, self.comm.size):
            chunk = self.pass_right(chunk)
            table[self.comm.rank - back] = chunk
        return table

    def all_reduce(self, tensor):
        out = tensor.clone()  # keeps the memory layout
        work = out.contiguous()
        self.sum_in_place(work)
        return out

    def sum_in_place(self, work):
        flat, length = work.view(-1), math.ceil(work.numel() / self.comm.size)
        blocks = flat.new_zeros(self.comm.size * length)
        blocks[: len(flat)] = flat
        total = self.all_gather(self.reduce_scatter(blocks.view(self.comm.size, length)))
        flat.copy_(total.view(-1)[: len(flat)])
