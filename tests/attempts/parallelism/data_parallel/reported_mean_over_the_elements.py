# meta-pytorch/torchcomms#287: the average is made by dividing by the tensor's number of elements, not by that of ranks.
# named: divided-by-the-number-of-elements
import torch

from groundup.core.interfaces.parallel import ParallelStrategy


class Average:
    def __init__(self, comm, tensor):
        self.work = comm.start_all_reduce(tensor)

    def result(self):
        tensor = self.work.wait()
        return tensor.div(tensor.numel())


class DataParallel(ParallelStrategy):
    def __init__(self, comm, model, *, bucket_bytes_cap):
        super().__init__(comm, model)
        self.room = bucket_bytes_cap

    def shard(self, params):
        copies = [self.comm.broadcast(value, 0) for value in params.values()]
        return dict(zip(params, copies))

    def compute_bucket_assignment_by_size(self, shards):
        groups, left = [], 0
        for name in list(shards)[::-1]:
            needs = shards[name].nbytes
            if not groups or needs > left:
                groups.append([])
                left = self.room
            groups[-1].append(name)
            left -= needs
        return groups

    def prepare_for_backward(self, shards):
        self.shards = shards
        self.groups = self.compute_bucket_assignment_by_size(shards)
        self.here, self.averages = {}, []

    def mark_variable_ready(self, name, grad):
        self.here[name] = grad
        for group in self.groups[len(self.averages) :]:
            if [n for n in group if n not in self.here]:
                break
            self.averages.append(Average(self.comm, torch.cat([self.here[n].flatten() for n in group])))

    def finalize_backward(self):
        for name in self.shards:
            if name not in self.here:
                self.mark_variable_ready(name, torch.zeros_like(self.shards[name]))
        grads = {}
        for group, average in zip(self.groups, self.averages):
            rest = average.result()
            for name in group:
                mine, rest = rest.tensor_split([self.shards[name].numel()])
                grads[name] = mine.view(self.shards[name].shape)
        return grads

    def step(self, shards, batch):
        self.prepare_for_backward(shards)
        leaves = {name: value.detach().requires_grad_() for name, value in shards.items()}
        for name, leaf in leaves.items():
            leaf.register_post_accumulate_grad_hook(self.when_ready(name))
        output = self.model.forward(leaves, batch)
        self.model.loss(output, batch).backward()
        return output.detach(), self.finalize_backward()

    def when_ready(self, name):
        return lambda leaf: self.mark_variable_ready(name, leaf.grad)

    def gather(self, shards):
        return {name: value.clone() for name, value in shards.items()}
