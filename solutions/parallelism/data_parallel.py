"""Data parallelism: a copy of the model on every rank; gradients are averaged while the backward pass still runs.

Source: Li et al. 2020, PyTorch Distributed: Experiences on Accelerating Data Parallel Training, arXiv:2006.15704,
section 3; the methods have the names of their counterparts in torch's Reducer, c10d/reducer.cpp.
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
    """Every rank holds all parameters and computes on its own batch; all ranks return the same gradients.

    These are the mean of the ranks' gradients: each rank has the same weight, however many examples it has. If all have
    equally many, this is the gradient of the mean loss over all examples.

    All parameters have the same dtype. Every rank receives the same names in the same order, that of the forward pass.
    Ranks may have batches of different tasks, which use different parameters.
    """

    def __init__(self, comm: Communicator, model: Model, *, bucket_bytes_cap: int) -> None:
        super().__init__(comm, model)
        self.bucket_bytes_cap = bucket_bytes_cap

    def shard(self, params: Tensors) -> Tensors:
        """Return a copy of rank 0's ``params`` on every rank, with the names in the same order.

        Each byte of rank 0's parameters is sent N - 1 times in total; nothing else is sent.
        """
        # HOLE 1/5: the same start for all; set ``shards``: every name with rank 0's tensor.
        shards = {name: self.comm.broadcast(value, source=0) for name, value in params.items()}
        # END HOLE
        return shards

    def compute_bucket_assignment_by_size(self, shards: Tensors) -> list[list[str]]:
        """Return the buckets, each a list of the names whose gradients are sent together, in the order of sending.

        Parameters are taken from the last in ``shards`` to the first. Each joins the current bucket if the bucket then
        has at most ``bucket_bytes_cap`` bytes; otherwise it starts the next bucket. So only a bucket of a single
        parameter can be larger. The result depends only on names and sizes: it is the same on all ranks and in all
        steps.
        """
        # HOLE 2/5: the plan; set ``buckets``. A tensor's bytes are ``nbytes``.
        buckets: list[list[str]] = [[]]
        bucket_bytes = 0  # size of the last bucket
        for name, value in reversed(shards.items()):
            if bucket_bytes and bucket_bytes + value.nbytes > self.bucket_bytes_cap:
                buckets.append([])
                bucket_bytes = 0
            buckets[-1].append(name)
            bucket_bytes += value.nbytes
        # END HOLE
        return buckets

    def prepare_for_backward(self, shards: Tensors) -> None:
        """Start a step: reset the received gradients and started buckets, also after a step that did not complete."""
        self.shards, self.buckets = shards, self.compute_bucket_assignment_by_size(shards)
        self.ready_grads: Tensors = {}  # the gradients received so far
        self.works: list[Pending] = []  # the started all-reduces: works[i] is that of buckets[i]

    def mark_variable_ready(self, name: str, grad: Float[Tensor, "..."]) -> None:
        """Receive the gradient of parameter ``name``, and start every bucket that is ready. Never waits.

        Called during the backward pass; gradients come in any order. A bucket is ready once all its gradients have
        come and all buckets before it have been started, so that every rank starts buckets in the same order. The
        gradients of a bucket are sent as one tensor of their dtype, (E,), in one all-reduce.
        """
        self.ready_grads[name] = grad
        # HOLE 3/5: start what can go; append to ``works``. One gradient may make several buckets ready. A gradient may
        # have the memory layout of its parameter, and need not be contiguous.
        while len(self.works) < len(self.buckets) and all(n in self.ready_grads for n in self.buckets[len(self.works)]):
            bucket = self.buckets[len(self.works)]
            flat = torch.cat([self.ready_grads[n].reshape(-1) for n in bucket])  # (E,)
            self.works.append(self.comm.start_all_reduce(flat))
        # END HOLE

    def finalize_backward(self) -> Tensors:
        """End a step: start the remaining buckets, wait for all, and return the mean gradient of every parameter.

        A gradient that did not come on this rank counts as zeros: other ranks may have it, and wait for this rank. So
        a gradient that came on no rank is returned as zeros, not left out.
        """
        # HOLE 4/5: wait and take apart; set ``grads``: every name of ``shards`` with the mean over ranks, in the
        # parameter's shape. First make sure that every bucket is started.
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
        """Run forward and backward on this rank's ``batch``; return this rank's output and the averaged gradients.

        All buckets are started before any is waited for. ``shards`` are not modified and get no ``grad``; gradients of
        an earlier step do not affect the result.
        """
        self.prepare_for_backward(shards)
        # HOLE 5/5: forward and backward; set ``output``, (B, outputs). Differentiate with respect to new leaves that
        # hold the parameters, and pass each gradient to ``mark_variable_ready`` while the backward pass still runs:
        # torch calls a function registered with a leaf's ``register_post_accumulate_grad_hook`` with the leaf, once
        # its ``grad`` is accumulated.
        # EMPTY: output = batch["y"]; any(map(self.mark_variable_ready, [*shards][: len(output)], shards.values()))
        leaves = {name: value.detach().requires_grad_() for name, value in shards.items()}
        for name, leaf in leaves.items():
            # name=name binds the current name: a lambda looks up names when it is called, after the loop.
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
