# XunhaoLai/native-sparse-attention-triton#27: forward and backward split the query heads by different counts, so the
# gradient of a key/value head was summed over other query heads than those that read it.
# named: gradients-go-to-another-group
import torch
from groundup.core.interfaces.attention import Attention


class Shared(torch.autograd.Function):
    """Give every query head its key/value head, and add the gradients up again."""

    @staticmethod
    def forward(ctx, states, heads):
        ctx.groups = states.shape[1]
        return states[:, torch.arange(heads) // (heads // ctx.groups)]

    @staticmethod
    def backward(ctx, grad):
        b, heads, *rest = grad.shape
        return grad.reshape(b, heads // ctx.groups, ctx.groups, *rest).sum(1), None


class GroupedQueryAttention(Attention):
    def forward(self, query, key, value, *, attn_mask=None, causal=False):
        heads, groups = query.shape[1], key.shape[1]
        if heads % groups:
            raise ValueError(f"{heads} and {groups}")
        k, v = Shared.apply(key, heads), Shared.apply(value, heads)
        logits = query @ k.mT / query.shape[-1] ** 0.5
        ok = torch.ones_like(logits, dtype=torch.bool)
        if causal:
            ok = ok.tril(k.shape[2] - query.shape[2])
        if attn_mask is not None:
            ok = ok & attn_mask[:, None, None]
        logits = logits.masked_fill(~ok, torch.finfo(logits.dtype).min)
        return torch.softmax(logits, -1).masked_fill(~ok, 0) @ v

    def pool(self, weight, *, num_heads, num_kv_heads):
        if num_heads % num_kv_heads or weight.shape[0] % num_heads:
            raise ValueError(f"{tuple(weight.shape)}: {num_heads} to {num_kv_heads}")
        parts = torch.stack(weight.split(weight.shape[0] // num_heads))  # (H, D, ...)
        return torch.cat([group.mean(0) for group in parts.split(num_heads // num_kv_heads)])
