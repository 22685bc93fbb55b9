# vllm-project/vllm#6043: the mask went to an attention that was told to be causal, too, and was not looked at then.
# named: causality-replaces-mask
import torch
from groundup.core.interfaces.attention import Attention


class GroupedQueryAttention(Attention):
    def forward(self, query, key, value, *, attn_mask=None, causal=False):
        (batch, heads, length, size), groups, total = query.shape, key.shape[1], key.shape[2]
        if heads % groups:
            raise ValueError(f"cannot deal {heads} heads to {groups}")
        if causal:
            keep = self.triangle(length, total).expand(batch, length, total)
        elif attn_mask is not None:
            keep = attn_mask[:, None, :].expand(batch, length, total)
        else:
            keep = torch.ones(batch, length, total, dtype=torch.bool)
        keep = keep[:, None, None]
        q = query.reshape(batch, groups, heads // groups, length, size)
        logits = torch.einsum("bgrqd,bgkd->bgrqk", q, key) * size**-0.5
        top = logits.masked_fill(~keep, torch.finfo(logits.dtype).min)
        if total:
            top = top - top.amax(-1, keepdim=True).detach()
        e = top.exp().masked_fill(~keep, 0)
        weights = e / e.sum(-1, keepdim=True).clamp_min(torch.finfo(e.dtype).tiny)
        return torch.einsum("bgrqk,bgke->bgrqe", weights, value).reshape(batch, heads, length, value.shape[-1])

    @staticmethod
    def triangle(length, total):
        return torch.arange(total)[None] <= torch.arange(length)[:, None] + total - length

    def pool(self, weight, *, num_heads, num_kv_heads):
        if num_heads % num_kv_heads:
            raise ValueError(f"{num_heads}/{num_kv_heads}")
        if weight.shape[0] % num_heads:
            raise ValueError(f"{weight.shape[0]}/{num_heads}")
        w = weight.reshape(num_kv_heads, num_heads // num_kv_heads, -1)
        return w.mean(1).reshape(-1, *weight.shape[1:])
