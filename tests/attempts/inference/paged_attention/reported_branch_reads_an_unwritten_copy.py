# xLLM-AI/xllm#1984: a beam that diverged got a new block without the numbers of its source, and read what was left there.
# named: fresh-block-instead-of-a-copy
import itertools
import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class Beam:
    def __init__(self, blocks, fill):
        self.blocks, self.fill = blocks, fill

    def diverge(self):
        return Beam(list(self.blocks), dict(self.fill))


class PagedKVCache(KVCacheManager):
    def __init__(self, *, layers, block_size, num_blocks, dtype):
        self.per_layer = [(g, d, torch.zeros(num_blocks, block_size, 2, g, d, dtype=dtype)) for g, d in layers]
        self.b, self.n, self.dtype = block_size, num_blocks, dtype
        self.beams = {}

    def begin(self, sequence, tokens=()):
        if sequence in self.beams:
            raise ValueError(f"beam {sequence} exists")
        self.beams[sequence] = Beam([], {layer: 0 for layer in range(len(self.per_layer))})
        return 0

    def ref_counts(self):
        listed = list(itertools.chain.from_iterable(beam.blocks for beam in self.beams.values()))
        return [listed.count(block) for block in range(self.n)]

    def append(self, sequence, layer, key, value):
        beam = self.beams[sequence]
        g, d, memory = self.per_layer[layer]
        if key.dim() != 3 or key.shape != (g, key.shape[1], d) or value.shape != key.shape:
            raise ValueError(f"{tuple(key.shape)}, {tuple(value.shape)}")
        if key.dtype != self.dtype or value.dtype != self.dtype:
            raise ValueError(f"{key.dtype}, {value.dtype}")
        refs = self.ref_counts()
        free = [block for block in range(self.n) if refs[block] == 0]
        spots = [divmod(p, self.b) for p in range(beam.fill[layer], beam.fill[layer] + key.shape[1])]
        replaced = [e for e in dict.fromkeys(e for e, _ in spots) if e >= len(beam.blocks) or refs[beam.blocks[e]] > 1]
        if len(replaced) > len(free):
            raise CacheFullError(f"{len(replaced)} > {len(free)}")
        for entry, block in zip(replaced, free):
            beam.blocks[entry : entry + 1] = [block]
        for t, (entry, place) in enumerate(spots):
            memory[beam.blocks[entry], place, 0] = key.detach()[:, t]
            memory[beam.blocks[entry], place, 1] = value.detach()[:, t]
        beam.fill[layer] += key.shape[1]

    def read(self, sequence, layer):
        beam = self.beams[sequence]
        tokens = self.per_layer[layer][2][beam.blocks].flatten(0, 1)[: beam.fill[layer]]  # (S, 2, G, D)
        keys, values = tokens.permute(1, 2, 0, 3)
        return keys, values

    def fork(self, parent, child):
        beam = self.beams[parent]
        if child in self.beams:
            raise ValueError(f"beam {child} exists")
        self.beams[child] = beam.diverge()

    def free(self, sequence, tokens=()):
        del self.beams[sequence]

    def usage(self):
        cost = [2 * g * d * memory.element_size() for g, d, memory in self.per_layer]
        held = set()
        for beam in self.beams.values():
            for layer, fill in beam.fill.items():
                held.update((layer, beam.blocks[p // self.b], p % self.b) for p in range(fill))
        return {
            "used": sum(cost[layer] for layer, _, _ in held),
            "reserved": sum(map(bool, self.ref_counts())) * self.b * sum(cost),
            "total": self.n * self.b * sum(cost),
        }

    def block_table(self, sequence):
        return list(self.beams[sequence].blocks)
