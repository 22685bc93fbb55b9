# Wenyueh/MinivLLM#83: the tokens in the last block were the length modulo the block's size, 0 where it is full, so the
# token that fills a block was written one place in front of it.
# named: nothing
import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class PagedKVCache(KVCacheManager):
    def __init__(self, *, layers, block_size, num_blocks, dtype):
        self.spec, self.size, self.count, self.dtype = list(layers), block_size, num_blocks, dtype
        self.flat = [torch.zeros(2, h, num_blocks * block_size, d, dtype=dtype) for h, d in self.spec]
        self.vacant = list(range(num_blocks))
        self.owners = [0] * num_blocks
        self.tables, self.lengths = {}, {}

    def begin(self, sequence, tokens=()):
        if sequence in self.tables:
            raise ValueError("open")
        self.tables[sequence] = []
        self.lengths[sequence] = [0] * len(self.spec)
        return 0

    def append(self, sequence, layer, key, value):
        table, lengths = self.tables[sequence], self.lengths[sequence]
        h, d = self.spec[layer]
        for new in (key, value):
            if new.dim() != 3 or new.shape[0] != h or new.shape[2] != d or new.dtype != self.dtype:
                raise ValueError("shape or dtype")
        if key.shape[1] != value.shape[1]:
            raise ValueError("tokens")
        places = {n // self.size for n in range(lengths[layer], lengths[layer] + key.shape[1])}
        wanted = sum(1 for p in places if p >= len(table) or self.owners[table[p]] > 1)
        if wanted > len(self.vacant):
            raise CacheFullError(f"{wanted} blocks")
        for p in sorted(places):
            if p >= len(table):
                table.append(self.take())
            elif self.owners[table[p]] > 1:
                old, new = table[p], self.take()
                for memory in self.flat:
                    memory[:, :, new * self.size : (new + 1) * self.size] = memory[:, :, old * self.size : (old + 1) * self.size]
                self.owners[old] -= 1
                table[p] = new
        for t in range(key.shape[1]):
            lengths[layer] += 1
            block = table[(lengths[layer] - 1) // self.size]
            last_block_num_tokens = lengths[layer] % self.size
            slot = block * self.size + last_block_num_tokens - 1
            self.flat[layer][0, :, slot] = key[:, t].detach()
            self.flat[layer][1, :, slot] = value[:, t].detach()

    def take(self):
        block = self.vacant.pop(0)
        self.owners[block] = 1
        return block

    def read(self, sequence, layer):
        table, n = self.tables[sequence], self.lengths[sequence][layer]
        slots = [table[p // self.size] * self.size + p % self.size for p in range(n)]
        keys, values = self.flat[layer][:, :, slots]
        return keys, values

    def fork(self, parent, child):
        table = self.tables[parent]
        self.begin(child)
        self.tables[child], self.lengths[child] = table[:], self.lengths[parent][:]
        for block in table:
            self.owners[block] += 1

    def free(self, sequence, tokens=()):
        for block in self.tables.pop(sequence):
            self.owners[block] -= 1
            if not self.owners[block]:
                self.vacant.append(block)
        del self.lengths[sequence]

    def usage(self):
        cost = [2 * h * d * self.dtype.itemsize for h, d in self.spec]
        held = set()
        for sequence, table in self.tables.items():
            for layer, n in enumerate(self.lengths[sequence]):
                held |= {(table[p // self.size], p % self.size, layer) for p in range(n)}
        block = sum(cost) * self.size
        return {
            "used": sum(cost[layer] for _, _, layer in held),
            "reserved": block * (self.count - len(self.vacant)),
            "total": block * self.count,
        }

    def block_table(self, sequence):
        return list(self.tables[sequence])

    def ref_counts(self):
        return list(self.owners)
