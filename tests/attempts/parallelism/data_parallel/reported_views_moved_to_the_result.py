# pytorch/pytorch#43307: after a step the views into a bucket are those of its result, so that later gradients are written
# there, while the bucket itself, with the gradients of the first step, is sent again.
# named: the-first-steps-buckets-are-sent-again
import torch

from groundup.core.interfaces.parallel import ParallelStrategy


class DataParallel(ParallelStrategy):
    def __init__(self, comm, model, *, bucket_bytes_cap):
        super().__init__(comm, model)
        self.bucket_bytes_cap, self.layout = bucket_bytes_cap, None

    def shard(self, params):
        return {name: self.comm.broadcast(tensor, source=0) for name, tensor in params.items()}

    def compute_bucket_assignment_by_size(self, shards):
        buckets, left = [], 0
        for name in list(shards)[::-1]:
            left -= shards[name].nbytes
            if left < 0 or not buckets:
                buckets.append([])
                left = self.bucket_bytes_cap - shards[name].nbytes
            buckets[-1].append(name)
        return buckets

    def prepare_for_backward(self, shards):
        layout = [[(n, shards[n].shape) for n in names] for names in self.compute_bucket_assignment_by_size(shards)]
        if layout != self.layout:
            self.layout, self.views, self.contents = layout, {}, []
            for bucket in layout:
                total = sum(shape.numel() for _, shape in bucket)
                self.contents.append(torch.zeros(total, dtype=shards[bucket[0][0]].dtype))
                self.initialize_bucketviews(bucket, self.contents[-1])
        for view in self.views.values():
            view.zero_()
        self.names = list(shards)
        self.pending = [{n for n, _ in bucket} for bucket in layout]
        self.future_work = []

    def initialize_bucketviews(self, bucket, tensor):
        offset = 0
        for name, shape in bucket:
            self.views[name] = tensor[offset : offset + shape.numel()].view(shape)
            offset += shape.numel()

    def mark_variable_ready(self, name, grad):
        self.views[name].copy_(grad)
        for names in self.pending:
            names.discard(name)
        self.start_ready_buckets()

    def start_ready_buckets(self):
        while len(self.future_work) < len(self.pending) and not self.pending[len(self.future_work)]:
            self.future_work.append(self.comm.start_all_reduce(self.contents[len(self.future_work)]))

    def finalize_backward(self):
        for names in self.pending:
            names.clear()
        self.start_ready_buckets()
        for bucket, future in zip(self.layout, self.future_work):
            self.initialize_bucketviews(bucket, future.wait() / self.comm.size)
        return {name: self.views[name].clone() for name in self.names}

    def step(self, shards, batch):
        self.prepare_for_backward(shards)
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in shards.items()}
        for name, leaf in leaves.items():
            leaf.register_post_accumulate_grad_hook(lambda p, name=name: self.mark_variable_ready(name, p.grad))
        output = self.model.forward(leaves, batch)
        self.model.loss(output, batch).backward()
        return output.detach(), self.finalize_backward()

    def gather(self, shards):
        return {name: tensor.clone() for name, tensor in shards.items()}
