"""A list of single tokens for each layer of each sequence."""

import torch

from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class KVCache(KVCacheManager):
    def __init__(self, *, layers, max_seq_len, max_batch_size, dtype):
        self.spec = dict(enumerate(layers))
        self.capacity, self.sequences, self.dtype = max_seq_len, max_batch_size, dtype
        self.store = {}  # (sequence, layer) -> [(key, value) of each token]
        self.open = set()

    def begin(self, sequence, tokens=()):
        if sequence in self.open:
            raise ValueError("open")
        if len(self.open) == self.sequences:
            raise CacheFullError("no room")
        self.open.add(sequence)
        self.store.update({(sequence, layer): [] for layer in self.spec})
        return 0

    def append(self, sequence, layer, key, value):
        if sequence not in self.open:
            raise KeyError(sequence)
        heads, size = self.spec[layer]
        expected = (heads, key.shape[1] if key.ndim > 1 else 0, size)
        for given in (key, value):
            if tuple(given.shape) != expected or given.dtype is not self.dtype:
                raise ValueError(f"{tuple(given.shape)} {given.dtype}")
        held = self.store[sequence, layer]
        if len(held) + expected[1] > self.capacity:
            raise CacheFullError("too long")
        held.extend((key[:, t].detach().clone(), value[:, t].detach().clone()) for t in range(expected[1]))

    def read(self, sequence, layer):
        if sequence not in self.open:
            raise KeyError(sequence)
        held = self.store[sequence, layer]
        if not held:
            heads, size = self.spec[layer]
            return torch.zeros(heads, 0, size, dtype=self.dtype), torch.zeros(heads, 0, size, dtype=self.dtype)
        keys, values = zip(*held)
        return torch.stack(keys, dim=1), torch.stack(values, dim=1)

    def fork(self, parent, child):
        if parent not in self.open:
            raise KeyError(parent)
        self.begin(child)
        for layer in self.spec:
            self.store[child, layer] = self.store[parent, layer].copy()

    def free(self, sequence, tokens=()):
        self.open.remove(sequence)
        for layer in self.spec:
            del self.store[sequence, layer]

    def usage(self):
        byte = torch.finfo(self.dtype).bits // 8
        cost = {layer: 2 * heads * size * byte for layer, (heads, size) in self.spec.items()}
        used = sum(cost[layer] * len(held) for (_, layer), held in self.store.items())
        whole = self.capacity * sum(cost.values())
        return {"used": used, "reserved": whole * len(self.open), "total": whole * self.sequences}
