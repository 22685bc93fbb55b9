# jranaraki/vllm-fit#2: the bytes of a token were the heads times the width of all heads: the heads went in twice.
# named: heads-counted-twice
import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


def bytes_per_token(layers, dtype):
    total = []
    for heads, size in layers:
        hidden = heads * size
        total.append(2 * heads * hidden * torch.finfo(dtype).bits // 8)
    return total


class KVCache(KVCacheManager):
    def __init__(self, *, layers, max_seq_len, max_batch_size, dtype):
        self.layers, self.dtype, self.room = list(layers), dtype, max_seq_len
        self.k = [torch.zeros(max_batch_size, max_seq_len, h, d, dtype=dtype) for h, d in self.layers]
        self.v = [torch.zeros(max_batch_size, max_seq_len, h, d, dtype=dtype) for h, d in self.layers]
        self.free_rows = set(range(max_batch_size))
        self.rows = {}
        self.lengths = torch.zeros(max_batch_size, len(self.layers), dtype=torch.long)

    def begin(self, sequence, tokens=()):
        if sequence in self.rows:
            raise ValueError(sequence)
        if len(self.free_rows) == 0:
            raise CacheFullError("rows")
        row = self.free_rows.pop()
        self.rows[sequence] = row
        self.lengths[row] = 0
        return 0

    def append(self, sequence, layer, key, value):
        row = self.rows[sequence]
        h, d = self.layers[layer]
        right = key.dim() == 3 and key.shape[0] == h and key.shape[2] == d and value.shape == key.shape
        if not right or key.dtype is not self.dtype or value.dtype is not self.dtype:
            raise ValueError(f"layer {layer}")
        n = int(self.lengths[row, layer])
        m = n + key.shape[1]
        if m > self.room:
            raise CacheFullError("tokens")
        self.k[layer][row, n:m].copy_(key.detach().permute(1, 0, 2))
        self.v[layer][row, n:m].copy_(value.detach().permute(1, 0, 2))
        self.lengths[row, layer] = m

    def read(self, sequence, layer):
        row = self.rows[sequence]
        n = int(self.lengths[row, layer])
        return self.k[layer][row, :n].permute(1, 0, 2), self.v[layer][row, :n].permute(1, 0, 2)

    def fork(self, parent, child):
        source = self.rows[parent]
        self.begin(child)
        target = self.rows[child]
        for memory in self.k + self.v + [self.lengths]:
            memory[target] = memory[source]

    def free(self, sequence, tokens=()):
        self.free_rows.add(self.rows.pop(sequence))

    def usage(self):
        cost = torch.tensor(bytes_per_token(self.layers, self.dtype))
        used = sum(int((self.lengths[row] * cost).sum()) for row in self.rows.values())
        slot = self.room * int(cost.sum())
        return {
            "used": used,
            "reserved": slot * len(self.rows),
            "total": slot * (len(self.rows) + len(self.free_rows)),
        }
