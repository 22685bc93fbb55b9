"""Grouped-query attention: several query heads share one key/value head.

Source: Ainslie et al. 2023, arXiv:2305.13245, section 2.2 (groups) and 2.1 (mean-pooled heads); Shazeer 2019,
arXiv:1911.02150, section 3 (a single key/value head); Vaswani et al. 2017, arXiv:1706.03762, eq. 1.
Axes: B sequences, H query heads, G key/value heads, Q queries, K keys, D head size, E value size; M inputs of a weight.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from groundup.core.interfaces.attention import Attention

__all__ = ["GroupedQueryAttention"]


class GroupedQueryAttention(Attention):
    """H query heads share G key/value heads, H a multiple of G: G = H is multi-head, G = 1 multi-query attention.

    Query head h reads key/value head h // (H / G): the first H / G query heads share key/value head 0, the next H / G
    share head 1, and so on. That is the order of ``key.repeat_interleave(H // G, dim=1)``.
    """

    def forward(
        self,
        query: Float[Tensor, "B H Q D"],
        key: Float[Tensor, "B G K D"],
        value: Float[Tensor, "B G K E"],
        *,
        attn_mask: Bool[Tensor, "B K"] | None = None,
        causal: bool = False,
    ) -> Float[Tensor, "B H Q E"]:
        """Return softmax(query key^T / sqrt(D)) value, each query head with the key/value head of its group.

        ``attn_mask`` is True where a key may be attended to. With ``causal``, query i attends to key j only if
        j <= i + K - Q: the last query is aligned with the last key, even if ``attn_mask`` hides that key. Both
        conditions must hold. The output of a query that may attend to no key is zero, and passes no gradient on. B, Q
        and K may be 0; Q may be larger than K, and E may differ from D.

        Inputs share one dtype, float32 or float64; all computation and the result have it. Inputs need not be
        contiguous, and are not modified. Scores may be large. Gradient flows to ``query``, ``key`` and ``value``.
        Raises ValueError naming H and G if H is not a multiple of G.
        """
        batch, num_heads, q_len, head_dim = query.shape
        num_kv_heads, kv_len = key.shape[1:3]
        n_rep = num_heads // num_kv_heads  # query heads per group
        # HOLE 1/4: the queries of each group; set ``grouped``, (B, G, H/G * Q, D): the queries of the group's first
        # head, followed by those of its second, and so on. Raise ValueError if H is not a multiple of G.
        raise NotImplementedError("hole 1/4: the queries of each group")

        # HOLE 2/4: who sees whom; set ``mask``, boolean, True where a query may attend to a key, with a shape that
        # broadcasts to (B, G, H/G, Q, K). It combines ``attn_mask`` and causality.
        raise NotImplementedError("hole 2/4: who sees whom")

        # HOLE 3/4: scores, weights, the mix; set ``attn_output``, (B, G, H/G * Q, E), with rows as in ``grouped``. The
        # weights of the values are the softmax of the scores over the keys that the query may attend to. For a query
        # without any such key, the result and all gradients are 0, not NaN.
        raise NotImplementedError("hole 3/4: scores, weights, the mix")
        return attn_output.reshape(batch, num_heads, q_len, value.shape[3])

    def pool(self, weight: Float[Tensor, "H*D *M"], *, num_heads: int, num_kv_heads: int) -> Float[Tensor, "G*D *M"]:
        """Return a key or value projection with ``num_kv_heads`` heads: means of groups of its ``num_heads`` heads.

        This converts a multi-head checkpoint before a short further training. ``weight`` has the layout of
        torch.nn.Linear, (H*D, M): rows h*D to (h+1)*D - 1 are head h. Head g of the result is the mean of heads
        g*(H/G) to (g+1)*(H/G) - 1, those of the query heads that will share it. A bias, (H*D,), is pooled the same way.
        The dtype is kept. Raises ValueError naming both numbers if ``num_heads`` is not a multiple of
        ``num_kv_heads``, or the number of rows not a multiple of ``num_heads``.
        """
        rows = weight.shape[0]
        # HOLE 4/4: the mean of each group's heads; set ``pooled``, (G*D, M). Average whole heads: row d of one head
        # with row d of the others. Raise ValueError if ``num_kv_heads`` does not divide ``num_heads``, or ``num_heads``
        # does not divide the rows.
        raise NotImplementedError("hole 4/4: the mean of each group's heads")
        return pooled
