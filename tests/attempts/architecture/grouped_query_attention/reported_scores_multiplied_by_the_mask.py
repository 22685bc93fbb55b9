# georg-wolflein/good-features#1: the scores are multiplied by the mask before the softmax, which takes a 0 for a score.
# named: masked-with-zero
import torch
from groundup.core.interfaces.attention import Attention


class GroupedQueryAttention(Attention):
    def forward(self, query, key, value, *, attn_mask=None, causal=False):
        shape, G = query.shape, key.shape[1]
        if shape[1] % G > 0:
            raise ValueError("query heads {} over key/value heads {}".format(shape[1], G))
        owner = torch.arange(shape[1]) // (shape[1] // G)
        k, v = key[:, owner], value[:, owner]
        A = (query * shape[-1] ** -0.5) @ k.mT
        M = A.new_ones(shape[0], shape[2], k.shape[2])
        if attn_mask is not None:
            M = M * attn_mask[:, None, :]
        if causal:
            last = torch.arange(shape[2])[:, None] + k.shape[2] - shape[2]
            M = M * (torch.arange(k.shape[2])[None] <= last)
        A = torch.softmax(A * M[:, None], dim=-1)
        sees = M.sum(-1).gt(0)[:, None, :, None]
        return torch.where(sees, A, torch.zeros_like(A)) @ v

    def pool(self, weight, *, num_heads, num_kv_heads):
        if num_heads % num_kv_heads or weight.shape[0] % num_heads:
            raise ValueError(f"{num_heads} {num_kv_heads} {weight.shape[0]}")
        dim, many = weight.shape[0] // num_heads, num_heads // num_kv_heads
        pooled = torch.zeros(num_kv_heads * dim, *weight.shape[1:], dtype=weight.dtype)
        for head in range(num_heads):
            group = head // many
            pooled[group * dim : (group + 1) * dim] += weight[head * dim : (head + 1) * dim] / many
        return pooled
