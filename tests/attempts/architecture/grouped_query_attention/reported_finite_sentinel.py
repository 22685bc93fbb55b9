# ohdearquant/lattice#374: masked scores were set to -10000, so where a real score is lower still the masked key wins.
# named: masked-with-minus-ten-thousand
import torch
import torch.nn.functional as F

from groundup.core.interfaces.attention import Attention

MASKED = -10_000.0


class GroupedQueryAttention(Attention):
    def forward(self, query, key, value, *, attn_mask=None, causal=False):
        batch, num_heads, q_len, head_dim = query.shape
        groups, k_len = key.shape[1], key.shape[2]
        per_group, left = divmod(num_heads, groups)
        if left:
            raise ValueError(f"{num_heads} query heads, {groups} key/value heads")
        q = query.reshape(batch, groups, per_group, q_len, head_dim)
        logits = torch.matmul(q, key[:, :, None].transpose(3, 4)) * head_dim**-0.5
        allowed = torch.ones(batch, q_len, k_len, dtype=torch.bool)
        if causal:
            allowed &= torch.tril(torch.ones(q_len, k_len, dtype=torch.bool), diagonal=k_len - q_len)
        if attn_mask is not None:
            allowed &= attn_mask[:, None, :].expand_as(allowed)
        logits = logits.masked_fill(~allowed[:, None, None], MASKED)
        probs = F.softmax(logits, dim=-1)
        probs = probs * allowed.any(-1)[:, None, None, :, None]
        return (probs @ value[:, :, None]).reshape(batch, num_heads, q_len, value.shape[-1])

    def pool(self, weight, *, num_heads, num_kv_heads):
        size, odd = divmod(weight.shape[0], num_heads)
        if odd or num_heads % num_kv_heads:
            raise ValueError(f"{num_heads} heads into {num_kv_heads}, of {weight.shape[0]} rows")
        rest = weight.shape[1:]
        grouped = weight.reshape(num_kv_heads, num_heads // num_kv_heads, size, *rest)
        return grouped.sum(dim=1).div(num_heads // num_kv_heads).reshape(num_kv_heads * size, *rest)
