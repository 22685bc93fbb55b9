# tensorflow/benchmarks#466: with all-reduce the gradients of the replicas are summed, and nothing divides the sum.
# named: sum-for-mean
import torch

from groundup.core.interfaces.parallel import ParallelStrategy


class Bucket:
    def __init__(self, names, shards):
        self.names, self.shapes = names, [shards[name].shape for name in names]
        self.missing, self.parts, self.call = set(names), {}, None

    def take(self, name, grad):
        self.parts[name] = grad.reshape(-1)
        self.missing.discard(name)

    def start(self, comm):
        self.call = comm.start_all_reduce(torch.cat([self.parts[name] for name in self.names]))

    def unpack(self):
        flat, begin = self.call.wait(), 0
        for name, shape in zip(self.names, self.shapes):
            yield name, flat[begin : begin + shape.numel()].reshape(shape)
            begin += shape.numel()


class DataParallel(ParallelStrategy):
    def __init__(self, comm, model, *, bucket_bytes_cap):
        super().__init__(comm, model)
        self.cap = bucket_bytes_cap

    def shard(self, params):
        return {name: self.comm.broadcast(value, source=0) for name, value in params.items()}

    def compute_bucket_assignment_by_size(self, shards):
        buckets, current, filled = [], [], 0
        for name in reversed(list(shards)):
            if current and filled + shards[name].nbytes > self.cap:
                buckets.append(current)
                current, filled = [], 0
            current.append(name)
            filled += shards[name].nbytes
        return [*buckets, current]

    def prepare_for_backward(self, shards):
        self.shards = shards
        self.buckets = [Bucket(names, shards) for names in self.compute_bucket_assignment_by_size(shards)]
        self.home = {name: bucket for bucket in self.buckets for name in bucket.names}
        self.started = 0

    def mark_variable_ready(self, name, grad):
        self.home[name].take(name, grad)
        while self.started < len(self.buckets) and not self.buckets[self.started].missing:
            self.buckets[self.started].start(self.comm)
            self.started += 1

    def finalize_backward(self):
        for name, bucket in self.home.items():
            if name in bucket.missing:
                self.mark_variable_ready(name, torch.zeros_like(self.shards[name]))
        return dict(pair for bucket in self.buckets for pair in bucket.unpack())

    def step(self, shards, batch):
        self.prepare_for_backward(shards)
        leaves = {name: torch.empty_like(value).copy_(value).requires_grad_() for name, value in shards.items()}
        for name in leaves:
            leaves[name].register_post_accumulate_grad_hook(lambda p, n=name: self.mark_variable_ready(n, p.grad))
        output = self.model.forward(leaves, batch)
        self.model.loss(output, batch).backward()
        return output.detach(), self.finalize_backward()

    def gather(self, shards):
        return {name: shards[name].clone() for name in shards}
