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
        self.shards = shards
        self.names = self.compute_bucket_assignment_by_size(shards)
        self.place, self.buffers, self.missing, self.works = {}, [], [], []
        for number, names in enumerate(self.names):
            end = 0
            for name in names:
                begin, end = end, end + shards[name].numel()
                self.place[name] = number, begin, end
            self.buffers.append(torch.zeros(end + -end % self.comm.size, dtype=shards[names[0]].dtype))
            self.missing.append(set(names))

    def mark_variable_ready(self, name, grad):
        number, begin, end = self.place[name]
        self.buffers[number][begin:end] = grad.flatten() / self.comm.size
        self.missing[number].discard(name)
        self.advance()

    def advance(self):
        while len(self.works) < len(self.buffers) and not self.missing[len(self.works)]:
            self.works.append(self.comm.start_all_reduce(self.buffers[len(self.works)]))

    def finalize_backward(self):
        for names in self.missing:
            names.clear()
        self.advance()
        means = [work.wait() for work in self.works]
        return {
            name: means[number][begin:end].view(self.shards[name].shape)
            for name, (number, begin, end) in self.place.items()
        }

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
