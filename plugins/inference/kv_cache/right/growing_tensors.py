"""Nothing is preallocated: each layer of a sequence is one tensor that grows."""

import torch

from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class Row:
    def __init__(self, layers, dtype):
        self.past = [torch.empty(2, heads, 0, size, dtype=dtype) for heads, size in layers]

    def count(self, layer):
        return self.past[layer].shape[2]


class KVCache(KVCacheManager):
    def __init__(self, *, layers, max_seq_len, max_batch_size, dtype):
        self.layers, self.capacity, self.most, self.dtype = tuple(layers), max_seq_len, max_batch_size, dtype
        self.rows = {}

    def begin(self, sequence, tokens=()):
        if sequence in self.rows:
            raise ValueError(sequence)
        if len(self.rows) >= self.most:
            raise CacheFullError(sequence)
        self.rows[sequence] = Row(self.layers, self.dtype)
        return 0

    def append(self, sequence, layer, key, value):
        row = self.rows[sequence]
        heads, size = self.layers[layer]
        if key.shape != value.shape or key.dim() != 3 or key.shape[::2] != (heads, size):
            raise ValueError("shape")
        if not key.dtype == value.dtype == self.dtype:
            raise ValueError("dtype")
        if row.count(layer) + key.shape[1] > self.capacity:
            raise CacheFullError(sequence)
        row.past[layer] = torch.cat([row.past[layer], torch.stack([key, value]).detach()], dim=2)

    def read(self, sequence, layer):
        return tuple(self.rows[sequence].past[layer])

    def fork(self, parent, child):
        row = self.rows[parent]
        self.begin(child)
        self.rows[child].past = [past.clone() for past in row.past]

    def free(self, sequence, tokens=()):
        self.rows.pop(sequence)

    def usage(self):
        used = sum(past.nbytes for row in self.rows.values() for past in row.past)
        slot = self.capacity * sum(2 * heads * size for heads, size in self.layers) * torch.zeros(1, dtype=self.dtype).nbytes
        return {"used": used, "reserved": slot * len(self.rows), "total": slot * self.most}
