"""Attention without positional encoding (NoPE): the causal mask alone determines a token's position.

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
    """Multi-head attention without positional encoding. Each query head has its own key/value head."""

    def forward(
        self,
        query: Float[Tensor, "B H Q D"],
        key: Float[Tensor, "B H K D"],
        value: Float[Tensor, "B H K E"],
        *,
        attn_mask: Bool[Tensor, "B K"] | None = None,
        causal: bool = False,
    ) -> Float[Tensor, "B H Q E"]:
        """Return softmax(query key^T / sqrt(D)) value for each head. No term of a score depends on a position.

        ``attn_mask`` is True where a key may be attended to. With ``causal``, query i sees key j only if
        j <= i + K - Q: the last query is aligned with the last key. The output of a query that may attend to no key is
        zero. Inputs share one dtype, float32 or float64, which the result has too. They are not modified.
        """
        q_len, kv_len, head_dim = query.shape[2], key.shape[2], query.shape[3]
        # HOLE 1/3: who sees whom; set ``mask``, boolean, with a shape that broadcasts to (B, H, Q, K).
        raise NotImplementedError("hole 1/3: who sees whom")
        # HOLE 2/3: scores, weights, the mix; set ``attn_output``, (B, H, Q, E). A query without keys gives 0, not NaN.
        raise NotImplementedError("hole 2/3: scores, weights, the mix")
        return attn_output

    def positions(self, tokens: Int[Tensor, "B T"], *, begin: int) -> Int[Tensor, "B T"]:
        """Return the position of every token, from 0, computed from a single causal call of ``forward``.

        Every row begins with the token ``begin``, which occurs nowhere else in it. The result is int64.
        """
        first = (tokens == begin).to(torch.float32)[:, None, :, None]  # (B, 1, T, 1): 1 at the first token, else 0
        # HOLE 3/3: from weights to positions; set ``found``, (B, T), int64. With queries and keys of zeros each token
        # attends equally to all tokens it sees; the output of ``forward`` is then the weight of the first token.
        raise NotImplementedError("hole 3/3: from weights to positions")
        return found
