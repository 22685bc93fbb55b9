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
    """H query heads over G key/value heads, H a multiple of G: G = H is multi-head, G = 1 multi-query attention.

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

        ``attn_mask`` is True where a key may be attended to. With ``causal``, query i sees key j where j <= i + K - Q:
        the last query stands where the last key does, whatever ``attn_mask`` says of that key. Both hold together. A
        query that may attend to nothing gets zeros, and passes no gradient on. B, Q and K may be 0; Q may be larger
        than K, and E another size than D.

        Inputs share one dtype, float32 or float64, which the result has; nothing is computed in a narrower one. They
        need not be contiguous, and are left as they are. Scores may be large. Gradient reaches ``query``, ``key`` and
        ``value``. Raises ValueError naming H and G when H is not a multiple of G.
        """
        batch, num_heads, q_len, head_dim = query.shape
        num_kv_heads, kv_len = key.shape[1:3]
        n_rep = num_heads // num_kv_heads  # query heads a group
        # HOLE 1/4: the queries of each group; set ``grouped``, (B, G, H/G * Q, D): those of the group's first head,
        # under them those of its second, and so on. Raise ValueError when H is not a multiple of G.
        if num_heads % num_kv_heads:
            raise ValueError(f"{num_heads} query heads cannot share {num_kv_heads} key/value heads: no multiple of it")
        grouped = query.reshape(batch, num_kv_heads, n_rep * q_len, head_dim)  # neighbouring heads lie side by side
        # END HOLE

        # HOLE 2/4: who sees whom; set ``mask``, boolean, True where a query may attend to a key, of a shape that
        # broadcasts to (B, G, H/G, Q, K). ``attn_mask`` and causality both have a say.
        # EMPTY: mask = torch.ones(q_len, kv_len, dtype=torch.bool, device=query.device)
        mask = torch.ones(q_len, kv_len, dtype=torch.bool, device=query.device)
        if causal:
            mask = mask.tril(kv_len - q_len)  # bottom-right: one query against a full cache sees all of it
        if attn_mask is not None:
            mask = mask & attn_mask[:, None, None, None, :]  # (B, 1, 1, Q, K)
        # END HOLE

        # HOLE 3/4: scores, weights, the mix; set ``attn_output``, (B, G, H/G * Q, E), its rows as in ``grouped``. The
        # softmax of the scores over the keys that are seen weighs the values. Where a query sees nothing the result is
        # 0, and so is every gradient: no NaN.
        # EMPTY: attn_output = (mask.to(value) @ value[:, :, None]).sum(2).repeat(1, 1, n_rep, 1) * grouped[..., :1]
        scores = (grouped @ key.mT * head_dim**-0.5).reshape(batch, num_kv_heads, n_rep, q_len, kv_len)  # copies no key
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)  # not -inf: a row of those is NaN
        attn_weights = torch.softmax(scores, dim=-1).masked_fill(~mask, 0.0)  # a row that sees nothing was uniform
        attn_output = attn_weights.flatten(2, 3) @ value
        # END HOLE
        return attn_output.reshape(batch, num_heads, q_len, value.shape[3])

    def pool(self, weight: Float[Tensor, "H*D *M"], *, num_heads: int, num_kv_heads: int) -> Float[Tensor, "G*D *M"]:
        """Return the key or value projection of ``num_kv_heads`` heads, made of one of ``num_heads``: their means.

        This converts a multi-head checkpoint, before it is trained on for a little. ``weight`` is laid out as
        torch.nn.Linear keeps it, (H*D, M): rows h*D to (h+1)*D - 1 are head h. The result's head g is the mean of the
        heads g*(H/G) to (g+1)*(H/G) - 1, which are those of the query heads that will read it. A bias, (H*D,), is
        pooled the same way. The dtype is kept. Raises ValueError naming both numbers when ``num_heads`` is not a
        multiple of ``num_kv_heads``, or the rows are not a multiple of ``num_heads``.
        """
        rows = weight.shape[0]
        # HOLE 4/4: the mean of each group's heads; set ``pooled``, (G*D, M). Heads are averaged with heads: row d of
        # one with row d of the others. Raise ValueError when ``num_kv_heads`` does not divide ``num_heads``, or
        # ``num_heads`` the rows.
        # EMPTY: pooled = weight[: rows // num_heads * num_kv_heads]
        if num_heads % num_kv_heads:
            raise ValueError(f"{num_heads} heads cannot be pooled to {num_kv_heads}: no multiple of it")
        if rows % num_heads:
            raise ValueError(f"{rows} rows are not those of {num_heads} heads: no multiple of it")
        by_group = weight.reshape(num_kv_heads, num_heads // num_kv_heads, rows // num_heads, *weight.shape[1:])
        pooled = by_group.mean(dim=1).flatten(0, 1)
        # END HOLE
        return pooled
