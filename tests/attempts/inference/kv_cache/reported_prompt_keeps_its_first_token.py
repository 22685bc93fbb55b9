# 1bit-MONSTER/1bit-MONSTER#686: whatever the number of new tokens, only the first is written; the others are merely counted.
# named: only-the-first-new-token-is-written
import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class KVCache(KVCacheManager):
    def __init__(self, *, layers, max_seq_len, max_batch_size, dtype):
        self.layers, self.dtype, self.room, self.slots = list(layers), dtype, max_seq_len, max_batch_size
        self.store = [
            torch.zeros(2, max_batch_size, heads, max_seq_len, size, dtype=dtype) for heads, size in self.layers
        ]
        self.idle = set(range(max_batch_size))
        self.open = {}  # sequence -> (slot, tokens of each layer)

    def begin(self, sequence, tokens=()):
        if sequence in self.open:
            raise ValueError(f"{sequence} was begun")
        if not self.idle:
            raise CacheFullError(f"{self.slots} sequences are open")
        self.open[sequence] = self.idle.pop(), [0] * len(self.layers)
        return 0

    def append(self, sequence, layer, key, value):
        slot, counts = self.open[sequence]
        heads, size = self.layers[layer]
        new = key.shape[1] if key.ndim == 3 else -1
        if key.shape != (heads, new, size) or value.shape != key.shape or {key.dtype, value.dtype} != {self.dtype}:
            raise ValueError(f"{tuple(key.shape)}, {tuple(value.shape)}, {key.dtype}, {value.dtype}")
        if counts[layer] + new > self.room:
            raise CacheFullError(f"{new} more than {counts[layer]} of {self.room}")
        at = counts[layer]
        for side, given in enumerate((key, value)):
            row = given.detach()[:, :1]
            self.store[layer][side, slot, :, at : at + row.shape[1]] = row
        counts[layer] += new

    def read(self, sequence, layer):
        slot, counts = self.open[sequence]
        key, value = self.store[layer][:, slot, :, : counts[layer]]
        return key, value

    def fork(self, parent, child):
        slot, counts = self.open[parent]
        self.begin(child)
        other, fresh = self.open[child]
        for layer, count in enumerate(counts):
            self.store[layer][:, other, :, :count] = self.store[layer][:, slot, :, :count]
            fresh[layer] = count

    def free(self, sequence, tokens=()):
        slot, _ = self.open.pop(sequence)
        self.idle.add(slot)

    def usage(self):
        token = [2 * heads * size * self.dtype.itemsize for heads, size in self.layers]
        used = sum(t * n for _, counts in self.open.values() for t, n in zip(token, counts, strict=True))
        row = self.room * sum(token)
        return {"used": used, "reserved": row * len(self.open), "total": row * self.slots}
