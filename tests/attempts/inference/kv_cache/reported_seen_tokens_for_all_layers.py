# fla-org/flash-linear-attention#747: one counter of tokens served all layers; the first moved it, and those behind took
# the moved one for the length that they had before.
# named: first-layer-counts-for-all
import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class Layer:
    def __init__(self, sequences, heads, length, size, dtype):
        self.keys = torch.zeros(sequences, heads, length, size, dtype=dtype)
        self.values = torch.zeros_like(self.keys)

    @property
    def token_bytes(self):
        return 2 * self.keys.element_size() * self.keys.shape[1] * self.keys.shape[3]


class KVCache(KVCacheManager):
    def __init__(self, *, layers, max_seq_len, max_batch_size, dtype):
        self.memory = [Layer(max_batch_size, heads, max_seq_len, size, dtype) for heads, size in layers]
        self.limit, self.rows = max_seq_len, max_batch_size
        self.row_of, self.seen = {}, {}

    def begin(self, sequence, tokens=()):
        if sequence in self.row_of:
            raise ValueError(f"{sequence} is open")
        vacant = set(range(self.rows)) - set(self.row_of.values())
        if not vacant:
            raise CacheFullError("no row is vacant")
        self.row_of[sequence], self.seen[sequence] = min(vacant), 0
        return 0

    def append(self, sequence, layer, key, value):
        row, memory = self.row_of[sequence], self.memory[layer]
        for given in (key, value):
            if given.ndim != 3 or given.dtype != memory.keys.dtype:
                raise ValueError(f"{given.shape} {given.dtype}")
            if given.shape != (memory.keys.shape[1], key.shape[1], memory.keys.shape[3]):
                raise ValueError(f"{given.shape}")
        first = self.seen[sequence]
        last = first + key.shape[1]
        if last > self.limit:
            raise CacheFullError(f"{last} tokens")
        if layer == 0:
            self.seen[sequence] = last
        with torch.no_grad():
            memory.keys[row, :, first:last] = key
            memory.values[row, :, first:last] = value

    def read(self, sequence, layer):
        row, seen = self.row_of[sequence], self.seen[sequence]
        return self.memory[layer].keys[row, :, :seen], self.memory[layer].values[row, :, :seen]

    def fork(self, parent, child):
        row = self.row_of[parent]
        self.begin(child)
        for memory in self.memory:
            memory.keys[self.row_of[child]] = memory.keys[row]
            memory.values[self.row_of[child]] = memory.values[row]
        self.seen[child] = self.seen[parent]

    def free(self, sequence, tokens=()):
        del self.row_of[sequence], self.seen[sequence]

    def usage(self):
        one = sum(memory.token_bytes for memory in self.memory)
        return {
            "used": one * sum(self.seen.values()),
            "reserved": one * self.limit * len(self.row_of),
            "total": one * self.limit * self.rows,
        }
