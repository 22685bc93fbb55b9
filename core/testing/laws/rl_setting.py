"""The setting of the laws of learning rules: how batches are drawn, and the roles of their fields. See ``laws.rl``."""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import Loss
from groundup.core.messages import Message
from groundup.core.testing.compare import Tolerance, assert_close, assert_equal, gradient, sum_tolerance

__all__ = [
    "Case",
    "Setting",
    "Token",
    "changed",
    "layout",
    "masks_of",
    "mean",
    "padding_by_masks",
    "tensors_of",
    "tokens",
]

BatchT = TypeVar("BatchT")


class Case(NamedTuple, Generic[BatchT]):
    """One update: a rule's coefficients, by name, and its batch."""

    rule: dict[str, Any]
    batch: BatchT


def layout(batch: type[Any]) -> dict[str, tuple[str, ...]]:
    """Return the axis names of each tensor field of a batch class, from its annotations."""
    known: Any = batch
    return _layout(known)


def tensors_of(batch: Any) -> dict[str, Tensor]:
    """Return the tensors of a batch by field, without the fields that are None."""
    found = {name: getattr(batch, name) for name in layout(type(batch))}
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def changed(batch: BatchT, change: Callable[[str, Tensor], Tensor]) -> BatchT:
    """Return the batch with each tensor replaced by ``change(name, tensor)``."""
    made: Any = batch
    result: BatchT = dataclasses.replace(made, **{name: change(name, t) for name, t in tensors_of(batch).items()})
    return result


def masks_of(batch: Any) -> dict[str, Tensor]:
    """Return the mask fields: those that mark the real tokens."""
    axes = layout(type(batch))
    return {name: t for name, t in tensors_of(batch).items() if name.endswith("mask") and len(axes[name]) == 2}


def padding_by_masks(batch: Any) -> dict[str, Tensor]:
    """Return for each field with a mask where it holds padding: where that mask is False."""
    axes, masks = layout(type(batch)), masks_of(batch)
    where = {axes[name][1]: ~mask for name, mask in masks.items()}
    return {
        name: where[axes[name][1]].reshape(tensor.shape[:2] + (1,) * (tensor.dim() - 2)).expand_as(tensor)
        for name, tensor in tensors_of(batch).items()
        if tensor.dim() >= 2 and axes[name][1] in where and name not in masks
    }


