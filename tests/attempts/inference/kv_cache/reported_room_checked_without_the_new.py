# huggingface/candle#3035: room was looked for by what the cache held already, without the tokens that were coming.
# named: room-looked-for-without-the-new
import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class KVCache(KVCacheManager):
    def __init__(self, *, layers, max_seq_len, max_batch_size, dtype):
        self.layers = tuple(layers)
        self.max_seq_len, self.max_batch_size, self.dtype = max_seq_len, max_batch_size, dtype
        self.tensors = {}

    def begin(self, sequence, tokens=()):
        if sequence in self.tensors:
            raise ValueError("in use")
        if len(self.tensors) >= self.max_batch_size:
            raise CacheFullError("too many sequences")
        self.tensors[sequence] = [
            tuple(torch.empty((heads, 0, size), dtype=self.dtype) for _ in "kv") for heads, size in self.layers
        ]
        return 0

    def append(self, sequence, layer, key, value):
        old_key, old_value = self.tensors[sequence][layer]
        self.fits(layer, key, value)
        if key.shape[1] and old_key.shape[1] >= self.max_seq_len:
            raise CacheFullError(f"{old_key.shape[1]} tokens are all there is room for")
        self.tensors[sequence][layer] = (
            torch.cat((old_key, key.detach()), dim=1),
            torch.cat((old_value, value.detach()), dim=1),
        )

    def fits(self, layer, key, value):
        heads, size = self.layers[layer]
        if key.shape != value.shape or key.dim() != 3 or (key.shape[0], key.shape[2]) != (heads, size):
            raise ValueError(f"{key.shape} and {value.shape}")
        if key.dtype != self.dtype or value.dtype != self.dtype:
            raise ValueError(f"{key.dtype} and {value.dtype}")

    def read(self, sequence, layer):
        return self.tensors[sequence][layer]

    def fork(self, parent, child):
        held = self.tensors[parent]
        self.begin(child)
        self.tensors[child] = list(held)

    def free(self, sequence, tokens=()):
        self.tensors.pop(sequence)

    def usage(self):
        cost = [2 * heads * size * self.dtype.itemsize for heads, size in self.layers]
        slot = sum(cost) * self.max_seq_len
        used = sum(c * key.shape[1] for held in self.tensors.values() for c, (key, _) in zip(cost, held))
        return {"used": used, "reserved": slot * len(self.tensors), "total": slot * self.max_batch_size}
