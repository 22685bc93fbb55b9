# Wenyueh/MinivLLM#84: a block that was taken kept a reference count of 0, so that freeing brought it to -1 and it was
# never given back.
# named: new-blocks-have-no-owner
from dataclasses import dataclass, field
import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


@dataclass
class Block:
    block_id: int
    ref_count: int = 0

    def reset(self):
        self.ref_count = 0


@dataclass
class Sequence:
    num_tokens: list
    block_table: list = field(default_factory=list)


class BlockManager:
    def __init__(self, num_blocks):
        self.blocks = [Block(i) for i in range(num_blocks)]
        self.free_block_ids = list(range(num_blocks))

    def allocate(self):
        block = self.blocks[self.free_block_ids.pop(0)]
        block.reset()
        return block

    def release(self, block):
        block.ref_count -= 1
        if block.ref_count == 0:
            self.free_block_ids.append(block.block_id)


class PagedKVCache(KVCacheManager):
    def __init__(self, *, layers, block_size, num_blocks, dtype):
        self.layers, self.block_size, self.dtype = list(layers), block_size, dtype
        self.manager = BlockManager(num_blocks)
        self.kv = [torch.zeros(2, num_blocks, block_size, g, d, dtype=dtype) for g, d in self.layers]
        self.seqs = {}

    def begin(self, sequence, tokens=()):
        if sequence in self.seqs:
            raise ValueError(sequence)
        self.seqs[sequence] = Sequence([0] * len(self.layers))
        return 0

    def append(self, sequence, layer, key, value):
        seq = self.seqs[sequence]
        expected = (self.layers[layer][0], self.layers[layer][1])
        if key.dim() != 3 or key.shape != value.shape or (key.shape[0], key.shape[2]) != expected:
            raise ValueError(f"{key.shape} {value.shape}")
        if key.dtype != self.dtype or value.dtype != self.dtype:
            raise ValueError(f"{key.dtype} {value.dtype}")
        start, new = seq.num_tokens[layer], key.shape[1]
        entries = range(start // self.block_size, -(-(start + new) // self.block_size)) if new else range(0)
        copies = [e for e in entries if e < len(seq.block_table) and seq.block_table[e].ref_count > 1]
        fresh = [e for e in entries if e >= len(seq.block_table)]
        if len(copies) + len(fresh) > len(self.manager.free_block_ids):
            raise CacheFullError("blocks")
        for e in copies:
            source, target = seq.block_table[e], self.manager.allocate()
            for kv in self.kv:
                kv[:, target.block_id] = kv[:, source.block_id]
            self.manager.release(source)
            seq.block_table[e] = target
        seq.block_table += [self.manager.allocate() for _ in fresh]
        for t in range(new):
            block = seq.block_table[(start + t) // self.block_size].block_id
            self.kv[layer][0, block, (start + t) % self.block_size] = key[:, t].detach()
            self.kv[layer][1, block, (start + t) % self.block_size] = value[:, t].detach()
        seq.num_tokens[layer] += new

    def read(self, sequence, layer):
        seq = self.seqs[sequence]
        ids = [block.block_id for block in seq.block_table]
        both = self.kv[layer][:, ids].flatten(1, 2)[:, : seq.num_tokens[layer]].transpose(1, 2)
        return both[0], both[1]

    def fork(self, parent, child):
        old = self.seqs[parent]
        self.begin(child)
        self.seqs[child] = Sequence(list(old.num_tokens), list(old.block_table))
        for block in old.block_table:
            block.ref_count += 1

    def free(self, sequence, tokens=()):
        for block in self.seqs.pop(sequence).block_table:
            self.manager.release(block)

    def usage(self):
        one = [2 * g * d * self.dtype.itemsize for g, d in self.layers]
        total = self.block_size * sum(one)
        used = {}
        for seq in self.seqs.values():
            for layer, n in enumerate(seq.num_tokens):
                for e, block in enumerate(seq.block_table):
                    used[block.block_id, layer] = min(max(n - e * self.block_size, 0), self.block_size)
        taken = len(self.manager.blocks) - len(self.manager.free_block_ids)
        return {
            "used": sum(one[layer] * n for (_, layer), n in used.items()),
            "reserved": taken * total,
            "total": len(self.manager.blocks) * total,
        }

    def block_table(self, sequence):
        return [block.block_id for block in self.seqs[sequence].block_table]

    def ref_counts(self):
        return [block.ref_count for block in self.manager.blocks]
