"""One training step of a strategy: how the laws of parallel training draw it, run it and check its results."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.optimizer import Optimizer
from groundup.core.messages import Message
from groundup.core.models import Batch, MultiTaskMLP, Params
from groundup.core.testing.compare import Mismatch, assert_close, assert_equal, sum_tolerance
from groundup.core.testing.ranks import per_rank
from groundup.core.testing.strategies import LAYOUTS, laid_out, tensors

__all__ = [
    "FLOATS", "ONE_LAYER", "THREE_TASKS", "TWO_LAYERS", "TWO_TASKS", "Case", "Setting", "Step", "all_reduce_bytes",
    "check_grads", "check_names", "check_sent", "check_whole", "drawn", "in_float64", "random_case", "regression",
    "sent", "split_examples", "whole_batch",
]  # fmt: skip

ONE_LAYER = MultiTaskMLP((2, 3), outputs=2)
TWO_LAYERS = MultiTaskMLP((2, 3, 1))
TWO_TASKS = MultiTaskMLP((3, 2), tasks=2)
THREE_TASKS = MultiTaskMLP((2, 2), outputs=3, tasks=3)
FLOATS = (torch.float32, torch.float64)

Numbers = Callable[[tuple[int, ...]], Tensor]
"""Returns a tensor of the given shape with numbers from -2 to 2, for the inputs of a batch."""
Sent = list[tuple[str, int]]
"""What one rank sends, in order: the kind and bytes of each call."""


class Case(NamedTuple):
    """The inputs of one step: a model with parameters, the constructor's options, and a batch for each rank."""

    model: Any
    params: Params
    batches: list[Batch]
    options: Mapping[str, Any] = {}
    whole: Batch | None = None
    """The batch that was split over the ranks; None: the expected loss is the mean of the ranks' losses."""

    @property
    def size(self) -> int:
        """The number of ranks."""
        return len(self.batches)

    def expected(self) -> Params:
        """Return the gradients of a single process, in float64; zeros for unused parameters."""
        leaves = {name: value.detach().to(torch.float64).requires_grad_() for name, value in self.params.items()}
        batches = [self.whole] if self.whole is not None else self.batches
        mean = torch.stack([self.model.loss(self.model.forward(leaves, b), b) for b in map(in_float64, batches)]).mean()
        grads = torch.autograd.grad(mean, list(leaves.values()), materialize_grads=True)
        return dict(zip(leaves, grads, strict=True))

    def of_tasks(self, *tasks: int) -> Case:
        """Return the case with one task per rank, or with a single task for all ranks."""
        each = tasks * self.size if len(tasks) == 1 else tasks
        batches = [{**batch, "task": task} for batch, task in zip(self.batches, each, strict=True)]
        alike = self.whole is not None and len(set(each)) == 1
        return self._replace(batches=batches, whole={**self.whole, "task": each[0]} if alike else None)  # type: ignore[dict-item]


def regression(model: MultiTaskMLP, examples: int, numbers: Numbers) -> Batch:
    """Return a batch for ``MultiTaskMLP``."""
    return {"x": numbers((examples, model.widths[0])), "y": numbers((examples, model.outputs))}


def split_examples(batch: Batch, size: int) -> list[Batch]:
    """Split a batch into each rank's examples; their number is divisible by ``size``."""
    parts = {key: value.tensor_split(size) for key, value in batch.items() if isinstance(value, Tensor)}
    return [{**batch, **{key: part[rank] for key, part in parts.items()}} for rank in range(size)]


def whole_batch(batch: Batch, size: int) -> list[Batch]:
    """Return the same batch for every rank."""
    return [batch] * size


@dataclass(frozen=True)
class Setting:
    """How to test a strategy.

    ``sends`` is the formula of the traffic: what a rank sends in a step. ``gathers`` is the same for ``gather``;
    ``begun`` is the number of bytes that all ranks together send to start with rank 0's parameters.

    ``options`` are sets of further constructor arguments; a case takes one. ``models`` are tested on groups of
    ``sizes`` ranks: ``inputs`` makes a batch, and ``parts`` splits it over the ranks. A step of a model in ``tasks``
    leaves parameters unused. ``sharded`` says that shards and their gradients are parts of the parameters, from which
    ``gather`` rebuilds the whole. A strategy that takes the optimizer step itself receives the ``optimizer``.
    ``interrupt`` starts a step without completing it, if that is possible.

    No gradient is larger than ``largest``, or a sum of more than ``terms`` terms. For the models here: parameters are
    in [-1, 1], inputs and targets in [-2, 2], and no layer is wider than 3. So an output is at most 4, its error 6, the
    slope of the loss 12; the backward pass multiplies it by at most 3 weights and an input of at most 2.
    """

    sends: Callable[[Case, int], Sent]
    gathers: Callable[[Case, int], Sent] = lambda case, rank: []
    begun: Callable[[Case], int] = lambda case: (case.size - 1) * sum(v.nbytes for v in case.params.values())
    options: tuple[Mapping[str, Any], ...] = ({},)
    models: tuple[Any, ...] = (ONE_LAYER, TWO_LAYERS)
    tasks: tuple[MultiTaskMLP, ...] = (TWO_TASKS, THREE_TASKS)
    sizes: tuple[int, ...] = (2, 3, 4)
    inputs: Callable[[Any, int, Numbers], Batch] = regression
    parts: Callable[[Batch, int], list[Batch]] = split_examples
    sharded: bool = False
    optimizer: Optimizer | None = None
    interrupt: Callable[[Any, Case], None] | None = None
    largest: float = 72.0
    terms: int = 32

    def group(self, impl: Any, case: Case) -> Any:
        """Construct the strategy on the ranks of a case."""
        given = {} if self.optimizer is None else {"optimizer": self.optimizer}
        return impl(case.size, case.model, **given, **case.options)

    def whole(self, group: Any, parts: list[Params]) -> list[Params]:
        """Return on every rank the full parameters (or gradients) from the ranks' ``parts``."""
        gathered: list[Params] = group.gather(per_rank(parts)) if self.sharded else parts
        return gathered

    def step(self, group: Any, case: Case) -> Step:
        """Run a step with the case's parameters."""
        shards = group.shard(case.params) if self.sharded else [case.params] * case.size
        before = sent(group, case.size)
        results = group.step(per_rank(shards), per_rank(case.batches))
        return Step(results, [own[len(old) :] for old, own in zip(before, sent(group, case.size), strict=True)])


