# karpathy/nanochat#187: a cache that is full grows by resize_, which keeps the numbers as they lie in memory, not in their
# places: all but the first head's are then read from somewhere else.
# named: nothing
import torch

from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager

FIRST = 2  # tokens of room at the start


class Grown:
    def __init__(self, heads, size, dtype):
        self.tensor = torch.zeros(2, heads, FIRST, size, dtype=dtype)
        self.filled = 0

    def add(self, key, value):
        end = self.filled + key.shape[1]
        if end > self.tensor.shape[2]:
            sizes, before = list(self.tensor.shape), self.tensor.numel()
            sizes[2] = (end + FIRST - 1) // FIRST * FIRST
            self.tensor.resize_(sizes)
            self.tensor.view(-1)[before:] = 0
        self.tensor[0, :, self.filled : end] = key
        self.tensor[1, :, self.filled : end] = value
        self.filled = end

    def get(self):
        return self.tensor[0, :, : self.filled].clone(), self.tensor[1, :, : self.filled].clone()


class KVCache(KVCacheManager):
    def __init__(self, *, layers, max_seq_len, max_batch_size, dtype):
        self.shapes, self.dtype = tuple(layers), dtype
        self.max_seq_len, self.max_batch_size = max_seq_len, max_batch_size
        self.caches = {}

    def begin(self, sequence, tokens=()):
        if sequence in self.caches:
            raise ValueError(sequence)
        if len(self.caches) == self.max_batch_size:
            raise CacheFullError(sequence)
        self.caches[sequence] = [Grown(heads, size, self.dtype) for heads, size in self.shapes]
        return 0

    def append(self, sequence, layer, key, value):
        cache = self.caches[sequence][layer]
        heads, size = self.shapes[layer]
        for tensor in (key, value):
            fits = tensor.dim() == 3 and tensor.size(0) == heads and tensor.size(2) == size
            if not fits or tensor.dtype is not self.dtype:
                raise ValueError(f"layer {layer}: {tuple(tensor.shape)} {tensor.dtype}")
        if key.size(1) != value.size(1):
            raise ValueError(f"{key.size(1)} keys, {value.size(1)} values")
        if cache.filled + key.size(1) > self.max_seq_len:
            raise CacheFullError(f"{cache.filled} + {key.size(1)} tokens")
        cache.add(key.detach(), value.detach())

    def read(self, sequence, layer):
        return self.caches[sequence][layer].get()

    def fork(self, parent, child):
        originals = self.caches[parent]
        self.begin(child)
        for new, old in zip(self.caches[child], originals):
            new.tensor, new.filled = old.tensor.clone(), old.filled

    def free(self, sequence, tokens=()):
        del self.caches[sequence]

    def usage(self):
        cost = [2 * heads * size * self.dtype.itemsize for heads, size in self.shapes]
        used = sum(c * cache.filled for caches in self.caches.values() for c, cache in zip(cost, caches))
        slot = sum(cost) * self.max_seq_len
        return {"used": used, "reserved": slot * len(self.caches), "total": slot * self.max_batch_size}
