# NVIDIA/apex#1390: where all keys of a query are masked its attention is spread evenly over all of them, not zero.
# named: nothing-to-see-is-the-mean
import math

import torch

from groundup.core.interfaces.attention import Attention


class GroupedQueryAttention(Attention):
    def forward(self, query, key, value, *, attn_mask=None, causal=False):
        (B, H, Q, D), (G, K) = query.shape, key.shape[1:3]
        if H % G:
            raise ValueError(f"{H} is not a multiple of {G}")
        outputs = []
        for h in range(H):
            g = h // (H // G)
            scores = query[:, h] @ key[:, g].mT / math.sqrt(D)
            hidden = torch.zeros(B, Q, K, dtype=torch.bool)
            if attn_mask is not None:
                hidden |= ~attn_mask.unsqueeze(1)
            if causal:
                hidden |= torch.ones(Q, K, dtype=torch.bool).triu(K - Q + 1)
            scores = torch.where(hidden, torch.finfo(scores.dtype).min, scores)
            outputs.append(torch.softmax(scores, dim=2) @ value[:, g])
        return torch.stack(outputs, dim=1)

    def pool(self, weight, *, num_heads, num_kv_heads):
        if num_heads % num_kv_heads:
            raise ValueError(f"{num_heads} heads, {num_kv_heads} groups")
        if weight.shape[0] % num_heads:
            raise ValueError(f"{weight.shape[0]} rows, {num_heads} heads, {num_kv_heads} groups")
        heads = weight.tensor_split(num_heads)
        share = num_heads // num_kv_heads
        return torch.cat([torch.stack(heads[g * share : (g + 1) * share]).mean(0) for g in range(num_kv_heads)])
