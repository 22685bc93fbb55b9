# PSAL-POSTECH/ONNXim#34: the key/value head was the query head over the number of key/value heads, not over the group's
# size: with as many of both every query read head 0, with large groups the place was out of range.
# named: divided-by-the-number-of-groups
import torch
from groundup.core.interfaces.attention import Attention


class GroupedQueryAttention(Attention):
    def forward(self, query, key, value, *, attn_mask=None, causal=False):
        batch, num_heads, q_len, head_dim = query.shape
        num_kv_heads, kv_len = key.shape[1:3]
        if num_heads % num_kv_heads:
            raise ValueError(f"{num_heads} % {num_kv_heads}")
        kv_head_of = [head // num_kv_heads for head in range(num_heads)]
        keys, values = key[:, kv_head_of], value[:, kv_head_of]
        scores = torch.matmul(query, keys.transpose(2, 3)) / head_dim**0.5
        mask = torch.zeros(batch, 1, q_len, kv_len, dtype=torch.bool)
        if causal:
            for i in range(q_len):
                mask[:, :, i, max(i + kv_len - q_len + 1, 0) :] = True
        if attn_mask is not None:
            mask = mask | ~attn_mask[:, None, None]
        scores = scores.masked_fill(mask, torch.finfo(scores.dtype).min)
        return torch.matmul(scores.softmax(dim=3).masked_fill(mask, 0.0), values)

    def pool(self, weight, *, num_heads, num_kv_heads):
        head_dim, odd = divmod(weight.shape[0], num_heads)
        n_rep, uneven = divmod(num_heads, num_kv_heads)
        if odd or uneven:
            raise ValueError(f"{weight.shape[0]} rows of {num_heads} heads to {num_kv_heads}")
        return torch.cat(
            [
                sum(weight[(g * n_rep + r) * head_dim : (g * n_rep + r + 1) * head_dim] for r in range(n_rep)) / n_rep
                for g in range(num_kv_heads)
            ]
        )