class Step(NamedTuple):
    """The results of a step on each rank, and what each rank sent."""

    results: list[Any]
    sent: list[Sent]

    def grads(self) -> list[Params]:
        """Return the gradients that each rank returned. Raises Mismatch if a rank returned no pair."""
        for result in self.results:
            if not isinstance(result, tuple) or len(result) != 2:
                raise Mismatch(
                    Message("step returns no pair"), Message("a tuple of output and gradients"), type(result).__name__
                )
        return [grads for _, grads in self.results]


def drawn(
    setting: Setting, size: int, examples: int, model: Any, dtype: torch.dtype = torch.float64
) -> st.SearchStrategy[Case]:
    """Draw a step on ``size`` ranks with ``examples`` per rank: its numbers, their memory layout, and the options."""
    shapes = {name: tuple(value.shape) for name, value in model.init(0).items()}
    lengths = [math.prod(shape) for shape in shapes.values()]

    def counted(shape: tuple[int, ...]) -> Tensor:
        lengths.append(math.prod(shape))
        return torch.zeros(shape)

    setting.inputs(model, size * examples, counted)

    def build(numbers: Tensor, layout: str, options: Mapping[str, Any]) -> Case:
        parts = iter(torch.split(numbers.to(dtype), lengths))
        params = {name: laid_out((next(parts) / 2).reshape(shape), layout) for name, shape in shapes.items()}
        whole = setting.inputs(model, size * examples, lambda shape: laid_out(next(parts).reshape(shape), layout))
        return Case(model, params, setting.parts(whole, size), options, whole)

    numbers = tensors((sum(lengths),), dtype=torch.float64, layouts=False)
    return st.builds(build, numbers, st.sampled_from(LAYOUTS), st.sampled_from(setting.options))


def random_case(
    setting: Setting,
    size: int,
    model: Any,
    seed: int,
    options: Mapping[str, Any] | None = None,
    *,
    dtype: torch.dtype = torch.float64,
    examples: int = 2,
) -> Case:
    """Return a step with normally distributed numbers drawn with ``seed``, which also selects the options if None."""
    generator = torch.Generator().manual_seed(seed)

    def numbers(shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype).clamp(-2, 2)

    whole = setting.inputs(model, size * examples, numbers)
    if options is None:
        options = setting.options[seed % len(setting.options)]
    return Case(model, model.init(seed, dtype), setting.parts(whole, size), options, whole)


def all_reduce_bytes(elements: int, each: int, size: int) -> int:
    """Return the bytes that a rank sends in an all-reduce: 2 (N - 1) / N of the tensor, padded to N equal chunks."""
    return 2 * (size - 1) * -(-elements // size) * each


def sent(group: Any, size: int) -> list[Sent]:
    """Return what each rank has sent so far."""
    traffic = group.traffic()
    return [[(t.kind, t.bytes) for t in traffic if t.rank == rank] for rank in range(size)]


def check_sent(got: list[Sent], expected: Callable[[int], Sent], *, of: str) -> None:
    """Check what each rank has sent."""
    for rank, own in enumerate(got):
        assert_equal(own, expected(rank), what=Message("what rank {rank} sends {of} (calls, bytes)", rank=rank, of=of))


def check_grads(setting: Setting, group: Any, step: Step, case: Case) -> None:
    """Check the full gradients of every rank; they must be bitwise equal on all ranks."""
    dtype = next(iter(case.params.values())).dtype
    expected, tolerance = case.expected(), sum_tolerance(dtype, setting.terms, setting.largest)
    whole = setting.whole(group, step.grads())
    for rank, grads in enumerate(whole):
        check_names(grads, case.params, what=Message("the gradients on rank {rank}", rank=rank))
        for name, grad in grads.items():
            what = Message("the gradient of {name} on rank {rank}", name=name, rank=rank)
            assert_close(grad, expected[name], dtype=dtype, tolerance=tolerance, what=what)
            assert_equal(grad, whole[0][name], what=Message("{what}, next to rank 0's,", what=what))


def check_whole(got: list[Any], params: Params, *, what: str) -> None:
    """Check that every rank has ``params``, bit for bit."""
    for rank, own in enumerate(got):
        check_names(own, params, what=Message("{what} of rank {rank}", what=what, rank=rank))
        for name, value in params.items():
            assert_equal(
                own[name], value, what=Message("{name} in {what} of rank {rank}", name=name, what=what, rank=rank)
            )


def check_names(got: Any, params: Params, *, what: str) -> None:
    """Check that ``got`` is a dict with the names of the parameters."""
    if not isinstance(got, dict):
        raise Mismatch(
            Message("{what} are no dict", what=what), Message("a dict of tensors, by name"), type(got).__name__
        )
    assert_equal(sorted(got), sorted(params), what=Message("which names {what} have", what=what))


def in_float64(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a batch, or parameters, with float tensors converted to float64."""
    return {
        name: value.to(torch.float64) if isinstance(value, Tensor) and value.is_floating_point() else value
        for name, value in values.items()
    }
