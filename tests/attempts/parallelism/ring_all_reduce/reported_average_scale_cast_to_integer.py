# InfiniTensor/InfiniCCL#37: the average is made with 1 / N in the type of the elements, which is 0 for integers.
# named: averages-with-a-factor-in-the-elements-dtype
import torch

from groundup.core.interfaces.collective import Collective


class RingAllReduce(Collective):
    def __init__(self, comm):
        super().__init__(comm)
        self.right, self.left = (comm.rank + 1) % comm.size, (comm.rank - 1) % comm.size

    def reduce_scatter(self, chunks):
        buf = list(chunks.unbind(0))
        for step in range(1, self.comm.size):
            out, come = self.comm.rank - step, self.comm.rank - step - 1
            come %= self.comm.size
            buf[come] = buf[come] + self.comm.exchange(buf[out], self.right, self.left)
        scale = torch.tensor(1 / self.comm.size).to(chunks.dtype)
        return buf[self.comm.rank] * scale

    def all_gather(self, chunk):
        buf = [chunk] * self.comm.size
        for step in range(self.comm.size - 1):
            out, come = self.comm.rank - step, (self.comm.rank - step - 1) % self.comm.size
            buf[come] = self.comm.exchange(buf[out], self.right, self.left)
        return torch.stack(buf)

    def all_reduce(self, tensor):
        count = tensor.numel()
        k = (count + self.comm.size - 1) // self.comm.size
        send = torch.cat([tensor.reshape(-1), tensor.new_zeros(k * self.comm.size - count)]).reshape(self.comm.size, k)
        return self.all_gather(self.reduce_scatter(send)).reshape(-1)[:count].reshape(tensor.shape)
