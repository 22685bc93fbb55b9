# deepspeedai/DeepSpeed#2343: gradients lie in a bucket in the order in which they came, which may differ between ranks.
# named: packed-in-order-of-arrival
import torch

from groundup.core.interfaces.parallel import ParallelStrategy


class DataParallel(ParallelStrategy):
    def __init__(self, comm, model, *, bucket_bytes_cap):
        super().__init__(comm, model)
        self.max_bytes = bucket_bytes_cap

    def shard(self, params):
        return {name: self.comm.broadcast(p, source=0).clone() for name, p in params.items()}

    def compute_bucket_assignment_by_size(self, shards):
        buckets, used = [], 0
        for name, p in reversed(shards.items()):
            if buckets and used + p.nbytes <= self.max_bytes:
                buckets[-1].append(name)
                used += p.nbytes
            else:
                buckets.append([name])
                used = p.nbytes
        return buckets

    def prepare_for_backward(self, shards):
        self.shards = shards
        self.waiting = self.compute_bucket_assignment_by_size(shards)
        self.index = {name: i for i, names in enumerate(self.waiting) for name in names}
        self.in_bucket = [[] for _ in self.waiting]  # (name, flat gradient)
        self.handles = []

    def mark_variable_ready(self, name, grad):
        i = self.index[name]
        self.in_bucket[i].append((name, grad.flatten()))
        self.waiting[i].remove(name)
        while len(self.handles) < len(self.waiting) and not self.waiting[len(self.handles)]:
            flat = torch.cat([g for _, g in self.in_bucket[len(self.handles)]])
            self.handles.append(self.comm.start_all_reduce(flat))

    def finalize_backward(self):
        for name in [name for names in self.waiting for name in names]:
            self.mark_variable_ready(name, torch.zeros_like(self.shards[name]))
        grads = {}
        for filled, handle in zip(self.in_bucket, self.handles):
            reduced, at = handle.wait() / self.comm.size, 0
            for name, flat in filled:
                grads[name] = reduced[at : at + len(flat)].view_as(self.shards[name])
                at += len(flat)
        return grads

    def step(self, shards, batch):
        self.prepare_for_backward(shards)
        leaves = {name: p.clone().requires_grad_() for name, p in shards.items()}
        for name, leaf in leaves.items():
            leaf.register_post_accumulate_grad_hook(lambda done, name=name: self.mark_variable_ready(name, done.grad))
        output = self.model.forward(leaves, batch)
        self.model.loss(output, batch).backward()
        return output.detach(), self.finalize_backward()

    def gather(self, shards):
        return {name: p.clone() for name, p in shards.items()}
