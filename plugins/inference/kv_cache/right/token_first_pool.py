"""One tensor a layer for keys and values together, tokens first; it is never cleared or initialised."""

import torch

from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class KVCache(KVCacheManager):
    def __init__(self, *, layers, max_seq_len, max_batch_size, dtype):
        self.layers, self.C, self.N, self.dtype = layers, max_seq_len, max_batch_size, dtype
        self.pool = [torch.empty(max_batch_size * max_seq_len, 2, heads, size, dtype=dtype) for heads, size in layers]
        self.owner = [None] * max_batch_size
        self.filled = torch.zeros(max_batch_size, len(layers), dtype=torch.long)

    def row(self, sequence):
        if sequence is None or sequence not in self.owner:
            raise KeyError(sequence)
        return self.owner.index(sequence)

    def begin(self, sequence, tokens=()):
        if sequence in self.owner:
            raise ValueError(sequence)
        if None not in self.owner:
            raise CacheFullError(sequence)
        row = self.owner.index(None)
        self.owner[row] = sequence
        self.filled[row] = 0
        return 0

    def append(self, sequence, layer, key, value):
        row = self.row(sequence)
        pool = self.pool[layer]
        for new in (key, value):
            if new.ndim != 3 or new.dtype != pool.dtype or new.transpose(0, 1).shape[1:] != pool.shape[2:]:
                raise ValueError("does not fit the layer")
        if key.shape[1] != value.shape[1]:
            raise ValueError("a key for each value")
        first, new = int(self.filled[row, layer]), key.shape[1]
        if first + new > self.C:
            raise CacheFullError(f"{first} + {new}")
        with torch.no_grad():
            here = pool.narrow(0, row * self.C + first, new)
            here[:, 0].copy_(key.permute(1, 0, 2))
            here[:, 1].copy_(value.permute(1, 0, 2))
        self.filled[row, layer] += new

    def read(self, sequence, layer):
        row = self.row(sequence)
        part = self.pool[layer].narrow(0, row * self.C, int(self.filled[row, layer]))
        key, value = part.permute(1, 2, 0, 3).unbind(0)
        return key, value

    def fork(self, parent, child):
        source = self.row(parent)
        self.begin(child)
        target = self.row(child)
        for pool in self.pool:
            slots = pool.view(self.N, self.C, *pool.shape[1:])
            slots[target] = slots[source]
        self.filled[target] = self.filled[source]

    def free(self, sequence, tokens=()):
        self.owner[self.row(sequence)] = None

    def usage(self):
        each = torch.tensor([pool[:1].nbytes if len(pool) else 0 for pool in self.pool])
        busy = torch.tensor([owner is not None for owner in self.owner])
        used = int((self.filled[busy] * each).sum())
        return {"used": used, "reserved": int(busy.sum() * self.C * each.sum()), "total": int(self.N * self.C * each.sum())}
