# pytorch/xla#6417: a gradient larger than the cap is sent apart and at once, past the bucket that is being filled.
# named: a-large-one-goes-ahead
import torch

from groundup.core.interfaces.parallel import ParallelStrategy


class DataParallel(ParallelStrategy):
    def __init__(self, comm, model, *, bucket_bytes_cap):
        super().__init__(comm, model)
        self.bucket_cap = bucket_bytes_cap

    def shard(self, params):
        return {name: self.comm.broadcast(tensor, 0) for name, tensor in params.items()}

    def compute_bucket_assignment_by_size(self, shards):
        total, tensor_bucket, done = 0, [], []
        for name in reversed(shards):
            grad_bytes = shards[name].numel() * shards[name].element_size()
            if grad_bytes > self.bucket_cap:
                done.append([name])
                continue
            if tensor_bucket and total + grad_bytes > self.bucket_cap:
                done.append(tensor_bucket)
                total, tensor_bucket = 0, []
            total += grad_bytes
            tensor_bucket.append(name)
        return done + [tensor_bucket] if tensor_bucket else done

    def prepare_for_backward(self, shards):
        self.shards, self.order = shards, self.compute_bucket_assignment_by_size(shards)
        self.have, self.sent = {}, 0
        self.results = [None] * len(self.order)

    def mark_variable_ready(self, name, grad):
        self.have[name] = grad
        while self.sent < len(self.order) and all(map(self.have.__contains__, self.order[self.sent])):
            flat = torch.cat([self.have[n].reshape(-1) for n in self.order[self.sent]])
            self.results[self.sent] = self.comm.start_all_reduce(flat)
            self.sent += 1

    def finalize_backward(self):
        for name in [n for n in self.shards if n not in self.have]:
            self.mark_variable_ready(name, torch.zeros_like(self.shards[name]))
        grads = {}
        for names, result in zip(self.order, self.results):
            flat = result.wait() / self.comm.size
            for name, part in zip(names, flat.split([self.shards[n].numel() for n in names])):
                grads[name] = part.reshape(self.shards[name].shape)
        return grads

    def step(self, shards, batch):
        self.prepare_for_backward(shards)
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in shards.items()}
        for name, leaf in leaves.items():
            leaf.register_post_accumulate_grad_hook(lambda l, name=name: self.mark_variable_ready(name, l.grad))
        output = self.model.forward(leaves, batch)
        self.model.loss(output, batch).backward()
        return output.detach(), self.finalize_backward()

    def gather(self, shards):
        return {name: tensor.clone() for name, tensor in shards.items()}
