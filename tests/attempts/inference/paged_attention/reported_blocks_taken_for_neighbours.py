# MDK8888/vllmini#2: the slots of a prompt were counted on from the first place of a block, past its end, as if the
# blocks behind it in memory were the sequence's own.
# named: nothing
import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class PagedKVCache(KVCacheManager):
    def __init__(self, *, layers, block_size, num_blocks, dtype):
        self.layers = [(heads, size) for heads, size in layers]
        self.block_size, self.num_blocks, self.dtype = block_size, num_blocks, dtype
        slots = block_size * num_blocks
        self.key_cache = [torch.zeros(slots, heads, size, dtype=dtype) for heads, size in self.layers]
        self.value_cache = [torch.zeros(slots, heads, size, dtype=dtype) for heads, size in self.layers]
        self.unused = list(reversed(range(num_blocks)))
        self.holders = {}
        self.tables = {}
        self.sizes = {}

    def begin(self, sequence, tokens=()):
        if sequence in self.tables:
            raise ValueError(f"{sequence} has a table")
        self.tables[sequence], self.sizes[sequence] = [], {}
        return 0

    def append(self, sequence, layer, key, value):
        table = self.tables[sequence]
        heads, size = self.layers[layer]
        if not (key.dim() == value.dim() == 3 and key.shape == value.shape and key.shape[0] == heads and key.shape[2] == size):
            raise ValueError("shape")
        if not (key.dtype == value.dtype == self.dtype):
            raise ValueError("dtype")
        have, more = self.sizes[sequence].get(layer, 0), key.shape[1]
        if more == 0:
            return
        first, last = have // self.block_size, (have + more - 1) // self.block_size
        copies = [e for e in range(first, last + 1) if e < len(table) and len(self.holders[table[e]]) > 1]
        grow = max(0, last + 1 - len(table))
        if len(copies) + grow > len(self.unused):
            raise CacheFullError("no block")
        for e in copies:
            old, new = table[e], self.unused.pop()
            self.holders[new] = {sequence}
            self.holders[old].discard(sequence)
            for cache in (*self.key_cache, *self.value_cache):
                cache[new * self.block_size : (new + 1) * self.block_size] = cache[old * self.block_size : (old + 1) * self.block_size].clone()
            table[e] = new
        for _ in range(grow):
            table.append(self.unused.pop())
            self.holders[table[-1]] = {sequence}
        slot_mapping = torch.arange(more) + table[first] * self.block_size + have % self.block_size
        slot_mapping = slot_mapping % len(self.key_cache[layer])
        self.key_cache[layer][slot_mapping] = key.detach().transpose(0, 1)
        self.value_cache[layer][slot_mapping] = value.detach().transpose(0, 1)
        self.sizes[sequence][layer] = have + more

    def read(self, sequence, layer):
        table, n = self.tables[sequence], self.sizes[sequence].get(layer, 0)
        slots = torch.tensor([table[p // self.block_size] * self.block_size + p % self.block_size for p in range(n)], dtype=torch.long)
        return self.key_cache[layer][slots].transpose(0, 1), self.value_cache[layer][slots].transpose(0, 1)

    def fork(self, parent, child):
        table = self.tables[parent]
        self.begin(child)
        self.tables[child], self.sizes[child] = table + [], dict(self.sizes[parent])
        for block in table:
            self.holders[block].add(child)

    def free(self, sequence, tokens=()):
        for block in self.tables.pop(sequence):
            self.holders[block].remove(sequence)
            if not self.holders[block]:
                self.unused.append(block)
        self.sizes.pop(sequence)

    def usage(self):
        byte = torch.empty(0, dtype=self.dtype).element_size()
        price = [2 * byte * heads * size for heads, size in self.layers]
        filled = {}
        for sequence, table in self.tables.items():
            for layer, n in self.sizes[sequence].items():
                for p in range(n):
                    filled[table[p // self.block_size], p % self.block_size, layer] = price[layer]
        return {
            "used": sum(filled.values()),
            "reserved": (self.num_blocks - len(self.unused)) * self.block_size * sum(price),
            "total": self.num_blocks * self.block_size * sum(price),
        }

    def block_table(self, sequence):
        return [*self.tables[sequence]]

    def ref_counts(self):
        return [len(self.holders.get(block, ())) for block in range(self.num_blocks)]
