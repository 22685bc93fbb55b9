import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager
class Block:
    def __init__(self, number, layers, size, dtype):
        self.number, self.refs = number, 0
        self.data = [[[None] * size, [None] * size] for _ in layers]
class PagedKVCache(KVCacheManager):
    def __init__(self, *, layers, block_size, num_blocks, dtype):
        self.layers, self.size, self.dtype = list(layers), block_size, dtype
        self.pool = [Block(n, layers, block_size, dtype) for n in range(num_blocks)]
        self.open = {}
    def begin(self, sequence, tokens=()):
        if sequence in self.open:
            raise ValueError(sequence)
        self.open[sequence] = {"blocks": [], "len": {l: 0 for l in range(len(self.layers))}}
        return 0
    def _vacant(self):
        return [b for b in self.pool if b.refs == 0]
    def append(self, sequence, layer, key, value):
        s = self.open[sequence]
        g, d = self.layers[layer]
        if tuple(key.shape) != tuple(value.shape) or key.dim() != 3 or key.shape[0] != g or key.shape[-1] != d or {key.dtype, value.dtype} != {self.dtype}:
            raise ValueError("does not fit")
        n, T = s["len"][layer], key.shape[1]
        need = 0
        for j in {p // self.size for p in range(n, n + T)}:
            need += j >= len(s["blocks"]) or s["blocks"][j].refs > 1
        if need > len(self._vacant()):
            raise CacheFullError("full")
        self._put(s, layer, key.detach().clone(), value.detach().clone())
    def _put(self, s, layer, key, value):
        if key.shape[1] == 0:
            return
        j, i = divmod(s["len"][layer], self.size)
        if j == len(s["blocks"]):
            b = self._vacant()[0]; b.refs = 1
            s["blocks"].append(b)
        b = s["blocks"][j]
        if b.refs > 1:
            c = self._vacant()[-1]
            c.refs, c.data = 1, [[list(k), list(v)] for k, v in b.data]
            b.refs -= 1
            s["blocks"][j] = c
        s["blocks"][j].data[layer][0][i] = key[:, 0]
        s["blocks"][j].data[layer][1][i] = value[:, 0]
        s["len"][layer] += 1
        self._put(s, layer, key[:, 1:], value[:, 1:])
    def read(self, sequence, layer):
        s = self.open[sequence]
        n = s["len"][layer]
        g, d = self.layers[layer]
        out = []
        for which in (0, 1):
            rows = [s["blocks"][p // self.size].data[layer][which][p % self.size] for p in range(n)]
            out.append(torch.stack(rows, 1) if rows else torch.empty(g, 0, d, dtype=self.dtype))
        return tuple(out)
    def fork(self, parent, child):
        p = self.open[parent]
        if child in self.open:
            raise ValueError(child)
        self.open[child] = {"blocks": [*p["blocks"]], "len": {**p["len"]}}
        for b in p["blocks"]:
            b.refs += 1
    def free(self, sequence, tokens=()):
        for b in self.open.pop(sequence)["blocks"]:
            b.refs -= 1
    def usage(self):
        cost = {l: 2 * g * d * self.dtype.itemsize for l, (g, d) in enumerate(self.layers)}
        block = self.size * sum(cost.values())
        used = {(id(s["blocks"][p // self.size]), p % self.size, l) for s in self.open.values() for l, n in s["len"].items() for p in range(n)}
        return {"used": sum(cost[l] for *_, l in used), "reserved": block * sum(b.refs > 0 for b in self.pool), "total": block * len(self.pool)}
    def block_table(self, sequence):
        return [b.number for b in self.open[sequence]["blocks"]]
    def ref_counts(self):
        return [b.refs for b in self.pool]
