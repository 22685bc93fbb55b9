# pytorch/pytorch#72843: after its first backward pass a rank rebuilds its buckets, and other ranks do not do the same.
# named: the-plan-follows-what-came-first
import torch

from groundup.core.interfaces.parallel import ParallelStrategy


class DataParallel(ParallelStrategy):
    def __init__(self, comm, model, *, bucket_bytes_cap):
        super().__init__(comm, model)
        self.cap, self.rebuilt = bucket_bytes_cap, None

    def shard(self, params):
        return {name: self.comm.broadcast(value, source=0) for name, value in params.items()}

    def fill(self, names, shards):
        buckets = []
        for name in names:
            if buckets and sum(shards[n].nbytes for n in (*buckets[-1], name)) <= self.cap:
                buckets[-1].append(name)
            else:
                buckets.append([name])
        return buckets

    def compute_bucket_assignment_by_size(self, shards):
        return self.fill(self.rebuilt or [*reversed(shards)], shards)

    def prepare_for_backward(self, shards):
        self.shards, self.buckets = shards, self.compute_bucket_assignment_by_size(shards)
        self.arrivals, self.pending = {}, []

    def mark_variable_ready(self, name, grad):
        self.arrivals[name] = grad
        while len(self.pending) < len(self.buckets):
            names = self.buckets[len(self.pending)]
            if not set(names).issubset(self.arrivals):
                break
            self.pending.append(self.comm.start_all_reduce(torch.cat([self.arrivals[n].reshape(-1) for n in names])))

    def finalize_backward(self):
        order = [*self.arrivals]
        unused = [n for n in reversed(self.shards) if n not in self.arrivals]
        for name in unused:
            self.mark_variable_ready(name, torch.zeros_like(self.shards[name]))
        grads = {}
        for names, pending in zip(self.buckets, self.pending):
            pieces = pending.wait().div(self.comm.size).split([self.shards[n].numel() for n in names])
            grads |= {n: p.reshape(self.shards[n].shape) for n, p in zip(names, pieces)}
        self.rebuilt = self.rebuilt or order + unused
        return grads

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
