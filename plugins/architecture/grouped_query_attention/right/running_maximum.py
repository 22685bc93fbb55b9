import torch

from groundup.core.interfaces.attention import Attention


class GroupedQueryAttention(Attention):
    """Key by key, with a running maximum, as flash-attention does it."""

    def forward(self, query, key, value, *, attn_mask=None, causal=False):
        b, h, q, d = query.shape
        g, k, e = value.shape[1:]
        if h % g:
            raise ValueError(f"{h} query heads, {g} key heads")
        which = torch.arange(h) // (h // g)
        top = query.new_full((b, h, q, 1), -torch.finfo(query.dtype).max)
        total, mix = torch.zeros_like(top), query.new_zeros(b, h, q, e)
        for j in range(k):
            seen = torch.ones(b, 1, q, 1, dtype=torch.bool)
            if causal:
                seen = seen & (torch.arange(q)[:, None] >= j - k + q)
            if attn_mask is not None:
                seen = seen & attn_mask[:, j, None, None, None]
            score = (query * key[:, which, j, None]).sum(-1, keepdim=True) * d**-0.5
            high = torch.where(seen, torch.maximum(top, score.detach()), top)
            fade = (top - high).exp()
            part = torch.where(seen, torch.where(seen, score - high, 0).exp(), 0)
            total, mix, top = total * fade + part, mix * fade + part * value[:, which, j, None], high
        return mix / torch.where(total > 0, total, 1)

    def pool(self, weight, *, num_heads, num_kv_heads):
        if num_heads % num_kv_heads or len(weight) % num_heads:
            raise ValueError(f"{len(weight)} rows, {num_heads} heads, {num_kv_heads} groups")
        each = weight.chunk(num_heads) if len(weight) else [weight] * num_heads
        n = num_heads // num_kv_heads
        return torch.cat([torch.stack(each[g * n : g * n + n]).mean(0) for g in range(num_kv_heads)])
