"""The calls that the laws of attention test, the slow reference for their answers, and the setting."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.messages import Message
from groundup.core.testing.compare import assert_close, assert_form, sum_tolerance
from groundup.core.testing.strategies import booleans, tensors

__all__ = [
    "CAUSAL",
    "DTYPES",
    "LARGER",
    "LARGEST",
    "SHAPES",
    "Case",
    "Setting",
    "Shape",
    "attend",
    "cases",
    "sees",
    "slowly",
]

DTYPES = (torch.float32, torch.float64)
LARGEST = 16.0  # |value| up to 2, times |score| up to 8 = 4 * D / sqrt(D) with D up to 4, which scales its rounding


class Shape(NamedTuple):
    """The axes of one call. ``key_dim`` is the size of a key if it differs from the query's, as for latent keys."""

    batch: int
    num_heads: int
    num_kv_heads: int
    q_len: int
    kv_len: int
    head_dim: int
    value_dim: int
    key_dim: int | None = None


SHAPES = (  # each query head with a key/value head of its own
    Shape(1, 1, 1, 1, 1, 1, 1),
    Shape(1, 1, 1, 2, 2, 1, 1),
    Shape(1, 2, 2, 1, 2, 2, 1),
    Shape(1, 2, 2, 2, 3, 2, 1),
    Shape(2, 1, 1, 3, 3, 2, 2),
    Shape(2, 3, 3, 2, 4, 4, 3),
)
CAUSAL = (  # more keys than queries, as many, and fewer
    Shape(1, 1, 1, 2, 2, 1, 1),
    Shape(1, 2, 2, 1, 3, 1, 1),
    Shape(1, 2, 2, 2, 4, 2, 1),
    Shape(1, 2, 2, 3, 3, 1, 2),
    Shape(2, 1, 1, 2, 3, 3, 2),
    Shape(1, 2, 2, 3, 2, 1, 2),
)
LARGER = (Shape(2, 4, 4, 3, 5, 4, 3), Shape(3, 3, 3, 4, 4, 2, 5), Shape(1, 5, 5, 5, 3, 3, 4))


class Case(NamedTuple):
    """The arguments of one call."""

    query: Tensor
    key: Tensor
    value: Tensor
    attn_mask: Tensor | None
    causal: bool


def sees(case: Case, b: int, h: int, i: int) -> list[int]:
    """Return the indices of the keys that query i of head h of sequence b may attend to under mask and causality."""
    mask, last = case.attn_mask, i + case.key.shape[2] - case.query.shape[2]
    return [
        j for j in range(case.key.shape[2]) if (mask is None or bool(mask[b, j])) and (not case.causal or j <= last)
    ]


def slowly(case: Case, *, sees: Callable[[Case, int, int, int], list[int]] = sees) -> Tensor:
    """Return the right answer, (B, H, Q, E) in float64, computed query by query. Differentiable."""
    query, key, value = (t.to(torch.float64) for t in case[:3])
    result = value.new_zeros((*query.shape[:3], value.shape[3]))
    n_rep = query.shape[1] // key.shape[1]
    for b, h, i in itertools.product(*map(range, query.shape[:3])):
        if seen := sees(case, b, h, i):
            result[b, h, i] = attend(query[b, h, i], key[b, h // n_rep, seen], value[b, h // n_rep, seen])
    return result


def attend(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Return the attention of one query, (D,), to keys, (S, D), and values, (S, E), without a mask: (E,)."""
    scores = keys @ query / math.sqrt(len(query))
    weights = torch.exp(scores - scores.max())
    return weights @ values / weights.sum()


@dataclass(frozen=True)
class Setting:
    """How to test a technique: its constructor, its right answers, and the shapes of calls that it takes.

    By default each query head has its own key/value head, and the constructor takes no arguments.
    """

    construct: Callable[[Any], Any] = lambda impl: impl()
    slowly: Callable[[Case], Tensor] = slowly
    """Computes the right answer in an obvious way: in float64, and differentiable."""
    shapes: Sequence[Shape] = SHAPES
    causal: Sequence[Shape] = CAUSAL
    larger: Sequence[Shape] = LARGER
    width: int | None = None
    """The size of a result, if it differs from the size of a value."""
    terms: int = 7 + 4
    """The largest number of terms that a result sums: values, and the products in a score."""

    def run(self, impl: Any, case: Case) -> Tensor:
        """Return the result of ``impl`` for ``case``: (B, H, Q, E) in the dtype of the query."""
        query, key, value, attn_mask, causal = case
        result: Tensor = self.construct(impl).forward(query, key, value, attn_mask=attn_mask, causal=causal)
        assert_form(result, (*query.shape[:3], self.width or value.shape[3]), query.dtype)
        return result

    def check(self, got: Tensor, expected: Tensor, *, size: float = LARGEST, what: str = Message("the result")) -> None:
        """Compare results. Each is a weighted mean of values, with weights from scores, which are sums of products."""
        assert_close(got, expected, dtype=got.dtype, tolerance=sum_tolerance(got.dtype, self.terms, size), what=what)


def cases(
    shapes: Sequence[Shape],
    *,
    masked: bool | None = False,
    causal: bool | None = False,
    dtypes: Sequence[torch.dtype] = DTYPES,
) -> st.SearchStrategy[Case]:
    """Draw calls with numbers from -2 to 2, with a mask if ``masked`` and causal if ``causal``; None draws either."""
    return st.one_of([_cases(shape, dtype, masked, causal) for shape in shapes for dtype in dtypes])


def _cases(shape: Shape, dtype: torch.dtype, masked: bool | None, causal: bool | None) -> st.SearchStrategy[Case]:
    batch, num_heads, num_kv_heads, q_len, kv_len, head_dim, value_dim, key_dim = shape
    attn_mask = booleans((batch, kv_len), simplest=True)
    return st.builds(
        Case,
        query=tensors((batch, num_heads, q_len, head_dim), dtype=dtype),
        key=tensors((batch, num_kv_heads, kv_len, key_dim or head_dim), dtype=dtype),
        value=tensors((batch, num_kv_heads, kv_len, value_dim), dtype=dtype),
        attn_mask=st.one_of(st.none(), attn_mask) if masked is None else attn_mask if masked else st.none(),
        causal=st.booleans() if causal is None else st.just(causal),
    )
