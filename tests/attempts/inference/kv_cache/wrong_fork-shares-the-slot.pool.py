import torch

from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class KVCache(KVCacheManager):
    def __init__(self, *, layers, max_seq_len, max_batch_size, dtype):
        self.layers, self.C, self.N, self.dtype = layers, max_seq_len, max_batch_size, dtype
        self.pool = [torch.empty(max_batch_size * max_seq_len, 2, heads, size, dtype=dtype) for heads, size in layers]
        self.vacant, self.rows = list(range(max_batch_size)), {}

    def row(self, sequence):
        return self.rows[sequence][0]

    def begin(self, sequence, tokens=()):
        if sequence in self.rows:
            raise ValueError(sequence)
        if not self.vacant:
            raise CacheFullError(sequence)
        self.rows[sequence] = self.vacant.pop(), [0] * len(self.layers)
        return 0

    def append(self, sequence, layer, key, value):
        row = self.row(sequence)
        pool = self.pool[layer]
        for new in (key, value):
            if new.ndim != 3 or new.dtype != pool.dtype or new.transpose(0, 1).shape[1:] != pool.shape[2:]:
                raise ValueError("does not fit the layer")
        if key.shape[1] != value.shape[1]:
            raise ValueError("a key for each value")
        first, new = self.rows[sequence][1][layer], key.shape[1]
        if first + new > self.C:
            raise CacheFullError(f"{first} + {new}")
        with torch.no_grad():
            here = pool.narrow(0, row * self.C + first, new)
            here[:, 0].copy_(key.permute(1, 0, 2))
            here[:, 1].copy_(value.permute(1, 0, 2))
        self.rows[sequence][1][layer] += new

    def read(self, sequence, layer):
        row = self.row(sequence)
        part = self.pool[layer].narrow(0, row * self.C, self.rows[sequence][1][layer])
        key, value = part.permute(1, 2, 0, 3).unbind(0)
        return key, value

    def fork(self, parent, child):
        source = self.row(parent)
        self.begin(child)
        self.rows[child] = source, self.rows[parent][1].copy()

    def free(self, sequence, tokens=()):
        self.vacant.append(self.rows.pop(sequence)[0])

    def usage(self):
        each = torch.tensor([pool[:1].nbytes if len(pool) else 0 for pool in self.pool])
        used = sum(int(torch.tensor(counts) @ each) for _, counts in self.rows.values())
        return {"used": used, "reserved": int(len(self.rows) * self.C * each.sum()), "total": int(self.N * self.C * each.sum())}