@dataclass(frozen=True, kw_only=True)
class Setting(Generic[BatchT]):
    """How to test a technique: its rule and its batches."""

    batches: st.SearchStrategy[BatchT]
    """Draws batches in float32 and float64, some with padding, none with only padding, away from kinks of the rule."""
    learned: tuple[str, ...]
    """The fields that the loss trains."""
    sizes: Mapping[str, float]
    """The largest magnitude of "loss" and of each documented metric; for a mean, of one of its terms."""
    slope: float
    """The largest magnitude of the gradient for one number of a field, before division by their count."""
    rules: Sequence[Mapping[str, Any]] = ({},)
    """Sets of coefficients to construct the rule with, by name."""
    another: Mapping[str, Any] = field(default_factory=dict)
    """Coefficients that differ from all of ``rules``, for a second rule beside the tested one."""
    constants: tuple[str, ...] = ()
    """Fields that may require gradient but must not receive any: a bootstrapped value, a reference point."""
    padding: Callable[[BatchT], Mapping[str, Tensor]] = padding_by_masks
    """Maps a batch to where each field holds padding, which must not affect the loss."""
    fill: Mapping[str, int] = field(default_factory=dict)
    """The padding value of integer fields along the tokens: ``{"labels": IGNORE_INDEX}``."""
    padded_rows: bool = False
    """Whether a row with only padding does not affect the loss, as with a mean over all tokens."""

    def cases(self, **fixed: Any) -> st.SearchStrategy[Case[BatchT]]:
        """Draw a rule, its coefficients overridden by ``fixed``, and a batch."""
        rules = [{**rule, **fixed} for rule in self.rules]
        return st.builds(Case, st.sampled_from(rules), self.batches)

    def trained(self, batch: BatchT, *also: str) -> BatchT:
        """Return the batch with ``requires_grad`` set on the trained fields and on the fields ``also``."""
        wanted = (*self.learned, *also)
        return changed(batch, lambda name, tensor: tensor.detach().requires_grad_() if name in wanted else tensor)

    def token_axes(self, batch: BatchT) -> set[str]:
        """Return the axes along which there may be padding."""
        axes = layout(type(batch))
        return {axes[name][1] for name in (*masks_of(batch), *self.fill)}

    def gradients(self, got: Loss, batch: BatchT) -> dict[str, Tensor]:
        """Return the gradient of the loss for each trained field."""
        found = gradient(got.loss, [getattr(batch, name) for name in self.learned])
        return dict(zip(self.learned, found, strict=True))

    def dtype(self, batch: BatchT) -> torch.dtype:
        """Return the dtype of the loss of this batch: that of the trained fields."""
        learned: Tensor = getattr(batch, self.learned[0])
        return learned.dtype

    def tolerance(self, name: str, batch: BatchT) -> Tolerance:
        """Return the tolerance of "loss", of a metric or of the "gradient"."""
        terms = max(tensor.numel() for tensor in tensors_of(batch).values())
        return sum_tolerance(self.dtype(batch), terms, self.slope if name == "gradient" else self.sizes[name])

    def check(self, got: Loss, name: str, exact: Tensor, batch: BatchT) -> None:
        """Compare "loss" or a metric of a batch with its exact value."""
        what, found = (Message("the loss"), got.loss) if name == "loss" else (name, got.metrics.get(name))
        assert_close(found, exact, dtype=self.dtype(batch), tolerance=self.tolerance(name, batch), what=what)

    def check_same(self, got: Loss, expected: Loss, batch: BatchT) -> None:
        """Check that two losses of the same batch are equal, and their metrics too."""
        for name, scalar in {"loss": expected.loss, **expected.metrics}.items():
            self.check(got, name, scalar, batch)

    def check_same_gradients(self, got: Mapping[str, Tensor], expected: Mapping[str, Tensor], batch: BatchT) -> None:
        """Check that two gradients are equal, field by field."""
        limit = self.tolerance("gradient", batch)
        for name, exact in expected.items():
            assert_close(
                got[name], exact, dtype=exact.dtype, tolerance=limit, what=Message("the gradient to {name}", name=name)
            )

    def check_mean(self, got: Loss, name: str, term: Callable[[Token], float], batch: BatchT) -> None:
        """Check that "loss" or a metric is the mean of ``term`` over the tokens whose mask is True."""
        exact = mean(term(token) for token in tokens(batch) if token["mask"])
        self.check(got, name, torch.tensor(exact, dtype=torch.float64), batch)

    def check_gradients(self, got: Loss, batch: BatchT, **slopes: Callable[[Token], float]) -> None:
        """Check the gradients for the named fields: ``slope(token) / N`` where the mask is True, 0 elsewhere."""
        mask = tensors_of(batch)["mask"]
        count = max(int(mask.sum()), 1)
        for name, grad in self.gradients(got, batch).items():
            padding = grad[~mask]
            assert_equal(
                padding, torch.zeros_like(padding), what=Message("the gradient to {name} on padding", name=name)
            )
            if name in slopes:
                exact = [slopes[name](token) / count if token["mask"] else 0.0 for token in tokens(batch)]
                expected = torch.tensor(exact, dtype=torch.float64).reshape(mask.shape)
                limit = sum_tolerance(grad.dtype, 1, self.slope / count)
                assert_close(
                    grad,
                    expected,
                    dtype=self.dtype(batch),
                    tolerance=limit,
                    what=Message("the gradient to {name}", name=name),
                )


# The slow reference for rules that average over tokens: one token at a time, in Python floats.

Token = dict[str, float]


def tokens(batch: Any) -> list[Token]:
    """Return each token's numbers by field, from all fields with the shape of ``mask``."""
    columns = {n: t.flatten().tolist() for n, t in tensors_of(batch).items() if t.shape == batch.mask.shape}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def mean(terms: Iterable[float]) -> float:
    """Return the mean of the terms, 0 if there are none."""
    numbers = list(terms)
    return math.fsum(numbers) / max(len(numbers), 1)


@functools.cache
def _layout(batch: Any) -> dict[str, tuple[str, ...]]:
    found = {}
    for name, hint in typing.get_type_hints(batch).items():
        shapes = [h.dim_str for h in (hint, *typing.get_args(hint)) if hasattr(h, "dim_str")]
        if shapes:
            found[name] = tuple(shapes[0].replace("*", "").split())
    return found
