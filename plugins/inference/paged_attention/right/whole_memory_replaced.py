import heapq, torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager
class PagedKVCache(KVCacheManager):
    def __init__(self, *, layers, block_size, num_blocks, dtype):
        self.layers, self.b, self.n, self.dtype = layers, block_size, num_blocks, dtype
        self.kv = [torch.empty(2, g, num_blocks, block_size, d, dtype=dtype).fill_(float("nan")) for g, d in layers]
        self.heap = [-i for i in range(num_blocks)]; heapq.heapify(self.heap)
        self.rc = {}
        self.t, self.n_tok = {}, {}
    def begin(self, sequence, tokens=()):
        if sequence in self.t: raise ValueError("in use")
        self.t[sequence] = []; self.n_tok[sequence] = torch.zeros(len(self.layers), dtype=torch.long)
        return 0
    def append(self, sequence, layer, key, value):
        if sequence not in self.t: raise KeyError(sequence)
        g, d = self.layers[layer]
        if key.dtype is not self.dtype or value.dtype is not self.dtype: raise ValueError("dtype")
        if key.ndim != 3 or value.ndim != 3 or key.shape != value.shape or (key.shape[0], key.shape[2]) != (g, d): raise ValueError("shape")
        table = list(self.t[sequence]); a = int(self.n_tok[sequence][layer]); z = a + key.shape[1]
        have = len(table)
        touched = range(a // self.b, -(-z // self.b)) if z > a else range(0)
        cow = [j for j in touched if j < have and self.rc[table[j]] > 1]
        grow = max(0, -(-z // self.b) - have)
        if len(cow) + grow > len(self.heap): raise CacheFullError("out of blocks")
        rc = dict(self.rc); kv = [m.clone() for m in self.kv]
        for j in cow:
            new = -heapq.heappop(self.heap)
            for m in kv: m[:, :, new] = m[:, :, table[j]]
            rc[table[j]] -= 1; rc[new] = 1; table[j] = new
        for _ in range(grow):
            new = -heapq.heappop(self.heap); rc[new] = 1; table.append(new)
        whole = kv[layer][:, :, table].flatten(2, 3)
        whole[0, :, a:z], whole[1, :, a:z] = key.detach(), value.detach()
        if table: kv[layer][:, :, table] = whole.unflatten(2, (len(table), self.b))
        self.kv, self.rc, self.t[sequence] = kv, rc, table
        self.n_tok[sequence][layer] = z
    def read(self, sequence, layer):
        m = self.kv[layer][:, :, self.t[sequence]].flatten(2, 3)[:, :, : int(self.n_tok[sequence][layer])]
        return m[0], m[1]
    def fork(self, parent, child):
        if parent not in self.t: raise KeyError(parent)
        self.begin(child)
        self.t[child] = self.t[parent][:]; self.n_tok[child] = self.n_tok[parent].clone()
        for b in self.t[child]: self.rc[b] += 1
    def free(self, sequence, tokens=()):
        for b in self.t.pop(sequence):
            self.rc[b] -= 1
            if not self.rc[b]: del self.rc[b]; heapq.heappush(self.heap, -b)
        self.n_tok.pop(sequence)
    def usage(self):
        cost = [2 * g * d * self.dtype.itemsize for g, d in self.layers]
        used = 0
        for l, c in enumerate(cost):
            per = {}
            for s, table in self.t.items():
                for j, b in enumerate(table):
                    per[b] = max(per.get(b, 0), min(self.b, max(0, int(self.n_tok[s][l]) - j * self.b)))
            used += c * sum(per.values())
        return {"used": used, "reserved": len(self.rc) * self.b * sum(cost), "total": self.n * self.b * sum(cost), "sequences": len(self.t)}
    def block_table(self, sequence): return self.t[sequence]
    def ref_counts(self): return [self.rc.get(i, 0) for i in range(self.n)]
