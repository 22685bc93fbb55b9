# pytorch/pytorch#14675: a bucket none of whose parameters gets a gradient is never started, and all that wait for it are
# not either; what comes back is then each rank's own.
# named: left-over-gradients-stay-ones-own
import torch
from groundup.core.interfaces.parallel import ParallelStrategy


class DataParallel(ParallelStrategy):
    def __init__(self, comm, model, *, bucket_bytes_cap):
        super().__init__(comm, model)
        self.cap = bucket_bytes_cap

    def shard(self, params):
        shards = {}
        for name in params:
            shards[name] = self.comm.broadcast(params[name], source=0)
        return shards

    def compute_bucket_assignment_by_size(self, shards):
        plan = []
        for name in reversed(tuple(shards)):
            if plan and sum(shards[n].nbytes for n in plan[-1]) + shards[name].nbytes <= self.cap:
                plan[-1].append(name)
            else:
                plan.append([name])
        return plan

    def prepare_for_backward(self, shards):
        self.shards, self.plan = shards, self.compute_bucket_assignment_by_size(shards)
        self.own, self.next_bucket, self.reductions = {}, 0, {}

    def mark_variable_ready(self, name, grad):
        self.own[name] = grad.clone()
        while self.next_bucket < len(self.plan) and all(n in self.own for n in self.plan[self.next_bucket]):
            flat = torch.cat([self.own[n].reshape(-1) for n in self.plan[self.next_bucket]])
            self.reductions[self.next_bucket] = self.comm.start_all_reduce(flat)
            self.next_bucket += 1

    def finalize_backward(self):
        grads = {name: self.own.get(name, torch.zeros_like(p)) for name, p in self.shards.items()}
        for number, reduction in self.reductions.items():
            names = self.plan[number]
            pieces = (reduction.wait() / self.comm.size).split([grads[n].numel() for n in names])
            for name, piece in zip(names, pieces):
                grads[name] = piece.reshape(grads[name].shape)
        return grads

    def step(self, shards, batch):
        self.prepare_for_backward(shards)
        leaves = {name: p.clone().requires_grad_() for name, p in shards.items()}
        for name in leaves:
            leaves[name].register_post_accumulate_grad_hook(lambda p, name=name: self.mark_variable_ready(name, p.grad))
        output = self.model.forward(leaves, batch)
        self.model.loss(output, batch).backward()
        return output.detach(), self.finalize_backward()

    def gather(self, shards):
        return {name: p.clone() for name, p in shards.items()}
