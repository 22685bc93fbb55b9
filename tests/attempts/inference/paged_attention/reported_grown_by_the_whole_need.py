# gittensor-ai-lab/sparkinfer#110: a sequence that grows is given as many new blocks as all of its tokens need, on top of
# those that it has.
# named: all-blocks-are-taken-anew
import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class PagedKVCache(KVCacheManager):
    def __init__(self, *, layers, block_size, num_blocks, dtype):
        self.layers, self.B, self.N, self.dtype = list(layers), block_size, num_blocks, dtype
        self.pool = [torch.zeros(num_blocks, 2, heads, block_size, size, dtype=dtype) for heads, size in self.layers]
        self.free_list = list(range(num_blocks))[::-1]
        self.refs = [0] * num_blocks
        self.seq_blocks, self.seq_tokens = {}, {}

    def begin(self, sequence, tokens=()):
        if sequence in self.seq_blocks:
            raise ValueError(f"sequence {sequence} exists")
        self.seq_blocks[sequence] = []
        self.seq_tokens[sequence] = [0] * len(self.layers)
        return 0

    def fork(self, parent, child):
        blocks, counts = self.seq_blocks[parent], self.seq_tokens[parent]
        self.begin(child)
        self.seq_blocks[child] = [*blocks]
        self.seq_tokens[child] = [*counts]
        for block in blocks:
            self.refs[block] += 1

    def take(self):
        block = self.free_list.pop()
        self.refs[block] = 1
        return block

    def append(self, sequence, layer, key, value):
        blocks, counts = self.seq_blocks[sequence], self.seq_tokens[sequence]
        heads, size = self.layers[layer]
        for new in (key, value):
            if new.dtype != self.dtype or new.dim() != 3 or new.shape[::2] != (heads, size):
                raise ValueError(f"{tuple(new.shape)} in {new.dtype}")
        if key.shape != value.shape:
            raise ValueError("a key for each value")
        start, end = counts[layer], counts[layer] + key.shape[1]
        if start == end:
            return
        entries = range(start // self.B, -(-end // self.B))
        copies = [j for j in entries if j < len(blocks) and self.refs[blocks[j]] > 1]
        need = -(-end // self.B) if -(-end // self.B) > len(blocks) else 0
        if need + len(copies) > len(self.free_list):
            raise CacheFullError(f"{need + len(copies)} blocks wanted")
        for j in copies:
            source, blocks[j] = blocks[j], self.take()
            self.refs[source] -= 1
            for memory in self.pool:
                memory[blocks[j]] = memory[source]
        for _ in range(need):
            blocks.append(self.take())
        both = torch.stack([key, value]).detach()
        for i in range(end - start):
            block, offset = blocks[(start + i) // self.B], (start + i) % self.B
            self.pool[layer][block, :, :, offset] = both[:, :, i]
        counts[layer] = end

    def read(self, sequence, layer):
        blocks, count = self.seq_blocks[sequence], self.seq_tokens[sequence][layer]
        chosen = self.pool[layer][torch.tensor(blocks, dtype=torch.long)]  # (blocks, 2, G, B, D)
        whole = chosen.permute(1, 2, 0, 3, 4).flatten(2, 3)[:, :, :count]
        return whole[0], whole[1]

    def free(self, sequence, tokens=()):
        blocks = self.seq_blocks.pop(sequence)
        del self.seq_tokens[sequence]
        for block in blocks:
            self.refs[block] -= 1
            if not self.refs[block]:
                self.free_list.append(block)

    def usage(self):
        cost = [2 * heads * size * self.dtype.itemsize for heads, size in self.layers]
        used = 0
        for layer, c in enumerate(cost):
            filled = {}
            for sequence, blocks in self.seq_blocks.items():
                for j, block in enumerate(blocks):
                    tokens = min(max(self.seq_tokens[sequence][layer] - j * self.B, 0), self.B)
                    filled[block] = max(filled.get(block, 0), tokens)
            used += c * sum(filled.values())
        block_bytes = self.B * sum(cost)
        return {
            "used": used,
            "reserved": block_bytes * (self.N - len(self.free_list)),
            "total": block_bytes * self.N,
        }

    def block_table(self, sequence):
        return self.seq_blocks[sequence][:]

    def ref_counts(self):
        return self.refs[:]
