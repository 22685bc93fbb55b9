# openai/gpt-2#49: the scores were scaled by the size of the values, where the formula has the size of the keys.
# named: divided-by-the-root-of-the-value-size
import math
import torch
from groundup.core.interfaces.attention import Attention


def visible(queries, keys, mask, causal):
    """(B or 1, queries, keys): who may look where."""
    seen = torch.full((1, queries, keys), True)
    if causal:
        seen = torch.ones(queries, keys).tril(keys - queries).bool()[None]
    return seen if mask is None else seen & mask[:, None]


class GroupedQueryAttention(Attention):
    def forward(self, query, key, value, *, attn_mask=None, causal=False):
        heads, groups = query.shape[1], key.shape[1]
        if heads % groups != 0:
            raise ValueError(f"H={heads}, G={groups}")
        seen = visible(query.shape[2], key.shape[2], attn_mask, causal)
        outputs = []
        for head in range(heads):
            group = head // (heads // groups)
            outputs.append(self.one_head(query[:, head], key[:, group], value[:, group], seen))
        return torch.stack(outputs, dim=1)

    @staticmethod
    def one_head(q, k, v, seen):
        weight = torch.bmm(q, k.transpose(1, 2)) * (1.0 / math.sqrt(v.shape[-1]))
        weight = weight.masked_fill(~seen, torch.finfo(weight.dtype).min)
        weight = torch.softmax(weight, -1).masked_fill(~seen, 0)
        return torch.bmm(weight, v)

    def pool(self, weight, *, num_heads, num_kv_heads):
        if num_heads % num_kv_heads:
            raise ValueError(f"{num_heads} heads to {num_kv_heads}")
        if len(weight) % num_heads:
            raise ValueError(f"{len(weight)} rows for {num_heads} heads")
        heads = weight.chunk(num_heads) if num_heads > 1 else [weight]
        size = num_heads // num_kv_heads
        return torch.cat([sum(heads[i + 1 : i + size], heads[i]) / size for i in range(0, num_heads, size)])
