# NVIDIA/Megatron-LM#4609: gradients are added into a buffer that still holds what the last communication left in it.
# named: adds-to-what-the-last-step-left
import torch
from groundup.core.interfaces.parallel import ParallelStrategy


class Bucket:
    def __init__(self, names, shards):
        self.names, self.grad_data = names, torch.zeros(sum(shards[n].numel() for n in names), dtype=shards[names[0]].dtype)
        sizes = [shards[n].numel() for n in names]
        parts = self.grad_data.split(sizes)
        self.main_grad = {n: part.view(shards[n].shape) for n, part in zip(names, parts)}
        self.reset()

    def reset(self):
        self.ready, self.work = set(), None


class DataParallel(ParallelStrategy):
    def __init__(self, comm, model, *, bucket_bytes_cap):
        super().__init__(comm, model)
        self.cap, self.buckets = bucket_bytes_cap, []

    def shard(self, params):
        return {n: self.comm.broadcast(p, 0) for n, p in params.items()}

    def compute_bucket_assignment_by_size(self, shards):
        names, plan = list(shards), []
        while names:
            bucket = [names.pop()]
            size = shards[bucket[0]].nbytes
            while names and size + shards[names[-1]].nbytes <= self.cap:
                size += shards[names[-1]].nbytes
                bucket.append(names.pop())
            plan.append(bucket)
        return plan

    def prepare_for_backward(self, shards):
        self.order, plan = list(shards), self.compute_bucket_assignment_by_size(shards)
        known = [{n: g.shape for n, g in b.main_grad.items()} for b in self.buckets]
        if known != [{n: shards[n].shape for n in names} for names in plan]:
            self.buckets = [Bucket(names, shards) for names in plan]
        for bucket in self.buckets:
            bucket.reset()

    def mark_variable_ready(self, name, grad):
        (bucket,) = (b for b in self.buckets if name in b.main_grad)
        bucket.main_grad[name].add_(grad)
        bucket.ready.add(name)
        self.start_those_that_can()

    def start_those_that_can(self):
        for bucket in self.buckets:
            if bucket.work is None:
                if len(bucket.ready) < len(bucket.names):
                    return
                bucket.work = self.comm.start_all_reduce(bucket.grad_data)

    def finalize_backward(self):
        for bucket in self.buckets:
            bucket.ready.update(bucket.names)
        self.start_those_that_can()
        for bucket in self.buckets:
            bucket.grad_data.copy_(bucket.work.wait()).div_(self.comm.size)
        found = {n: g.clone() for bucket in self.buckets for n, g in bucket.main_grad.items()}
        return {n: found[n] for n in self.order}

    def step(self, shards, batch):
        self.prepare_for_backward(shards)
        leaves = {}
        for n, p in shards.items():
            leaf = leaves[n] = p.detach().clone().requires_grad_(True)
            leaf.register_post_accumulate_grad_hook(self.hook_for(n))
        output = self.model.forward(leaves, batch)
        self.model.loss(output, batch).backward()
        return output.detach(), self.finalize_backward()

    def hook_for(self, name):
        def hook(leaf):
            self.mark_variable_ready(name, leaf.grad)

        return hook

    def gather(self, shards):
        return {n: p.clone() for n, p in shards.items()}
