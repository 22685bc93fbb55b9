# TransformerLensOrg/TransformerLens#1260: the empty past was made in the default dtype, and joining it to half-precision
# keys turned these into float32.
# named: always-float32
import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class Entry:
    """The past of one layer."""

    def __init__(self, heads, size):
        self.past_keys = torch.empty(heads, 0, size)
        self.past_values = torch.empty(heads, 0, size)

    def append(self, keys, values):
        self.past_keys = torch.cat([self.past_keys, keys], dim=1)
        self.past_values = torch.cat([self.past_values, values], dim=1)

    def copy(self):
        new = Entry.__new__(Entry)
        new.past_keys, new.past_values = self.past_keys.clone(), self.past_values.clone()
        return new

    def __len__(self):
        return self.past_keys.shape[1]


class KVCache(KVCacheManager):
    def __init__(self, *, layers, max_seq_len, max_batch_size, dtype):
        self.spec, self.dtype = list(layers), dtype
        self.max_seq_len, self.max_batch_size = max_seq_len, max_batch_size
        self.entries = {}

    def begin(self, sequence, tokens=()):
        if sequence in self.entries:
            raise ValueError(f"{sequence} is in the cache")
        if len(self.entries) == self.max_batch_size:
            raise CacheFullError(f"{self.max_batch_size} sequences are")
        self.entries[sequence] = [Entry(*spec) for spec in self.spec]
        return 0

    def append(self, sequence, layer, key, value):
        entry = self.entries[sequence][layer]
        heads, size = self.spec[layer]
        count = key.shape[1] if key.dim() == 3 else -1
        if not key.dtype == value.dtype == self.dtype or not key.shape == value.shape == (heads, count, size):
            raise ValueError(f"layer {layer}: {key.shape}, {value.shape}, {key.dtype}, {value.dtype}")
        if len(entry) + count > self.max_seq_len:
            raise CacheFullError(f"{len(entry)} + {count}")
        entry.append(key.detach(), value.detach())

    def read(self, sequence, layer):
        entry = self.entries[sequence][layer]
        return entry.past_keys, entry.past_values

    def fork(self, parent, child):
        entries = self.entries[parent]
        self.begin(child)
        self.entries[child] = [entry.copy() for entry in entries]

    def free(self, sequence, tokens=()):
        del self.entries[sequence]

    def usage(self):
        byte = torch.empty((), dtype=self.dtype).element_size()
        costs = [2 * byte * heads * size for heads, size in self.spec]
        used = sum(cost * len(entry) for entries in self.entries.values() for cost, entry in zip(costs, entries))
        per_sequence = self.max_seq_len * sum(costs)
        return {
            "used": used,
            "reserved": per_sequence * len(self.entries),
            "total": per_sequence * self.max_batch_size,
        }
