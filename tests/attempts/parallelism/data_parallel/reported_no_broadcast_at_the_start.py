# horovod/horovod#672: gradients are synchronised but the first parameters are not, so the workers' models differ.
# named: everyone-keeps-its-own-start
import torch

from groundup.core.interfaces.parallel import ParallelStrategy


class DataParallel(ParallelStrategy):
    def __init__(self, comm, model, *, bucket_bytes_cap):
        super().__init__(comm, model)
        self.threshold = bucket_bytes_cap

    def shard(self, params):
        return dict((name, value.clone()) for name, value in params.items())

    def compute_bucket_assignment_by_size(self, shards):
        fused, total = [], None
        for name in list(shards)[::-1]:
            size = shards[name].numel() * shards[name].element_size()
            if total is None or total + size > self.threshold:
                fused.append([name])
                total = size
            else:
                fused[-1].append(name)
                total += size
        return fused

    def prepare_for_backward(self, shards):
        self.model_copy = shards
        self.fused = self.compute_bucket_assignment_by_size(shards)
        self.arrived, self.running = dict.fromkeys(shards), []

    def mark_variable_ready(self, name, grad):
        self.arrived[name] = grad
        next_up = len(self.running)
        while next_up < len(self.fused) and None not in [*map(id_or_none(self.arrived), self.fused[next_up])]:
            tensors = [self.arrived[n].contiguous().view(-1) for n in self.fused[next_up]]
            self.running.append(self.comm.start_all_reduce(torch.cat(tensors)))
            next_up += 1

    def finalize_backward(self):
        for name, grad in list(self.arrived.items()):
            if grad is None:
                self.mark_variable_ready(name, torch.zeros_like(self.model_copy[name]))
        averaged = {}
        for names, handle in zip(self.fused, self.running):
            flat = handle.wait() / self.comm.size
            offset = 0
            for name in names:
                like = self.model_copy[name]
                averaged[name] = flat[offset : offset + like.numel()].view(like.shape)
                offset += like.numel()
        return averaged

    def step(self, shards, batch):
        self.prepare_for_backward(shards)
        variables = {name: value.detach().clone().requires_grad_() for name, value in shards.items()}
        for name, variable in variables.items():
            variable.register_post_accumulate_grad_hook(lambda v, name=name: self.mark_variable_ready(name, v.grad))
        prediction = self.model.forward(variables, batch)
        self.model.loss(prediction, batch).backward()
        return prediction.detach(), self.finalize_backward()

    def gather(self, shards):
        return {name: value.clone() for name, value in shards.items()}


def id_or_none(table):
    return lambda name: None if table[name] is None else name
