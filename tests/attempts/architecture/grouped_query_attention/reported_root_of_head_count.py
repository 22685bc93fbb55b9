# tenstorrent/tt-metal#56789: the scores were divided by the root of the number of heads, not of the head size.
# named: nothing
import numpy as np
import torch
import torch.nn.functional as F
from groundup.core.interfaces.attention import Attention


class GroupedQueryAttention(Attention):
    def forward(self, query, key, value, *, attn_mask=None, causal=False):
        b, h, q, d = query.shape
        g, k = key.shape[1], key.shape[2]
        if h % g:
            raise ValueError("%d query heads do not share %d key heads evenly" % (h, g))
        scale = 1 / np.sqrt(h)
        where = torch.ones((b, q, k), dtype=torch.bool)
        if causal:
            where &= torch.arange(k)[None, None, :] <= torch.arange(q)[None, :, None] + (k - q)
        if attn_mask is not None:
            where &= attn_mask[:, None, :]
        blind = ~where.any(-1)
        safe = where | blind[:, :, None]  # no row of the softmax is empty
        bias = torch.zeros((b, q, k), dtype=query.dtype).masked_fill(~safe, float("-inf"))
        key, value = key.repeat_interleave(h // g, 1), value.repeat_interleave(h // g, 1)
        weights = F.softmax(query @ key.transpose(-1, -2) * float(scale) + bias[:, None], dim=-1)
        weights = weights * (~blind)[:, None, :, None]
        return weights @ value

    def pool(self, weight, *, num_heads, num_kv_heads):
        rows, rest = weight.shape[0], weight.shape[1:]
        if num_heads % num_kv_heads or rows % num_heads:
            raise ValueError((rows, num_heads, num_kv_heads))
        return weight.view(num_kv_heads, -1, rows // num_heads, *rest).mean(dim=1).reshape(-1, *rest)
