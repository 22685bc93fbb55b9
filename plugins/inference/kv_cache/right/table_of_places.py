"""Every token has a slot of its own in one pool; a sequence is a table of slots."""

import torch

from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class KVCache(KVCacheManager):
    def __init__(self, *, layers, max_seq_len, max_batch_size, dtype):
        self.layers, self.capacity, self.sequences, self.dtype = layers, max_seq_len, max_batch_size, dtype
        self.keys = [torch.full((h, max_batch_size * max_seq_len, d), torch.nan, dtype=dtype) for h, d in layers]
        self.values = [keys.clone() for keys in self.keys]
        self.vacant = [list(range(max_batch_size * max_seq_len)) for _ in layers]
        self.table = {}

    def begin(self, sequence, tokens=()):
        if sequence in self.table:
            raise ValueError("open")
        if self.sequences - len(self.table) < 1:
            raise CacheFullError("full")
        self.table[sequence] = [[] for _ in self.layers]
        return 0

    def append(self, sequence, layer, key, value):
        places, (heads, size) = self.table[sequence][layer], self.layers[layer]
        for x in (key, value):
            if x.dtype != self.dtype or x.shape != (heads, key.shape[-2] if key.dim() > 1 else -1, size):
                raise ValueError("unfit")
        if len(places) + key.shape[1] > self.capacity:
            raise CacheFullError("unfit")
        new = [self.vacant[layer].pop(0) for _ in range(key.shape[1])]
        index = torch.tensor(new, dtype=torch.long)
        self.keys[layer].index_copy_(1, index, key.detach())
        self.values[layer].index_copy_(1, index, value.detach())
        places += new

    def read(self, sequence, layer):
        places = torch.tensor(self.table[sequence][layer], dtype=torch.long)
        return self.keys[layer].index_select(1, places), self.values[layer].index_select(1, places)

    def fork(self, parent, child):
        self.table[parent]
        self.begin(child)
        for layer in range(len(self.layers)):
            self.append(child, layer, *self.read(parent, layer))

    def free(self, sequence, tokens=()):
        for vacant, places in zip(self.vacant, self.table.pop(sequence)):
            vacant.extend(places)

    def usage(self):
        cost = [2 * h * d * self.dtype.itemsize for h, d in self.layers]
        used = sum(c * len(places) for table in self.table.values() for c, places in zip(cost, table))
        slot = self.capacity * sum(cost)
        return dict(used=used, reserved=slot * len(self.table), total=slot * self.sequences)
