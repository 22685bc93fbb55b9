import collections

import torch

from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class PagedKVCache(KVCacheManager):
    def __init__(self, *, layers, block_size, num_blocks, dtype):
        self.layers, self.size, self.blocks, self.dtype = layers, block_size, num_blocks, dtype
        self.pool = {(layer, what): torch.zeros(num_blocks * block_size, g, d, dtype=dtype) for layer, (g, d) in enumerate(layers) for what in "kv"}
        self.queue = collections.deque(range(num_blocks))
        self.count = collections.Counter()
        self.map, self.filled = {}, collections.Counter()

    def begin(self, sequence, tokens=()):
        if sequence in self.map:
            raise ValueError(sequence)
        self.map[sequence] = torch.empty(0, dtype=torch.long)
        return 0

    def slots(self, sequence, first, behind):
        at = torch.arange(first, behind)
        return self.map[sequence][at.div(self.size, rounding_mode="floor")] * self.size + at.remainder(self.size)

    def rows(self, block):
        return slice(block * self.size, (block + 1) * self.size)

    def append(self, sequence, layer, key, value):
        mine, (g, d) = self.map[sequence], self.layers[layer]
        if not (key.ndim == value.ndim == 3 and key.shape == value.shape == (g, key.shape[1], d) and key.dtype == value.dtype == self.dtype):
            raise ValueError("does not fit")
        first = self.filled[sequence, layer]
        behind = first + key.shape[1]
        if first == behind:
            return
        low, high = first // self.size, (behind - 1) // self.size + 1
        twins = [n for n in range(low, min(high, len(mine))) if self.count[int(mine[n])] > 1]
        more = max(high - len(mine), 0)
        if len(twins) + more > len(self.queue):
            raise CacheFullError(sequence)
        mine = mine.clone()
        for n in twins:
            old, new = int(mine[n]), self.queue.popleft()
            for memory in self.pool.values():
                memory[self.rows(new)] = memory[self.rows(old)]
            self.count[old] -= 1
            self.count[new] = 1
            mine[n] = new
        fresh = [self.queue.popleft() for _ in range(more)]
        self.count.update(fresh)
        self.map[sequence] = torch.cat([mine, torch.tensor(fresh, dtype=torch.long)])
        at = self.slots(sequence, first, behind)
        for what, new in zip("kv", (key, value)):
            self.pool[layer, what].index_copy_(0, at, new.detach().permute(1, 0, 2))
        self.filled[sequence, layer] = behind

    def read(self, sequence, layer):
        at = self.slots(sequence, 0, self.filled[sequence, layer])
        return tuple(self.pool[layer, what].index_select(0, at).permute(1, 0, 2) for what in "kv")

    def fork(self, parent, child):
        mine = self.map[parent]
        self.begin(child)
        self.map[child] = mine
        self.count.update(mine.tolist())
        for layer in range(len(self.layers)):
            self.filled[child, layer] = self.filled[parent, layer]

    def free(self, sequence, tokens=()):
        for block in self.map.pop(sequence).tolist():
            self.count[block] -= 1
            if not self.count[block]:
                self.queue.append(block)
        for layer in range(len(self.layers)):
            del self.filled[sequence, layer]

    def usage(self):
        each = [2 * g * d * torch.finfo(self.dtype).bits // 8 for g, d in self.layers]
        used = sum(
            price * len(set().union(*(self.slots(sequence, 0, self.filled[sequence, layer]).tolist() for sequence in self.map)))
            for layer, price in enumerate(each)
        )
        block = self.size * sum(each)
        return {"used": used, "reserved": block * (self.blocks - len(self.queue)), "total": block * self.blocks}

    def block_table(self, sequence):
        return self.map[sequence].tolist()

    def ref_counts(self):
        return [self.count[block] for block in range(self.blocks)]
