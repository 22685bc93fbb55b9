# MemTensor/MemOS#2301: the stored cache was handed to each continuation itself, not a copy, and every one of them
# appended to it.
# named: fork-is-another-name
import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class Past:
    def __init__(self, layers):
        self.tokens = [[] for _ in layers]  # of each layer: (key, value) of each token

    def add(self, layer, key, value):
        self.tokens[layer] += [(key[:, t].clone(), value[:, t].clone()) for t in range(key.shape[1])]


class KVCache(KVCacheManager):
    def __init__(self, *, layers, max_seq_len, max_batch_size, dtype):
        self.layers, self.dtype = list(layers), dtype
        self.longest, self.most = max_seq_len, max_batch_size
        self.pasts = {}

    def _enter(self, sequence, past):
        if sequence in self.pasts:
            raise ValueError(f"{sequence}?")
        if len(self.pasts) + 1 > self.most:
            raise CacheFullError(f"{self.most} are open")
        self.pasts[sequence] = past

    def begin(self, sequence, tokens=()):
        self._enter(sequence, Past(self.layers))
        return 0

    @torch.no_grad()
    def append(self, sequence, layer, key, value):
        past = self.pasts[sequence]
        heads, size = self.layers[layer]
        if key.dim() != 3 or value.dim() != 3 or key.shape != value.shape:
            raise ValueError(f"{key.shape} {value.shape}")
        if (key.shape[0], key.shape[2], key.dtype, value.dtype) != (heads, size, self.dtype, self.dtype):
            raise ValueError(f"{key.shape} {key.dtype} {value.dtype}")
        if len(past.tokens[layer]) + key.shape[1] > self.longest:
            raise CacheFullError(f"more than {self.longest}")
        past.add(layer, key, value)

    def read(self, sequence, layer):
        tokens = self.pasts[sequence].tokens[layer]
        if tokens:
            return tuple(torch.stack(part, dim=1) for part in zip(*tokens))
        heads, size = self.layers[layer]
        return torch.empty(heads, 0, size, dtype=self.dtype), torch.empty(heads, 0, size, dtype=self.dtype)

    def fork(self, parent, child):
        self._enter(child, self.pasts[parent])

    def free(self, sequence, tokens=()):
        self.pasts.pop(sequence)

    def usage(self):
        cost = [2 * h * d * self.dtype.itemsize for h, d in self.layers]
        used = sum(cost[n] * len(past.tokens[n]) for past in self.pasts.values() for n in range(len(cost)))
        return {
            "used": used,
            "reserved": len(self.pasts) * self.longest * sum(cost),
            "total": self.most * self.longest * sum(cost),
        }
