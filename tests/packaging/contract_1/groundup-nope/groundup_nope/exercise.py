"""Attention without positions (NoPE): the causal mask alone tells where a token stands.

Source: Kazemnejad et al. 2023, arXiv:2305.19466, Theorem 1; Vaswani et al. 2017, arXiv:1706.03762, eq. 1.
Axes: B sequences, H heads, Q queries, K keys, D head size, E value size, T tokens.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from groundup.core.interfaces.attention import Attention

__all__ = ["NoPE"]


class NoPE(Attention):
    """Multi-head attention to which nobody says where a token stands. Each query head has its own key/value head."""

    def forward(
        self,
        query: Float[Tensor, "B H Q D"],
        key: Float[Tensor, "B H K D"],
        value: Float[Tensor, "B H K E"],
        *,
        mask: Bool[Tensor, "B K"] | None = None,
        causal: bool = False,
    ) -> Float[Tensor, "B H Q E"]:
        """Return softmax(query key^T / sqrt(D)) value, head by head. No term of a score depends on a position.

        ``mask`` is True where a key may be attended to. With ``causal``, query i sees key j where j <= i + K - Q: the
        last query stands where the last key does. A query that may attend to nothing gets zeros. Inputs share one
        dtype, float32 or float64, which the result has; they are left as they are.
        """
        queries, keys, size = query.shape[2], key.shape[2], query.shape[3]
        # HOLE 1/3: who sees whom; set ``seen``, boolean, of a shape that broadcasts to (B, H, Q, K).
        raise NotImplementedError("hole 1/3: who sees whom")
        # HOLE 2/3: scores, weights, the mix; set ``mixed``, (B, H, Q, E). No NaN where a query sees nothing.
        raise NotImplementedError("hole 2/3: scores, weights, the mix")
        return mixed

    def positions(self, tokens: Int[Tensor, "B T"], *, begin: int) -> Int[Tensor, "B T"]:
        """Return the position of every token, from 0, found by one causal call of ``forward``: nothing else counts.

        Every row begins with the token ``begin``, which stands nowhere else in it. The result is int64.
        """
        first = (tokens == begin).to(torch.float32)[:, None, :, None]  # (B, 1, T, 1): 1 at the first token, else 0
        # HOLE 3/3: from weights to positions; set ``found``, (B, T), int64. Queries and keys of zeros attend to all
        # tokens seen alike; what comes out of ``forward`` is then the first token's share of them.
        raise NotImplementedError("hole 3/3: from weights to positions")
        return found
