# ggml-org/llama.cpp#12695: when a batch did not fit, what had been placed of it before that was noticed stayed there.
# named: raises-after-writing
import collections
import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager

Cell = collections.namedtuple("Cell", "position key value")


class KVCache(KVCacheManager):
    def __init__(self, *, layers, max_seq_len, max_batch_size, dtype):
        self.shape_of, self.dtype = dict(enumerate(layers)), dtype
        self.n_ctx, self.n_seq = max_seq_len, max_batch_size
        self.cells = {}

    def begin(self, sequence, tokens=()):
        if sequence in self.cells:
            raise ValueError("sequence")
        if len(self.cells) == self.n_seq:
            raise CacheFullError("sequences")
        self.cells[sequence] = collections.defaultdict(list)
        return 0

    def append(self, sequence, layer, key, value):
        cells = self.cells[sequence][layer]
        heads, size = self.shape_of[layer]
        if key.ndim != 3 or key.shape != value.shape or key.shape[::2] != (heads, size):
            raise ValueError("shape")
        if {key.dtype, value.dtype} - {self.dtype}:
            raise ValueError("dtype")
        for t, (k, v) in enumerate(zip(key.detach().unbind(1), value.detach().unbind(1), strict=True)):
            if len(cells) == self.n_ctx:
                raise CacheFullError(f"token {t} of {key.shape[1]} found no cell")
            cells.append(Cell(len(cells), k.clone(), v.clone()))

    def read(self, sequence, layer):
        cells = self.cells[sequence][layer]
        heads, size = self.shape_of[layer]
        out = torch.zeros(2, heads, len(cells), size, dtype=self.dtype)
        for cell in cells:
            out[0, :, cell.position], out[1, :, cell.position] = cell.key, cell.value
        return out[0], out[1]

    def fork(self, parent, child):
        theirs = self.cells[parent]
        self.begin(child)
        for layer, cells in theirs.items():
            self.cells[child][layer] = cells[:]

    def free(self, sequence, tokens=()):
        if sequence not in self.cells:
            raise KeyError(sequence)
        self.cells = {name: cells for name, cells in self.cells.items() if name != sequence}

    def usage(self):
        cost = {n: 2 * h * d * (torch.finfo(self.dtype).bits // 8) for n, (h, d) in self.shape_of.items()}
        return {
            "used": sum(cost[n] * len(cells) for by_layer in self.cells.values() for n, cells in by_layer.items()),
            "reserved": sum(cost.values()) * self.n_ctx * len(self.cells),
            "total": sum(cost.values()) * self.n_ctx * self.n_seq,
        }
