# deepspeedai/DeepSpeed#291: gradients that are None are left out of a bucket, whose size then differs between ranks.
# named: absent-gradients-are-left-out
import torch

from groundup.core.interfaces.parallel import ParallelStrategy


class DataParallel(ParallelStrategy):
    def __init__(self, comm, model, *, bucket_bytes_cap):
        super().__init__(comm, model)
        self.bucket_bytes_cap = bucket_bytes_cap

    def shard(self, params):
        own = {}
        for name in params:
            own[name] = self.comm.broadcast(params[name], 0)
        return own

    def compute_bucket_assignment_by_size(self, shards):
        waiting = list(shards)
        buckets = []
        while waiting:
            bucket = [waiting.pop()]
            used = shards[bucket[0]].nbytes
            while waiting and used + shards[waiting[-1]].nbytes <= self.bucket_bytes_cap:
                used += shards[waiting[-1]].nbytes
                bucket.append(waiting.pop())
            buckets.append(bucket)
        return buckets

    def prepare_for_backward(self, shards):
        self.like = shards
        self.plan = self.compute_bucket_assignment_by_size(shards)
        self.grads = {name: None for name in shards}
        self.in_flight = []

    def mark_variable_ready(self, name, grad):
        self.grads[name] = grad
        while len(self.in_flight) < len(self.plan):
            names = self.plan[len(self.in_flight)]
            if any(self.grads[n] is None for n in names):
                return
            self.launch(names)

    def launch(self, names):
        present = [n for n in names if self.grads[n] is not None]
        parts = [self.grads[n].reshape(-1) for n in present]
        flat = torch.cat(parts) if parts else next(iter(self.like.values())).new_zeros(0)
        self.in_flight.append((present, self.comm.start_all_reduce(flat)))

    def finalize_backward(self):
        for names in self.plan[len(self.in_flight) :]:
            self.launch(names)
        result = {name: torch.zeros_like(value) for name, value in self.like.items()}
        for present, handle in self.in_flight:
            mean = handle.wait().div(self.comm.size)
            sizes = [self.like[n].numel() for n in present]
            for n, piece in zip(present, mean.split(sizes) if sizes else ()):
                result[n] = piece.view(self.like[n].shape)
        return result

    def step(self, shards, batch):
        self.prepare_for_backward(shards)
        params = {}
        for name, value in shards.items():
            leaf = params[name] = value.detach().clone().requires_grad_(True)
            leaf.register_post_accumulate_grad_hook(self.hook_of(name))
        output = self.model.forward(params, batch)
        self.model.loss(output, batch).backward()
        return output.detach(), self.finalize_backward()

    def hook_of(self, name):
        def hook(leaf):
            self.mark_variable_ready(name, leaf.grad)

        return hook

    def gather(self, shards):
        return {name: value.clone() for name, value in shards.items()}
