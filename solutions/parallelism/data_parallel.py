"""Data parallelism: a copy of the model on every rank; gradients are averaged while the backward pass still runs.

Source: Li et al. 2020, PyTorch Distributed: Experiences on Accelerating Data Parallel Training, arXiv:2006.15704,
section 3; the methods are named after those of torch's Reducer, c10d/reducer.cpp, which do the same.
Axes: N ranks; B examples of a rank's own batch; E elements of a bucket.   Sizes in bytes.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from groundup.core.communicator import Communicator, Pending
from groundup.core.interfaces.optimizer import Tensors
from groundup.core.interfaces.parallel import ParallelStrategy
from groundup.core.models import Batch, Model

__all__ = ["DataParallel"]


class DataParallel(ParallelStrategy):
    """Every rank holds all parameters and computes on a batch of its own; all ranks return the same gradients.

    These are the mean over ranks of what each got from its own batch: a rank counts once, however many examples it was
    given. Where all have equally many, that is the gradient of the mean loss over all examples.

    All parameters have one dtype. Every rank is given the same names in the same order, that of the forward pass. Its
    batch may be of another task than the others', and then uses other parameters.
    """

    def __init__(self, comm: Communicator, model: Model, *, bucket_bytes_cap: int) -> None:
        super().__init__(comm, model)
        self.bucket_bytes_cap = bucket_bytes_cap

    def shard(self, params: Tensors) -> Tensors:
        """Return a copy of rank 0's ``params``, whatever this rank was given, with the names in the same order.

        Each byte of rank 0's parameters is sent N - 1 times in all; nothing else is sent.
        """
        # HOLE 1/5: the same start for all; set ``shards``, every name with rank 0's tensor.
        shards = {name: self.comm.broadcast(value, source=0) for name, value in params.items()}
        # END HOLE
        return shards

    def compute_bucket_assignment_by_size(self, shards: Tensors) -> list[list[str]]:
        """Return which gradients travel together: the names of each bucket, the bucket that is sent first at the front.

        Parameters are taken from the last in ``shards`` to the first. Each joins the bucket of the one before it, if
        that then has at most ``bucket_bytes_cap``; otherwise it begins the next bucket. So only a bucket of one
        parameter can be larger. All of this depends on names and sizes alone: it is the same on all ranks and in all
        steps.
        """
        # HOLE 2/5: the plan; set ``buckets``. A tensor's bytes are ``nbytes``.
        buckets: list[list[str]] = [[]]
        bucket_bytes = 0  # of the last bucket
        for name, value in reversed(shards.items()):
            if bucket_bytes and bucket_bytes + value.nbytes > self.bucket_bytes_cap:
                buckets.append([])
                bucket_bytes = 0
            buckets[-1].append(name)
            bucket_bytes += value.nbytes
        # END HOLE
        return buckets

    def prepare_for_backward(self, shards: Tensors) -> None:
        """Begin a step: no gradient has come and no bucket has been started, whatever was left of an earlier one."""
        self.shards, self.buckets = shards, self.compute_bucket_assignment_by_size(shards)
        self.ready_grads: Tensors = {}  # the gradients that have come
        self.works: list[Pending] = []  # the all-reduces that have been started, of the first of ``buckets``, in order

    def mark_variable_ready(self, name: str, grad: Float[Tensor, "..."]) -> None:
        """Take the gradient of parameter ``name``, and start all buckets that can go now. Waits for nothing.

        Called in the midst of the backward pass, gradients coming in any order. A bucket can go once all its gradients
        are there and all buckets before it have been started: so every rank starts them in the same order. Its
        gradients are sent as one tensor of their dtype, (E,), in one all-reduce.
        """
        self.ready_grads[name] = grad
        # HOLE 3/5: start what can go; append to ``works``. One gradient may be what several buckets waited for. The
        # memory layout of a gradient may be that of its parameter, and need not be contiguous.
        while len(self.works) < len(self.buckets) and all(n in self.ready_grads for n in self.buckets[len(self.works)]):
            bucket = self.buckets[len(self.works)]
            flat = torch.cat([self.ready_grads[n].reshape(-1) for n in bucket])  # (E,)
            self.works.append(self.comm.start_all_reduce(flat))
        # END HOLE

    def finalize_backward(self) -> Tensors:
        """End a step: start what is left, wait for all buckets, and return the averaged gradient of every parameter.

        A gradient that has not come on this rank counts as zeros here: other ranks may have it, and wait for this one.
        So one that has come on no rank is zeros too, not missing.
        """
        # HOLE 4/5: wait and take apart; set ``grads``, every name of ``shards`` with the mean over ranks, in the
        # parameter's shape. First see to it that every bucket is started.
        for name, value in self.shards.items():
            if name not in self.ready_grads:
                self.mark_variable_ready(name, torch.zeros_like(value))
        grads: Tensors = {}
        for bucket, work in zip(self.buckets, self.works, strict=True):
            mean = work.wait() / self.comm.size  # (E,)
            parts = torch.split(mean, [self.shards[n].numel() for n in bucket])
            for n, part in zip(bucket, parts, strict=True):
                grads[n] = part.reshape(self.shards[n].shape)
        # END HOLE
        return grads

    def step(self, shards: Tensors, batch: Batch) -> tuple[Float[Tensor, "B outputs"], Tensors]:
        """Run forward and backward on this rank's ``batch``; return its own output and the averaged gradients.

        No bucket is waited for before all are started. ``shards`` are left as they are, and without a ``grad``; no
        gradient of an earlier step is left in what is returned.
        """
        self.prepare_for_backward(shards)
        # HOLE 5/5: forward and backward; set ``output``, (B, outputs). Differentiate with respect to new leaves that
        # hold the parameters, and hand each gradient to ``mark_variable_ready`` while the backward pass still runs:
        # torch calls back what was given to a leaf's ``register_post_accumulate_grad_hook``, with the leaf, once its
        # ``grad`` is there.
        # EMPTY: output = batch["y"]; any(map(self.mark_variable_ready, [*shards][: len(output)], shards.values()))
        leaves = {name: value.detach().requires_grad_() for name, value in shards.items()}
        for name, leaf in leaves.items():
            # name=name: a lambda looks names up when it is called, and by then the loop has ended.
            leaf.register_post_accumulate_grad_hook(  # type: ignore[no-untyped-call]
                lambda leaf, name=name: self.mark_variable_ready(name, leaf.grad)
            )
        output = self.model.forward(leaves, batch)
        self.model.loss(output, batch).backward()  # type: ignore[no-untyped-call]
        # END HOLE
        return output.detach(), self.finalize_backward()

    def gather(self, shards: Tensors) -> Tensors:
        """Return a copy of ``shards``: every rank holds all parameters, so nothing is sent."""
        return {name: value.clone() for name, value in shards.items()}
