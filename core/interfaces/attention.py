"""Attention over given queries, keys and values.

Axes: B sequences, H query heads, G key/value heads (H a multiple of G), Q queries, K keys, D head size, E value size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["Attention"]


class Attention(ABC):
    """One kind of attention. Its constructor takes the fixed settings: window, sinks, block sizes, up-projections."""

    @abstractmethod
    def forward(
        self,
        query: Float[Tensor, "B H Q D"],
        key: Float[Tensor, "B G K D"],
        value: Float[Tensor, "B G K E"],
        *,
        attn_mask: Bool[Tensor, "B K"] | None = None,
        causal: bool = False,
    ) -> Float[Tensor, "B H Q E"]:
        """Return softmax(query key^T / sqrt(D)) value for each head. Gradient flows to query, key and value.

        ``attn_mask`` is True where a key may be attended to (as in torch's scaled_dot_product_attention). ``causal``
        aligns the last query with the last key (bottom-right, as flash-attention 2.1 does), so that a single query
        attends to the whole cache. The output of a query that may attend to no key is zero.
        """
