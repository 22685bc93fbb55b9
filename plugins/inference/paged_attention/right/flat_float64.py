import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager
class PagedKVCache(KVCacheManager):
    def __init__(self, *, layers, block_size, num_blocks, dtype):
        self.L, self.B, self.N, self.dt = [tuple(x) for x in layers], block_size, num_blocks, dtype
        self.mem = [torch.full((2, num_blocks * block_size, g, d), 77.0, dtype=torch.float64) for g, d in self.L]
        self.seqs = {}
    def _refs(self):
        r = [0] * self.N
        for t, _ in self.seqs.values():
            for b in t: r[b] += 1
        return r
    def begin(self, sequence, tokens=()):
        if sequence in self.seqs: raise ValueError("open")
        self.seqs[sequence] = ((), tuple([0] * len(self.L)))
        return 0
    def _slots(self, table, a, b):
        return torch.tensor([table[p // self.B] * self.B + p % self.B for p in range(a, b)], dtype=torch.int64)
    def append(self, sequence, layer, key, value):
        table, lens = self.seqs[sequence]
        g, d = self.L[layer]
        for x in (key, value):
            if x.dtype != self.dt or x.ndim != 3 or x.shape[0] != g or x.shape[2] != d: raise ValueError("shape")
        if key.shape[1] != value.shape[1]: raise ValueError("tokens")
        T = key.shape[1]
        if T == 0: return
        refs, table = self._refs(), list(table)
        free = {b for b in range(self.N) if refs[b] == 0}
        copies = []
        first, last = lens[layer] // self.B, (lens[layer] + T - 1) // self.B
        try:
            for j in range(first, last + 1):
                if j < len(table):
                    if refs[table[j]] > 1:
                        n = min(free); free.remove(n)
                        copies.append((table[j], n)); table[j] = n
                else:
                    n = max(free); free.remove(n); table.append(n)
        except ValueError:
            raise CacheFullError("no block") from None
        for a, b in copies:
            for m in self.mem:
                m[:, b * self.B:(b + 1) * self.B] = m[:, a * self.B:(a + 1) * self.B]
        s = self._slots(table, lens[layer], lens[layer] + T)
        self.mem[layer][0].index_copy_(0, s, key.detach().permute(1, 0, 2).double())
        self.mem[layer][1].index_copy_(0, s, value.detach().permute(1, 0, 2).double())
        self.seqs[sequence] = (tuple(table), tuple(n + T * (i == layer) for i, n in enumerate(lens)))
    def read(self, sequence, layer):
        table, lens = self.seqs[sequence]
        out = self.mem[layer].index_select(1, self._slots(table, 0, lens[layer])).to(self.dt)
        out = torch.einsum("ksgd->kgsd", out)
        return out[0], out[1]
    def fork(self, parent, child):
        state = self.seqs[parent]
        if child in self.seqs: raise ValueError("open")
        self.seqs[child] = state
    def free(self, sequence, tokens=()):
        del self.seqs[sequence]
    def usage(self):
        cost = [2 * g * d * torch.tensor([], dtype=self.dt).element_size() for g, d in self.L]
        seen = set()
        for t, lens in self.seqs.values():
            for l, n in enumerate(lens):
                seen |= {(l, t[p // self.B], p % self.B) for p in range(n)}
        busy = sum(r > 0 for r in self._refs())
        return {"total": self.N * self.B * sum(cost), "blocks": busy, "used": sum(cost[l] for l, *_ in seen), "reserved": busy * self.B * sum(cost)}
    def block_table(self, sequence): return list(self.seqs[sequence][0])
    def ref_counts(self): return self._refs()
