"""Multi-head attention.

Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 1.
Axes: B sequences, H heads, Q queries, K keys, D head size, E value size.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from groundup.core.interfaces.attention import Attention

__all__ = ["Nope"]


class Nope(Attention):
    """Each query head has a key/value head of its own."""

    def forward(
        self,
        query: Float[Tensor, "B H Q D"],
        key: Float[Tensor, "B H K D"],
        value: Float[Tensor, "B H K E"],
        *,
        mask: Bool[Tensor, "B K"] | None = None,
        causal: bool = False,
    ) -> Float[Tensor, "B H Q E"]:
        """Return softmax(query key^T / sqrt(D)) value, head by head.

        ``mask`` is True where a key may be attended to. With ``causal``, query i sees key j where j <= i + K - Q: the
        last query stands where the last key does. A query that may attend to nothing gets zeros. Inputs share one
        dtype, float32 or float64, which the result has; they are left as they are.
        """
        queries, keys, size = query.shape[2], key.shape[2], query.shape[3]
        # HOLE 1/2: who sees whom; set ``seen``, boolean, of a shape that broadcasts to (B, H, Q, K).
        raise NotImplementedError("hole 1/2: who sees whom")
        # HOLE 2/2: scores, weights, the mix; set ``mixed``, (B, H, Q, E). No NaN where a query sees nothing.
        raise NotImplementedError("hole 2/2: scores, weights, the mix")
        return mixed
