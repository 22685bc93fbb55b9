# Avarok-Cybersecurity/atlas#1193: only full blocks got a further reference; the partly filled one at the end went into the
# other table without, so that freeing it takes the reference of its first owner.
# named: fork-counts-no-owner-of-the-last-block
import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class PagedKVCache(KVCacheManager):
    def __init__(self, *, layers, block_size, num_blocks, dtype):
        self.geometry, self.width, self.count, self.type = list(layers), block_size, num_blocks, dtype
        rows = num_blocks * block_size
        self.k = [torch.zeros(rows, heads, size, dtype=dtype) for heads, size in self.geometry]
        self.v = [torch.zeros(rows, heads, size, dtype=dtype) for heads, size in self.geometry]
        self.unused = list(range(num_blocks))
        self.refs = {block: 0 for block in range(num_blocks)}
        self.table, self.length = {}, {}

    def begin(self, sequence, tokens=()):
        if sequence in self.table:
            raise ValueError(sequence)
        self.table[sequence] = []
        self.length[sequence] = {layer: 0 for layer in range(len(self.geometry))}
        return 0

    def fork(self, parent, child):
        blocks = self.table[parent]
        self.begin(child)
        self.table[child] = list(blocks)
        self.length[child] = dict(self.length[parent])
        full = max(self.length[parent].values(), default=0) // self.width
        for block in blocks[:full]:
            self.refs[block] += 1

    def append(self, sequence, layer, key, value):
        table = self.table[sequence]
        wanted = (self.geometry[layer][0], key.shape[1] if key.dim() == 3 else 0, self.geometry[layer][1])
        if tuple(key.shape) != wanted or tuple(value.shape) != wanted:
            raise ValueError(f"{tuple(key.shape)}, {tuple(value.shape)}")
        if key.dtype != self.type or value.dtype != self.type:
            raise ValueError(f"{key.dtype}, {value.dtype}")
        begin = self.length[sequence][layer]
        positions = torch.arange(begin, begin + wanted[1])
        entries = torch.unique(positions // self.width).tolist()
        shared = [e for e in entries if e < len(table) and self.refs[table[e]] > 1]
        fresh = [e for e in entries if e >= len(table)]
        if len(self.unused) < len(shared) + len(fresh):
            raise CacheFullError(f"{len(self.unused)} left")
        for e in shared:
            old, new = table[e], self.grab()
            for memory in (*self.k, *self.v):
                blocks = memory.view(self.count, self.width, *memory.shape[1:])
                blocks[new] = blocks[old]
            self.refs[old] -= 1
            table[e] = new
        table += [self.grab() for _ in fresh]
        if wanted[1]:
            slots = torch.tensor(table)[positions // self.width] * self.width + positions % self.width
            self.k[layer][slots] = key.detach().transpose(0, 1)
            self.v[layer][slots] = value.detach().transpose(0, 1)
        self.length[sequence][layer] += wanted[1]

    def grab(self):
        block = self.unused.pop(0)
        self.refs[block] = 1
        return block

    def read(self, sequence, layer):
        positions = torch.arange(self.length[sequence][layer])
        table = torch.tensor(self.table[sequence], dtype=torch.long)
        slots = table[positions // self.width] * self.width + positions % self.width
        return self.k[layer][slots].transpose(0, 1), self.v[layer][slots].transpose(0, 1)

    def free(self, sequence, tokens=()):
        for block in self.table.pop(sequence):
            self.refs[block] -= 1
            if self.refs[block] == 0:
                self.unused.append(block)
        del self.length[sequence]

    def usage(self):
        price = [2 * heads * size * self.type.itemsize for heads, size in self.geometry]
        spots = set()
        for sequence, table in self.table.items():
            for layer, length in self.length[sequence].items():
                spots |= {(layer, table[p // self.width], p % self.width) for p in range(length)}
        taken = {block for table in self.table.values() for block in table}
        return {
            "used": sum(price[layer] for layer, _, _ in spots),
            "reserved": len(taken) * self.width * sum(price),
            "total": self.count * self.width * sum(price),
        }

    def block_table(self, sequence):
        return list(self.table[sequence])

    def ref_counts(self):
        return [self.refs[block] for block in range(self.count)]
