# pytorch/pytorch#114194: what a step that broke off left in the reducer is not reset, and the next step begins with it.
# named: a-broken-step-is-not-cleared
import torch

from groundup.core.interfaces.parallel import ParallelStrategy


class DataParallel(ParallelStrategy):
    def __init__(self, comm, model, *, bucket_bytes_cap):
        super().__init__(comm, model)
        self.bytes = bucket_bytes_cap
        self.reset()

    def reset(self):
        self.come, self.calls = {}, []

    def shard(self, params):
        names, values = zip(*params.items())
        return dict(zip(names, (self.comm.broadcast(value, source=0) for value in values)))

    def compute_bucket_assignment_by_size(self, shards):
        plan = []
        for name in [*shards][::-1]:
            last = plan[-1] if plan else None
            if last and sum(shards[n].nbytes for n in last) + shards[name].nbytes <= self.bytes:
                last.append(name)
            else:
                plan.append([name])
        return plan

    def prepare_for_backward(self, shards):
        self.shards, self.plan = shards, self.compute_bucket_assignment_by_size(shards)

    def mark_variable_ready(self, name, grad):
        self.come[name] = grad.detach()
        for names in self.plan[len(self.calls) :]:
            if not self.come.keys() >= {*names}:
                break
            self.calls.append(self.comm.start_all_reduce(torch.hstack([self.come[n].flatten() for n in names])))

    def finalize_backward(self):
        for name in self.shards.keys() - self.come.keys():
            self.mark_variable_ready(name, torch.zeros_like(self.shards[name]))
        grads = {}
        for names, call in zip(self.plan, self.calls):
            pieces = call.wait().div(self.comm.size).split([self.shards[n].numel() for n in names])
            grads.update((n, piece.view_as(self.shards[n])) for n, piece in zip(names, pieces))
        self.reset()
        return grads

    def step(self, shards, batch):
        self.prepare_for_backward(shards)
        leaves = {n: v.detach().requires_grad_() for n, v in shards.items()}
        for n, leaf in leaves.items():
            leaf.register_post_accumulate_grad_hook(lambda leaf, n=n: self.mark_variable_ready(n, leaf.grad))
        out = self.model.forward(leaves, batch)
        self.model.loss(out, batch).backward()
        return out.detach(), self.finalize_backward()

    def gather(self, shards):
        return {n: v.clone() for n, v in shards.items()}
