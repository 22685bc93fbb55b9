# onnx/onnx#7274: the key/value heads were tiled for grouped queries, where the other frameworks repeat each in turn.
# named: heads-tiled
import torch
from groundup.core.interfaces.attention import Attention


def expand_heads(states, copies):
    return torch.cat([states] * copies, dim=1)


class GroupedQueryAttention(Attention):
    def forward(self, query, key, value, *, attn_mask=None, causal=False):
        copies, left = divmod(query.size(1), key.size(1))
        if left:
            raise ValueError(f"{query.size(1)} heads on {key.size(1)}")
        key, value = expand_heads(key, copies), expand_heads(value, copies)
        rows, columns = query.size(2), key.size(2)
        allowed = query.new_ones(query.size(0), 1, rows, columns).bool()
        if causal:
            row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
            allowed = allowed & (column - row <= columns - rows)
        if attn_mask is not None:
            allowed = allowed & attn_mask.reshape(query.size(0), 1, 1, columns)
        logits = torch.einsum("bhqd,bhkd->bhqk", query, key) / query.size(3) ** 0.5
        logits = torch.where(allowed, logits, torch.finfo(logits.dtype).min)
        probabilities = torch.where(allowed, logits.softmax(3), torch.zeros_like(logits))
        return torch.einsum("bhqk,bhke->bhqe", probabilities, value)

    def pool(self, weight, *, num_heads, num_kv_heads):
        if num_heads % num_kv_heads or weight.shape[0] % num_heads:
            raise ValueError(f"{weight.shape[0]} rows, {num_heads} heads, {num_kv_heads} groups")
        heads = weight.unflatten(0, (num_kv_heads, num_heads // num_kv_heads, weight.shape[0] // num_heads))
        return heads.mean(1).flatten(0, 1)
