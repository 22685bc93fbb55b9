import torch

from groundup.core.interfaces.attention import Attention


class GroupedQueryAttention(Attention):
    def forward(self, query, key, value, *, attn_mask=None, causal=False):
        groups, keys = key.shape[1], key.shape[2]
        if query.shape[1] % groups:
            raise ValueError(f"{query.shape[1]} query heads, {groups} of keys")
        asked = query.unflatten(1, (groups, query.shape[1] // groups))
        score = torch.einsum("bgnqd,bgkd->bgnqk", asked, key) / key.shape[-1] ** 0.5
        hidden = torch.zeros_like(score, dtype=torch.bool)
        if causal:
            ahead = torch.arange(keys) - keys
            hidden = hidden | (ahead[None, :] > (torch.arange(query.shape[2]) - query.shape[2])[:, None])
        if attn_mask is not None:
            hidden = hidden | attn_mask.logical_not()[:, None, None, None]
        score = torch.where(hidden, -torch.finfo(score.dtype).max, score)
        top = score.detach().amax(-1, keepdim=True) if keys else 0
        part = torch.where(hidden, 0, torch.exp(score - top))
        total = part.sum(-1, keepdim=True)
        share = part / torch.where(total > 0, total, 1)
        return torch.einsum("bgnqk,bgke->bgnqe", share, value).flatten(1, 2)

    def pool(self, weight, *, num_heads, num_kv_heads):
        if num_heads % num_kv_heads:
            raise ValueError(f"{num_heads} heads for {num_kv_heads} groups")
        if weight.shape[0] % num_heads:
            raise ValueError(f"{weight.shape[0]} rows of {num_heads} heads")
        share = torch.eye(num_kv_heads, dtype=weight.dtype).repeat_interleave(num_heads // num_kv_heads, 1) * (num_kv_heads / num_heads)
        return torch.einsum("gh,hd...->gd...", share, weight.unflatten(0, (num_heads, -1)) if len(weight) else weight.reshape(num_heads, 0, *weight.shape[1:])).flatten(0, 1)
