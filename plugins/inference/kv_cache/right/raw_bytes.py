"""Stores raw bytes, and views them in their dtype when they are read."""

import torch

from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class KVCache(KVCacheManager):
    def __init__(self, *, layers, max_seq_len, max_batch_size, dtype):
        self.layers, self.capacity, self.sequences, self.dtype = layers, max_seq_len, max_batch_size, dtype
        self.cost = [2 * heads * size * dtype.itemsize for heads, size in layers]
        self.kept = {}

    def begin(self, sequence, tokens=()):
        if sequence in self.kept:
            raise ValueError("in use")
        if len(self.kept) == self.sequences:
            raise CacheFullError("all in use")
        self.kept[sequence] = [bytearray() for _ in self.layers]
        return 0

    def append(self, sequence, layer, key, value):
        kept, (heads, size) = self.kept[sequence][layer], self.layers[layer]
        if key.shape != value.shape or {key.dtype, value.dtype} != {self.dtype}:
            raise ValueError("keys unlike values, or of another dtype")
        if key.dim() != 3 or key.size(0) != heads or key.size(2) != size:
            raise ValueError("not of this layer")
        if len(kept) // self.cost[layer] + key.size(1) > self.capacity:
            raise CacheFullError("too many tokens")
        token = torch.stack([key, value]).detach().permute(2, 0, 1, 3).contiguous()
        kept += bytes(token.flatten().view(torch.uint8).tolist())

    def read(self, sequence, layer):
        kept, (heads, size) = self.kept[sequence][layer], self.layers[layer]
        if not kept:
            return torch.empty(heads, 0, size, dtype=self.dtype), torch.empty(heads, 0, size, dtype=self.dtype)
        flat = torch.tensor(list(kept), dtype=torch.uint8).view(self.dtype)
        key, value = flat.view(-1, 2, heads, size).permute(1, 2, 0, 3)
        return key, value

    def fork(self, parent, child):
        copies = [bytearray(kept) for kept in self.kept[parent]]
        self.begin(child)
        self.kept[child] = copies

    def free(self, sequence, tokens=()):
        del self.kept[sequence]

    def usage(self):
        slot = self.capacity * sum(self.cost)
        used = sum(len(kept) for layers in self.kept.values() for kept in layers)
        return {"used": used, "reserved": slot * len(self.kept), "total": slot * self.sequences}
