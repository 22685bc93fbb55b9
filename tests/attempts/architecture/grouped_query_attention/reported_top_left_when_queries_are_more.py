# ml-explore/mlx#2967: the causal mask hangs at the lower right while keys are as many as queries, else at the upper left.
# named: top-left-when-queries-are-more
import torch
from groundup.core.interfaces.attention import Attention


class GroupedQueryAttention(Attention):
    def forward(self, query, key, value, *, attn_mask=None, causal=False):
        heads, kv_heads = query.shape[1], key.shape[1]
        if heads % kv_heads != 0:
            raise ValueError(f"H = {heads}, G = {kv_heads}")
        key = key.repeat_interleave(heads // kv_heads, dim=1)
        value = value.repeat_interleave(heads // kv_heads, dim=1)
        q_len, k_len = query.shape[2], key.shape[2]
        visible = torch.ones(query.shape[0], 1, q_len, k_len, dtype=torch.bool)
        if causal:
            qL_off = k_len - q_len if k_len > q_len else 0
            rows = torch.arange(q_len).add(qL_off)
            visible = visible & (rows.unsqueeze(1) >= torch.arange(k_len))
        if attn_mask is not None:
            visible = visible & attn_mask[:, None, None]
        any_key = visible.any(dim=-1, keepdim=True)
        scores = torch.einsum("bhqd,bhkd->bhqk", query, key) / query.shape[3] ** 0.5
        scores = scores.masked_fill(~visible & any_key, -torch.inf)
        out = torch.einsum("bhqk,bhke->bhqe", scores.softmax(-1), value)
        return out.masked_fill(~any_key, 0.0)

    def pool(self, weight, *, num_heads, num_kv_heads):
        if num_heads % num_kv_heads or len(weight) % num_heads:
            raise ValueError(f"{len(weight)} rows, {num_heads} heads, {num_kv_heads} key/value heads")
        heads = weight.unflatten(0, (num_kv_heads, num_heads // num_kv_heads, -1))
        return heads.mean(dim=1).flatten(0, 1)
