import torch

from groundup.core.interfaces.parallel import ParallelStrategy


class DataParallel(ParallelStrategy):
    def __init__(self, comm, model, *, bucket_bytes_cap):
        super().__init__(comm, model)
        self.limit = bucket_bytes_cap

    def shard(self, params):
        return {name: self.comm.broadcast(value, 0) for name, value in params.items()}

    def compute_bucket_assignment_by_size(self, shards):
        plan, room = [], 0
        for name in list(shards)[::-1]:
            size = shards[name].nbytes
            if not plan or size > room:
                plan.append([])
                room = self.limit
            plan[-1].append(name)
            room -= size
        return plan

    def prepare_for_backward(self, shards):
        self.shards, self.plan = shards, self.compute_bucket_assignment_by_size(shards)
        self.calls, self.grads = [], {}

    def mark_variable_ready(self, name, grad):
        self.grads[name] = grad
        for names in self.plan[len(self.calls) :]:
            if not all(n in self.grads for n in names):
                break
            self.calls.append(self.comm.start_all_reduce(torch.cat([self.grads[n].flatten() for n in names])))

    def finalize_backward(self):
        for name in self.shards:
            if name not in self.grads:
                self.mark_variable_ready(name, torch.zeros_like(self.shards[name]))
        result = {}
        for names, call in zip(self.plan, self.calls):
            rest = call.wait() / self.comm.size
            for name in names:
                size = self.shards[name].numel()
                result[name], rest = rest[:size].view(self.shards[name].shape), rest[size:]
        return result

    def step(self, shards, batch):
        self.prepare_for_backward(shards)
        leaves = {name: value.detach().clone().requires_grad_() for name, value in shards.items()}
        output = self.model.forward(leaves, batch)
        self.model.loss(output, batch).backward()
        for name, leaf in reversed(list(leaves.items())):
            if leaf.grad is not None:
                self.mark_variable_ready(name, leaf.grad)
        return output.detach(), self.finalize_backward()

    def gather(self, shards):
        return {name: value.clone() for name, value in shards.items()}
