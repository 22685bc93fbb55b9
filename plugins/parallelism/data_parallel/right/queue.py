import torch

from groundup.core.interfaces.parallel import ParallelStrategy


class DataParallel(ParallelStrategy):
    def __init__(self, comm, model, *, bucket_bytes_cap):
        super().__init__(comm, model)
        self.limit = bucket_bytes_cap

    def shard(self, params):
        return dict(zip(params, [self.comm.broadcast(value, 0) for value in params.values()]))

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
        self.shards, self.queue, self.under_way, self.grads = shards, self.compute_bucket_assignment_by_size(shards)[::-1], [], {}

    def mark_variable_ready(self, name, grad):
        self.grads[name] = grad
        while self.queue and set(self.queue[-1]) <= self.grads.keys():
            names = self.queue.pop()
            joined = torch.cat([self.grads[n].flatten() for n in names])
            self.under_way.append((names, self.comm.start_all_reduce(joined)))

    def finalize_backward(self):
        for name in [n for n in self.shards if n not in self.grads]:
            self.mark_variable_ready(name, torch.zeros_like(self.shards[name]))
        result = {}
        for names, call in self.under_way:
            rest = call.wait() / self.comm.size
            for name in names:
                size = self.shards[name].numel()
                result[name], rest = rest[:size].view(self.shards[name].shape), rest[size:]
        return result

    def step(self, shards, batch):
        self.prepare_for_backward(shards)
        leaves = {}
        for name, value in shards.items():
            leaves[name] = value.detach().requires_grad_()
            leaves[name].register_post_accumulate_grad_hook(self.hook(name))
        output = self.model.forward(leaves, batch)
        self.model.loss(output, batch).backward()
        return output.detach(), self.finalize_backward()

    def hook(self, name):
        return lambda leaf: self.mark_variable_ready(name, leaf.grad)

    def gather(self, shards):
        return {name: value.clone() for name, value in shards.items()}
