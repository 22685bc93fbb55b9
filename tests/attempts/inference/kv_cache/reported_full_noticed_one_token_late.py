# neuralmagic/deepsparse#1447: the cache was full only when it held more than its capacity, so that one token too many
# went in.
# named: one-token-too-many
from collections import defaultdict

import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class KVCache(KVCacheManager):
    def __init__(self, *, layers, max_seq_len, max_batch_size, dtype):
        self.spec, self.kind = list(layers), dtype
        self.capacity, self.most = max_seq_len, max_batch_size
        self.opened = []
        self.kept = defaultdict(list)  # (sequence, layer) -> pairs of (G, T, D)

    def begin(self, sequence, tokens=()):
        if sequence in self.opened:
            raise ValueError(f"{sequence} is in use")
        if len(self.opened) >= self.most:
            raise CacheFullError("too many sequences")
        self.opened.append(sequence)
        return 0

    def held(self, sequence, layer):
        return sum(key.shape[1] for key, _ in self.kept[sequence, layer])

    def append(self, sequence, layer, key, value):
        self.check_open(sequence)
        heads, size = self.spec[layer]
        for part in (key, value):
            if part.dim() != 3 or (part.shape[0], part.shape[2]) != (heads, size) or part.dtype != self.kind:
                raise ValueError(f"not ({heads}, T, {size}) of {self.kind}")
        if key.shape != value.shape:
            raise ValueError("keys and values differ in number")
        coming = key.shape[1]
        processed_before_the_last = self.held(sequence, layer) + coming - 1
        if coming and processed_before_the_last > self.capacity:
            raise CacheFullError(f"capacity is {self.capacity}")
        self.kept[sequence, layer].append((key.detach().clone(), value.detach().clone()))

    def read(self, sequence, layer):
        self.check_open(sequence)
        heads, size = self.spec[layer]
        empty = torch.zeros(heads, 0, size, dtype=self.kind)
        pairs = self.kept[sequence, layer]
        return tuple(torch.cat([empty, *(pair[side] for pair in pairs)], dim=1) for side in (0, 1))

    def fork(self, parent, child):
        self.check_open(parent)
        self.begin(child)
        for layer in range(len(self.spec)):
            self.kept[child, layer] = list(self.kept[parent, layer])

    def free(self, sequence, tokens=()):
        self.check_open(sequence)
        self.opened.remove(sequence)
        for layer in range(len(self.spec)):
            self.kept.pop((sequence, layer), None)

    def usage(self):
        used = slot = 0
        for layer, (heads, size) in enumerate(self.spec):
            token = 2 * heads * size * self.kind.itemsize
            slot += token * self.capacity
            used += token * sum(self.held(sequence, layer) for sequence in self.opened)
        return {"used": used, "reserved": slot * len(self.opened), "total": slot * self.most}

    def check_open(self, sequence):
        if sequence not in self.opened:
            raise KeyError(sequence)
