# esceptico/perceiver-io#9: the scores were divided by a scale that was one over the root already, so they grew by it.
# named: nothing
import torch
from groundup.core.interfaces.attention import Attention


class GroupedQueryAttention(Attention):
    def forward(self, query, key, value, *, attn_mask=None, causal=False):
        n_rep = self.share(query.shape[1], key.shape[1])
        scale = query.shape[-1] ** -0.5
        q = query.unflatten(1, (-1, n_rep)) / scale
        scores = q @ key.unsqueeze(2).transpose(-2, -1)
        hidden = torch.zeros(scores.shape, dtype=torch.bool)
        if causal:
            hidden |= ~torch.ones(scores.shape[-2:], dtype=torch.bool).tril(key.shape[2] - query.shape[2])
        if attn_mask is not None:
            hidden |= ~attn_mask[:, None, None, None, :]
        scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
        attention = scores.softmax(dim=-1).masked_fill(hidden, 0.0)
        return (attention @ value.unsqueeze(2)).flatten(1, 2)

    @staticmethod
    def share(many, few):
        if many % few:
            raise ValueError(f"{many} is no multiple of {few}")
        return many // few

    def pool(self, weight, *, num_heads, num_kv_heads):
        n_rep, head_dim = self.share(num_heads, num_kv_heads), self.share(weight.shape[0], num_heads)
        pooled = torch.zeros_like(weight[: num_kv_heads * head_dim])
        for head in range(num_heads):
            g = head // n_rep
            pooled[g * head_dim : (g + 1) * head_dim] += weight[head * head_dim : (head + 1) * head_dim] / n_rep
        return pooled
