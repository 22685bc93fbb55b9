import torch

from groundup.core.interfaces.attention import Attention


class GroupedQueryAttention(Attention):
    """One group at a time, in float64."""

    def forward(self, query, key, value, *, attn_mask=None, causal=False):
        count, left = divmod(query.shape[1], key.shape[1])
        if left:
            raise ValueError(f"{query.shape[1]} / {key.shape[1]}")
        hidden = self.hidden(query, key, attn_mask, causal)
        parts = []
        for group, (keys, values) in enumerate(zip(key.unbind(1), value.unbind(1))):
            asked = query.narrow(1, group * count, count).double()
            parts.append(self.look(asked, keys.double().unsqueeze(1), values.double().unsqueeze(1), hidden))
        return torch.cat(parts, 1).to(query.dtype)

    def hidden(self, query, key, attn_mask, causal):
        asked, held = query.shape[2], key.shape[2]
        hidden = torch.zeros(query.shape[0], 1, asked, held, dtype=torch.bool)
        if causal:
            hidden |= torch.ones(asked, held, dtype=torch.bool).triu(held - asked + 1)
        if attn_mask is not None:
            hidden |= ~attn_mask[:, None, None]
        return hidden

    def look(self, asked, keys, values, hidden):
        score = torch.matmul(asked / asked.shape[-1] ** 0.5, keys.transpose(-2, -1))
        score = score.masked_fill(hidden, -1e300)
        share = torch.nn.functional.softmax(score, -1).masked_fill(hidden, 0)
        return share.matmul(values)

    def pool(self, weight, *, num_heads, num_kv_heads):
        rows = len(weight)
        if num_heads % num_kv_heads or rows % num_heads:
            raise ValueError(f"{rows} rows of {num_heads} heads do not make {num_kv_heads}")
        size, count = rows // num_heads, num_heads // num_kv_heads
        out = weight.new_zeros(num_kv_heads * size, *weight.shape[1:])
        for head in range(num_heads):
            here = slice(head // count * size, (head // count + 1) * size)
            out[here] += weight[head * size : (head + 1) * size] / count
        return out
