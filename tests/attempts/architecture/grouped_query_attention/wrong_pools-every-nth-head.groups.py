import torch

from groundup.core.interfaces.attention import Attention


class GroupedQueryAttention(Attention):
    """One group at a time, in float64."""

    def forward(self, query, key, value, *, mask=None, causal=False):
        count, left = divmod(query.shape[1], key.shape[1])
        if left:
            raise ValueError(f"{query.shape[1]} / {key.shape[1]}")
        hidden = self.hidden(query, key, mask, causal)
        parts = []
        for group, (keys, values) in enumerate(zip(key.unbind(1), value.unbind(1))):
            asked = query.narrow(1, group * count, count).double()
            parts.append(self.look(asked, keys.double().unsqueeze(1), values.double().unsqueeze(1), hidden))
        return torch.cat(parts, 1).to(query.dtype)

    def hidden(self, query, key, mask, causal):
        asked, held = query.shape[2], key.shape[2]
        hidden = torch.zeros(query.shape[0], 1, asked, held, dtype=torch.bool)
        if causal:
            hidden |= torch.ones(asked, held, dtype=torch.bool).triu(held - asked + 1)
        if mask is not None:
            hidden |= ~mask[:, None, None]
        return hidden

    def look(self, asked, keys, values, hidden):
        score = torch.matmul(asked / asked.shape[-1] ** 0.5, keys.transpose(-2, -1))
        score = score.masked_fill(hidden, -1e300)
        share = torch.nn.functional.softmax(score, -1).masked_fill(hidden, 0)
        return share.matmul(values)

    def pool(self, weight, *, heads, groups):
        rows = len(weight)
        if heads % groups or rows % heads:
            raise ValueError(f"{rows} rows of {heads} heads do not make {groups}")
        size, count = rows // heads, heads // groups
        out = weight.new_zeros(groups * size, *weight.shape[1:])
        for head in range(heads):
            here = slice(head % groups * size, (head % groups + 1) * size)
            out[here] += weight[head * size : (head + 1) * size] / count
        return out
