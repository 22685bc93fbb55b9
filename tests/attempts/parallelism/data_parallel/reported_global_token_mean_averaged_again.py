# verl-project/verl-SpeCo#29: losses are divided by the tokens of all ranks, and then averaged over the ranks once more.
# named: every-example-counts-once divided-twice
import torch

from groundup.core.interfaces.parallel import ParallelStrategy


class DataParallel(ParallelStrategy):
    def __init__(self, comm, model, *, bucket_bytes_cap):
        super().__init__(comm, model)
        self.cap = bucket_bytes_cap

    def shard(self, params):
        return {key: self.comm.broadcast(params[key], source=0) for key in params}

    def compute_bucket_assignment_by_size(self, shards):
        keys, sizes = list(shards)[::-1], [value.nbytes for value in shards.values()][::-1]
        plan, begin = [], 0
        for end in range(1, len(keys) + 1):
            if end == len(keys) or sum(sizes[begin : end + 1]) > self.cap:
                plan.append(keys[begin:end])
                begin = end
        return plan

    def prepare_for_backward(self, shards):
        self.shards = shards
        self.plan = self.compute_bucket_assignment_by_size(shards)
        self.ready, self.works = {}, []

    def mark_variable_ready(self, name, grad):
        self.ready[name] = grad
        while self.works_left() and set(self.plan[len(self.works)]) <= set(self.ready):
            keys = self.plan[len(self.works)]
            self.works += [self.comm.start_all_reduce(torch.cat([self.ready[k].flatten() for k in keys]))]

    def works_left(self):
        return len(self.plan) > len(self.works)

    def finalize_backward(self):
        for key, value in self.shards.items():
            if key not in self.ready:
                self.mark_variable_ready(key, value.new_zeros(value.shape))
        grads = {}
        for keys, work in zip(self.plan, self.works):
            mean = work.wait() / self.comm.size
            for key in keys:
                grads[key] = mean[: self.shards[key].numel()].reshape(self.shards[key].shape)
                mean = mean[self.shards[key].numel() :]
        return grads

    def step(self, shards, batch):
        self.prepare_for_backward(shards)
        leaves = {}
        for key, value in shards.items():
            leaves[key] = value.detach().requires_grad_()
            leaves[key].register_post_accumulate_grad_hook(lambda leaf, key=key: self.mark_variable_ready(key, leaf.grad))
        output = self.model.forward(leaves, batch)
        count = torch.tensor(float(len(output)))
        everywhere = self.comm.all_reduce(count)
        summed = self.model.loss(output, batch) * count
        (summed / everywhere).to(output.dtype).backward()
        return output.detach(), self.finalize_backward()

    def gather(self, shards):
        return {key: value.clone() for key, value in shards.items()}
