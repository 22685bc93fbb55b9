import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class Pool:
    """Block 0 is the null block: nobody is given it, and it counts for nothing."""

    def __init__(self, num_blocks):
        self.null_block, self.refs = 0, [0] * num_blocks
        self.free = list(range(1, num_blocks))

    def take(self):
        block = self.free.pop(0)
        self.refs[block] = 1
        return block

    def drop(self, block):
        self.refs[block] -= 1
        if self.refs[block] == 0:
            self.free.append(block)


class PagedKVCache(KVCacheManager):
    def __init__(self, *, layers, block_size, num_blocks, dtype):
        self.layers, self.size, self.dtype = list(layers), block_size, dtype
        self.pool = Pool(num_blocks)
        self.memory = [torch.zeros(2, num_blocks, block_size, g, d, dtype=dtype) for g, d in self.layers]
        self.tables, self.lengths = {}, {}

    def begin(self, sequence, tokens=()):
        if sequence in self.tables:
            raise ValueError(sequence)
        self.tables[sequence], self.lengths[sequence] = [], [0] * len(self.layers)
        return 0

    def append(self, sequence, layer, key, value):
        table, start = self.tables[sequence], self.lengths[sequence][layer]
        g, d = self.layers[layer]
        if key.dim() != 3 or key.shape != (g, key.shape[1], d) or value.shape != key.shape:
            raise ValueError(f"{key.shape} {value.shape}")
        if key.dtype != self.dtype or value.dtype != self.dtype:
            raise ValueError(f"{key.dtype} {value.dtype}")
        stop = start + key.shape[1]
        entries = sorted({p // self.size for p in range(start, stop)})
        wanted = [e for e in entries if e >= len(table) or self.pool.refs[table[e]] > 1]
        if len(wanted) > len(self.pool.free):
            raise CacheFullError(f"{len(wanted)} wanted")
        for e in wanted:
            block = self.pool.take()
            if e == len(table):
                table.append(block)
            else:
                for memory in self.memory:
                    memory[:, block] = memory[:, table[e]]
                self.pool.drop(table[e])
                table[e] = block
        for t, p in enumerate(range(start, stop)):
            spot = self.memory[layer][:, table[p // self.size], p % self.size]
            spot[0], spot[1] = key[:, t].detach(), value[:, t].detach()
        self.lengths[sequence][layer] = stop

    def read(self, sequence, layer):
        both = self.memory[layer][:, self.tables[sequence]].flatten(1, 2)[:, : self.lengths[sequence][layer]]
        keys, values = both.transpose(1, 2)
        return keys, values

    def fork(self, parent, child):
        table = self.tables[parent]
        self.begin(child)
        self.tables[child], self.lengths[child] = table.copy(), self.lengths[parent].copy()
        for block in table:
            self.pool.refs[block] += 1

    def free(self, sequence, tokens=()):
        for block in self.tables.pop(sequence):
            self.pool.drop(block)
        del self.lengths[sequence]

    def usage(self):
        cost = [2 * g * d * self.dtype.itemsize for g, d in self.layers]
        held = {
            (table[p // self.size], p % self.size, layer)
            for sequence, table in self.tables.items()
            for layer, n in enumerate(self.lengths[sequence])
            for p in range(n)
        }
        block = self.size * sum(cost)
        return {
            "used": sum(cost[layer] for *_, layer in held),
            "reserved": block * sum(map(bool, self.pool.refs)),
            "total": block * len(self.pool.refs),
        }

    def block_table(self, sequence):
        return self.tables[sequence].copy()

    def ref_counts(self):
        return self.pool.refs.copy()
