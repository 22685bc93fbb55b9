# tracel-ai/burn#4697: with a mask and causality hiding every key of a query, its row of -inf became NaN in the softmax.
# named: nothing-to-see-is-nan
import torch
from groundup.core.interfaces.attention import Attention


class GroupedQueryAttention(Attention):
    def forward(self, query, key, value, *, attn_mask=None, causal=False):
        h, g = query.shape[1], key.shape[1]
        if h // g * g != h:
            raise ValueError(f"heads: {h}, key/value heads: {g}")
        scores = self.scores(query, key)
        if attn_mask is not None:
            scores = scores.masked_fill(attn_mask.logical_not()[:, None, None, :], float("-inf"))
        if causal:
            q, k = scores.shape[-2:]
            scores = scores.masked_fill(torch.ones(q, k, dtype=torch.bool).triu(k - q + 1), float("-inf"))
        if scores.shape[-1] == 0:
            return query.new_zeros(*query.shape[:3], value.shape[3])
        peak = scores.amax(-1, keepdim=True).detach()
        raised = torch.exp(scores - peak)
        weights = raised / raised.sum(-1, keepdim=True)
        return torch.stack([weights[:, i] @ value[:, i * g // h] for i in range(h)], 1)

    def scores(self, query, key):
        h, g = query.shape[1], key.shape[1]
        return torch.stack([query[:, i] @ key[:, i * g // h].mT for i in range(h)], 1) / query.shape[3] ** 0.5

    def pool(self, weight, *, num_heads, num_kv_heads):
        if num_heads % num_kv_heads or len(weight) % num_heads:
            raise ValueError(f"{len(weight)} rows, {num_heads} heads, {num_kv_heads} groups")
        mix = torch.block_diag(*[torch.ones(1, num_heads // num_kv_heads)] * num_kv_heads).to(weight.dtype)
        heads = weight.reshape(num_heads, -1)
        return (mix @ heads / (num_heads // num_kv_heads)).reshape(-1, *weight.shape[1:])
