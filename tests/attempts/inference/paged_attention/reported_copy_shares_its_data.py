# raullenchai/Rapid-MLX#196: the block that copy-on-write makes was given the data of its source itself, not a copy of it.
# named: nothing
import torch

from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class CacheBlock:
    def __init__(self, block_id):
        self.block_id, self.ref_count, self.cache_data = block_id, 0, None


class PagedKVCache(KVCacheManager):
    def __init__(self, *, layers, block_size, num_blocks, dtype):
        self.layers, self.block_size, self.dtype = list(layers), block_size, dtype
        self.blocks = [CacheBlock(n) for n in range(num_blocks)]
        self.requests = {}  # sequence -> its blocks
        self.lengths = {}  # sequence -> tokens of each layer

    def available(self):
        return [block for block in self.blocks if block.ref_count == 0]

    def allocate_block(self, cache_data=None):
        block = self.available()[0]
        block.ref_count = 1
        block.cache_data = cache_data or [
            (torch.zeros(g, self.block_size, d, dtype=self.dtype), torch.zeros(g, self.block_size, d, dtype=self.dtype))
            for g, d in self.layers
        ]
        return block

    def begin(self, sequence, tokens=()):
        if sequence in self.requests:
            raise ValueError(f"request {sequence}")
        self.requests[sequence], self.lengths[sequence] = [], [0 for _ in self.layers]
        return 0

    def fork(self, parent, child):
        shared = self.requests[parent]
        self.begin(child)
        for block in shared:
            block.ref_count += 1
        self.requests[child].extend(shared)
        self.lengths[child] = self.lengths[parent].copy()

    def append(self, sequence, layer, key, value):
        table = self.requests[sequence]
        g, d = self.layers[layer]
        if key.dim() != 3 or value.dim() != 3 or key.shape != value.shape or (key.shape[0], key.shape[2]) != (g, d):
            raise ValueError(f"{tuple(key.shape)} and {tuple(value.shape)}")
        if key.dtype != self.dtype or value.dtype != self.dtype:
            raise ValueError(f"{key.dtype} and {value.dtype}")
        position = self.lengths[sequence][layer]
        touched = sorted({p // self.block_size for p in range(position, position + key.shape[1])})
        to_copy = [j for j in touched if j < len(table) and table[j].ref_count > 1]
        to_add = [j for j in touched if j >= len(table)]
        if len(to_copy) + len(to_add) > len(self.available()):
            raise CacheFullError(f"{len(self.available())} blocks are free")
        for j in to_copy:
            table[j] = self.cow_copy_block(table[j])
        for _ in to_add:
            table.append(self.allocate_block())
        for p, k, v in zip(range(position, position + key.shape[1]), key.unbind(1), value.unbind(1)):
            keys, values = table[p // self.block_size].cache_data[layer]
            keys[:, p % self.block_size] = k.detach()
            values[:, p % self.block_size] = v.detach()
        self.lengths[sequence][layer] += key.shape[1]

    def cow_copy_block(self, source_block):
        new_block = self.allocate_block(source_block.cache_data)
        source_block.ref_count -= 1
        return new_block

    def read(self, sequence, layer):
        table, length = self.requests[sequence], self.lengths[sequence][layer]
        g, d = self.layers[layer]
        nothing = torch.zeros(g, 0, d, dtype=self.dtype)
        keys = torch.cat([nothing] + [block.cache_data[layer][0] for block in table], 1)
        values = torch.cat([nothing] + [block.cache_data[layer][1] for block in table], 1)
        return keys[:, :length], values[:, :length]

    def free(self, sequence, tokens=()):
        for block in self.requests.pop(sequence):
            block.ref_count -= 1
        self.lengths.pop(sequence)

    def usage(self):
        sizes = [2 * g * d * self.dtype.itemsize for g, d in self.layers]
        most = {}
        for sequence, table in self.requests.items():
            for layer, length in enumerate(self.lengths[sequence]):
                for j, block in enumerate(table):
                    inside = max(0, min(self.block_size, length - j * self.block_size))
                    slot = (block.block_id, layer)
                    most[slot] = max(most.get(slot, 0), inside)
        whole = self.block_size * sum(sizes)
        return {
            "used": sum(sizes[layer] * count for (_, layer), count in most.items()),
            "reserved": whole * (len(self.blocks) - len(self.available())),
            "total": whole * len(self.blocks),
        }

    def block_table(self, sequence):
        return [block.block_id for block in self.requests[sequence]]

    def ref_counts(self):
        return [block.ref_count for block in self.blocks]
