# pytorch/pytorch#12603: hooks are put on the parameters once, and those that take their place later have none.
# named: hooks-on-the-first-leaves-alone
import torch

from groundup.core.interfaces.parallel import ParallelStrategy


class DataParallel(ParallelStrategy):
    def __init__(self, comm, model, *, bucket_bytes_cap):
        super().__init__(comm, model)
        self.bucket_bytes_cap = bucket_bytes_cap
        self.hooked = False

    def shard(self, params):
        return {name: self.comm.broadcast(value, source=0) for name, value in params.items()}

    def compute_bucket_assignment_by_size(self, shards):
        result = [[]]
        for name, value in list(shards.items())[::-1]:
            in_last = sum(shards[n].nbytes for n in result[-1])
            if result[-1] and in_last + value.nbytes > self.bucket_bytes_cap:
                result.append([])
            result[-1].append(name)
        return result

    def prepare_for_backward(self, shards):
        self.shards = dict(shards)
        self.buckets = self.compute_bucket_assignment_by_size(shards)
        self.gradients = {}
        self.works = []

    def mark_variable_ready(self, name, grad):
        self.gradients[name] = grad
        for bucket in self.buckets[len(self.works) :]:
            if all(n in self.gradients for n in bucket):
                self.works.append(self.comm.start_all_reduce(torch.cat([self.gradients[n].flatten() for n in bucket])))
            else:
                return

    def finalize_backward(self):
        missing = [name for name in self.shards if name not in self.gradients]
        for name in missing:
            self.mark_variable_ready(name, torch.zeros_like(self.shards[name]))
        out = {}
        for bucket, work in zip(self.buckets, self.works):
            flat = work.wait() / self.comm.size
            at = 0
            for name in bucket:
                shape = self.shards[name].shape
                out[name] = flat[at : at + shape.numel()].view(shape)
                at += shape.numel()
        return out

    def add_hooks(self, leaves):
        for name, leaf in leaves.items():
            leaf.register_post_accumulate_grad_hook(lambda leaf, name=name: self.mark_variable_ready(name, leaf.grad))
        self.hooked = True

    def step(self, shards, batch):
        self.prepare_for_backward(shards)
        leaves = {name: value.detach().clone().requires_grad_() for name, value in shards.items()}
        if not self.hooked:
            self.add_hooks(leaves)
        output = self.model.forward(leaves, batch)
        self.model.loss(output, batch).backward()
        return output.detach(), self.finalize_backward()

    def gather(self, shards):
        return {name: value.clone() for name, value in shards.items()}
