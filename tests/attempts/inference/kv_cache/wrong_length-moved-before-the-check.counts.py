import torch

from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class KVCache(KVCacheManager):
    def __init__(self, *, layers, max_seq_len, max_batch_size, dtype):
        self.shapes, self.capacity, self.most, self.dtype = list(layers), max_seq_len, max_batch_size, dtype
        self.memory, self.count = {}, {}

    def begin(self, sequence, tokens=()):
        if sequence in self.memory:
            raise ValueError(f"{sequence} is open")
        if len(self.memory) == self.most:
            raise CacheFullError("no slot")
        self.memory[sequence] = [torch.zeros(2, g, self.capacity, d, dtype=self.dtype) for g, d in self.shapes]
        self.count[sequence] = dict.fromkeys(range(len(self.shapes)), 0)
        return 0

    def append(self, sequence, layer, key, value):
        memory, count = self.memory[sequence][layer], self.count[sequence]
        for new in (key, value):
            if new.dtype != self.dtype or new.dim() != 3 or new.shape != (memory.shape[1], key.shape[1], memory.shape[3]):
                raise ValueError("another shape or dtype")
        count[layer] += key.shape[1]
        if count[layer] > self.capacity:
            raise CacheFullError(f"{count[layer]} tokens")
        memory[:, :, count[layer] - key.shape[1] : count[layer]] = torch.stack((key, value)).detach()

    def read(self, sequence, layer):
        kept = self.memory[sequence][layer][:, :, : self.count[sequence][layer]]
        return kept[0], kept[1]

    def fork(self, parent, child):
        if parent not in self.memory:
            raise KeyError(parent)
        self.begin(child)
        for mine, theirs in zip(self.memory[child], self.memory[parent]):
            mine.copy_(theirs)
        self.count[child] = dict(self.count[parent])

    def free(self, sequence, tokens=()):
        del self.memory[sequence], self.count[sequence]

    def usage(self):
        byte = torch.tensor([], dtype=self.dtype).element_size()
        token = [2 * g * d * byte for g, d in self.shapes]
        used = sum(token[layer] * n for count in self.count.values() for layer, n in count.items())
        slot = sum(token) * self.capacity
        return {"used": used, "reserved": slot * len(self.memory), "total": slot * self.most}
