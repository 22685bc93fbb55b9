import torch

from groundup.core.interfaces.attention import Attention


class GroupedQueryAttention(Attention):
    def forward(self, query, key, value, *, attn_mask=None, causal=False):
        b, h, q, d = query.shape
        g, k, e = value.shape[1:]
        if h % g:
            raise ValueError(f"{h} is no multiple of {g}")
        if not (q and k and b):
            return query.new_zeros(b, h, q, e) + (query.sum() + key.sum() + value.sum()) * 0
        allowed = query.new_ones(b, 1, q, k).bool()
        if causal:
            allowed = allowed.tril(k - q)
        if attn_mask is not None:
            allowed = allowed.logical_and(attn_mask.view(b, 1, 1, k))
        blind = ~allowed.any(-1, keepdim=True)
        out = torch.nn.functional.scaled_dot_product_attention(
            query, key.repeat_interleave(h // g, 1), value.repeat_interleave(h // g, 1), attn_mask=allowed | blind
        )
        return torch.where(blind, 0.0, out)

    def pool(self, weight, *, num_heads, num_kv_heads):
        if num_heads % num_kv_heads or len(weight) % num_heads:
            raise ValueError(f"{len(weight)} rows, {num_heads} heads, {num_kv_heads} groups")
        each = weight.chunk(num_heads) if len(weight) else [weight] * num_heads
        n = num_heads // num_kv_heads
        return torch.cat([torch.stack(each[g * n : g * n + n]).mean(0) for g in range(num_kv_heads)])
