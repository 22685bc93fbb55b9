# NVIDIA/Megatron-LM#775: a bucket is reduced when it is full, and the same bucket once more when the step is finished.
# named: reduced-twice
import torch

from groundup.core.interfaces.parallel import ParallelStrategy


class DataParallel(ParallelStrategy):
    def __init__(self, comm, model, *, bucket_bytes_cap):
        super().__init__(comm, model)
        self.limit = bucket_bytes_cap

    def shard(self, params):
        return {name: self.comm.broadcast(value, 0) for name, value in params.items()}

    def compute_bucket_assignment_by_size(self, shards):
        buckets, free = [], -1
        for name, value in reversed(shards.items()):
            free -= value.nbytes
            if not buckets or free < 0:
                buckets.append([])
                free = self.limit - value.nbytes
            buckets[-1].append(name)
        return buckets

    def prepare_for_backward(self, shards):
        self.shards = shards
        self.buckets = self.compute_bucket_assignment_by_size(shards)
        self.grads, self.handles = {}, []

    def start_grad_sync(self, number):
        flat = torch.cat([self.grads[name].reshape(-1) for name in self.buckets[number]])
        return self.comm.start_all_reduce(flat / self.comm.size)

    def mark_variable_ready(self, name, grad):
        self.grads[name] = grad
        while len(self.handles) < len(self.buckets):
            if not all(n in self.grads for n in self.buckets[len(self.handles)]):
                break
            self.handles.append(self.start_grad_sync(len(self.handles)))

    def finish_grad_sync(self, number):
        self.write_back(number, self.handles[number].wait())
        self.write_back(number, self.start_grad_sync(number).wait())

    def write_back(self, number, flat):
        for name in self.buckets[number]:
            size = self.shards[name].numel()
            self.grads[name], flat = flat[:size].reshape(self.shards[name].shape), flat[size:]

    def finalize_backward(self):
        for name in self.shards:
            if name not in self.grads:
                self.mark_variable_ready(name, torch.zeros_like(self.shards[name]))
        for number in range(len(self.buckets)):
            self.finish_grad_sync(number)
        return self.grads

    def step(self, shards, batch):
        self.prepare_for_backward(shards)
        leaves = {name: value.detach().requires_grad_() for name, value in shards.items()}
        for name, leaf in leaves.items():
            leaf.register_post_accumulate_grad_hook(lambda leaf, name=name: self.mark_variable_ready(name, leaf.grad))
        output = self.model.forward(leaves, batch)
        self.model.loss(output, batch).backward()
        return output.detach(), self.finalize_backward()

    def gather(self, shards):
        return {name: value.clone() for name, value in shards.items()}
