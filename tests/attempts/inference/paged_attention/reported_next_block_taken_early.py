# pegainfer-project/pegainfer#291: the block for the next token was taken as soon as the last one was full, so the table
# had a block more than the tokens need.
# named: a-block-in-advance
import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class PagedKVCache(KVCacheManager):
    def __init__(self, *, layers, block_size, num_blocks, dtype):
        self.kinds, self.dtype = list(layers), dtype
        self.block_size, self.num_blocks = block_size, num_blocks
        self.pages = {}  # (page, layer) -> [key, value], each (G, B, D)
        self.users = dict.fromkeys(range(num_blocks), 0)
        self.state = {}  # sequence -> (pages, lengths)

    def begin(self, sequence, tokens=()):
        if sequence in self.state:
            raise ValueError(f"sequence {sequence}")
        self.state[sequence] = ([], [0 for _ in self.kinds])
        return 0

    def idle(self):
        return [page for page, users in self.users.items() if users == 0]

    def append(self, sequence, layer, key, value):
        pages, lengths = self.state[sequence]
        self.accept(layer, key, value)
        if key.shape[1] == 0:
            return
        first, beyond = lengths[layer], lengths[layer] + key.shape[1]
        last = beyond // self.block_size  # the page that the next token will be on
        shared = [n for n in range(first // self.block_size, min(last + 1, len(pages))) if self.users[pages[n]] > 1]
        lacking = max(last + 1 - len(pages), 0)
        if len(shared) + lacking > len(self.idle()):
            raise CacheFullError("pages")
        for n in shared:
            page = self.start()
            for kind in range(len(self.kinds)):
                self.pages[page, kind] = [t.clone() for t in self.pages[pages[n], kind]]
            self.users[pages[n]] -= 1
            pages[n] = page
        for _ in range(lacking):
            pages.append(self.start())
        for t, place in enumerate(range(first, beyond)):
            kept = self.pages[pages[place // self.block_size], layer]
            kept[0][:, place % self.block_size] = key[:, t].detach()
            kept[1][:, place % self.block_size] = value[:, t].detach()
        lengths[layer] = beyond

    def start(self):
        page = self.idle()[0]
        self.users[page] = 1
        for kind, (heads, size) in enumerate(self.kinds):
            self.pages[page, kind] = [torch.zeros(heads, self.block_size, size, dtype=self.dtype) for _ in range(2)]
        return page

    def accept(self, layer, key, value):
        heads, size = self.kinds[layer]
        for given in (key, value):
            if given.dtype != self.dtype or given.dim() != 3 or given.shape[0] != heads or given.shape[2] != size:
                raise ValueError(f"{given.shape} of {given.dtype}")
        if key.shape[1] != value.shape[1]:
            raise ValueError("unequal")

    def read(self, sequence, layer):
        pages, lengths = self.state[sequence]
        heads, size = self.kinds[layer]
        out = []
        for which in range(2):
            parts = [self.pages[page, layer][which] for page in pages]
            whole = torch.cat(parts, dim=1) if parts else torch.zeros(heads, 0, size, dtype=self.dtype)
            out.append(whole[:, : lengths[layer]])
        return tuple(out)

    def fork(self, parent, child):
        pages, lengths = self.state[parent]
        self.begin(child)
        self.state[child] = (pages.copy(), lengths.copy())
        for page in pages:
            self.users[page] += 1

    def free(self, sequence, tokens=()):
        pages, _ = self.state.pop(sequence)
        for page in pages:
            self.users[page] -= 1

    def usage(self):
        costs = [heads * size * 2 * self.dtype.itemsize for heads, size in self.kinds]
        places = {
            (pages[p // self.block_size], p % self.block_size, layer)
            for pages, lengths in self.state.values()
            for layer, n in enumerate(lengths)
            for p in range(n)
        }
        page_bytes = self.block_size * sum(costs)
        return {
            "used": sum(costs[layer] for *_, layer in places),
            "reserved": page_bytes * (self.num_blocks - len(self.idle())),
            "total": page_bytes * self.num_blocks,
        }

    def block_table(self, sequence):
        return self.state[sequence][0].copy()

    def ref_counts(self):
        return [self.users[page] for page in range(self.num_blocks)]
