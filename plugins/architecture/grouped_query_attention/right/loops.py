import torch

from groundup.core.interfaces.attention import Attention


class GroupedQueryAttention(Attention):
    def forward(self, query, key, value, *, attn_mask=None, causal=False):
        (b, h, q, d), (_, g, k, e) = query.shape, value.shape
        if h % g:
            raise ValueError(f"{h} heads, {g} groups")
        out = [[[self.one(query[s, n, i], key[s, n // (h // g)], value[s, n // (h // g)], self.open(s, i, q, k, attn_mask, causal)) for i in range(q)] for n in range(h)] for s in range(b)]
        if 0 in (b, q):
            return query.new_zeros(b, h, q, e) + query.sum() * 0
        return torch.stack([torch.stack([torch.stack(row) for row in head]) for head in out])

    def open(self, s, i, q, k, attn_mask, causal):
        limit = min(max(i + k - q + 1, 0), k) if causal else k
        return [j for j in range(limit) if attn_mask is None or attn_mask[s, j]]

    def one(self, x, keys, values, places):
        if not places:
            return values.new_zeros(values.shape[-1]) + x.sum() * 0
        score = (keys[places] * x).sum(-1) / len(x) ** 0.5
        share = (score - score.max().detach()).exp()
        return (share / share.sum()).matmul(values[places])

    def pool(self, weight, *, num_heads, num_kv_heads):
        if num_heads % num_kv_heads or len(weight) % num_heads:
            raise ValueError(f"{len(weight)} rows, {num_heads} heads, {num_kv_heads} groups")
        each = weight.chunk(num_heads) if len(weight) else [weight] * num_heads
        n = num_heads // num_kv_heads
        return torch.cat([torch.stack(each[g * n : g * n + n]).mean(0) for g in range(num_kv_heads)])
