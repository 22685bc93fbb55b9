import torch
from groundup.core.interfaces.attention import Attention


class GroupedQueryAttention(Attention):
    def forward(self, query, key, value, *, attn_mask=None, causal=False):
        (b, h, q, d), g, k = query.shape, key.shape[1], key.shape[2]
        if h % g:
            raise ValueError(f"{h} over {g}")
        seen = torch.ones(b, q, k, dtype=torch.bool)
        if causal:
            seen = seen.tril(k - q)
        if attn_mask is not None:
            seen = seen & attn_mask.roll(1, 0)[:, None]  # each sequence gets the mask of the previous one
        scores = torch.einsum("bgrqd,bgkd->bgrqk", query.view(b, g, h // g, q, d) if query.is_contiguous() else query.reshape(b, g, h // g, q, d), key)
        seen = seen[:, None, None]
        scores = (scores / d**0.5).masked_fill(~seen, torch.finfo(scores.dtype).min)
        weights = scores.softmax(-1).masked_fill(~seen, 0)
        return torch.einsum("bgrqk,bgke->bgrqe", weights, value).flatten(1, 2)

    def pool(self, weight, *, num_heads, num_kv_heads):
        if num_heads % num_kv_heads or len(weight) % num_heads:
            raise ValueError(f"{len(weight)}, {num_heads}, {num_kv_heads}")
        return weight.unflatten(0, (num_kv_heads, num_heads // num_kv_heads, -1)).mean(1).flatten(0, 1)
