import torch

from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class PagedKVCache(KVCacheManager):
    """Pages are dicts: what (layer, place) holds is put there when it is written."""

    def __init__(self, *, layers, block_size, num_blocks, dtype):
        self.layers, self.room, self.dtype = tuple(layers), block_size, dtype
        self.pages = [{} for _ in range(num_blocks)]
        self.users = [set() for _ in range(num_blocks)]
        self.lists, self.sizes = {}, {}

    def begin(self, sequence, tokens=()):
        if sequence in self.lists:
            raise ValueError(f"{sequence} is open")
        self.lists[sequence] = []
        self.sizes[sequence] = {layer: 0 for layer in range(len(self.layers))}
        return 0

    def check(self, layer, *tensors):
        heads, width = self.layers[layer]
        for tensor in tensors:
            if tensor.dtype != self.dtype or tuple(tensor.shape) != (heads, tensors[0].shape[1] if tensors[0].ndim > 1 else -1, width):
                raise ValueError(f"{tuple(tensor.shape)} does not fit")

    def append(self, sequence, layer, key, value):
        pages, begin = self.lists[sequence], self.sizes[sequence][layer]
        self.check(layer, key, value)
        count = key.shape[1]
        idle = [page for page, users in enumerate(self.users) if not users]
        touched = list(dict.fromkeys((begin + i) // self.room for i in range(count)))
        split = [nth for nth in touched if nth < len(pages) and len(self.users[pages[nth]]) > 1]
        extra = [nth for nth in touched if nth >= len(pages)]
        if len(split + extra) > len(idle):
            raise CacheFullError("no page")
        for nth in split:
            old, new = pages[nth], idle.pop()
            self.pages[new] = dict(self.pages[old])
            self.users[new] = {sequence}
            self.users[old].discard(sequence)
            pages[nth] = new
        for _ in extra:
            new = idle.pop()
            self.pages[new], self.users[new] = {}, {sequence}
            pages.append(new)
        for i, pair in enumerate(zip(key.detach().clone().unbind(1), value.detach().clone().unbind(1))):
            nth, place = divmod(begin + i, self.room)
            self.pages[pages[nth]][layer, place] = pair
        self.sizes[sequence][layer] += count

    def read(self, sequence, layer):
        pages, size = self.lists[sequence], self.sizes[sequence][layer]
        heads, width = self.layers[layer]
        both = torch.zeros(2, heads, size, width, dtype=self.dtype)
        for i in range(size):
            nth, place = divmod(i, self.room)
            both[:, :, i] = torch.stack(self.pages[pages[nth]][layer, place])
        return both[0], both[1]

    def fork(self, parent, child):
        pages = self.lists[parent]
        self.begin(child)
        self.lists[child] = pages.copy()
        self.sizes[child] = self.sizes[parent].copy()
        for page in pages:
            self.users[page].add(child)

    def free(self, sequence, tokens=()):
        for page in self.lists.pop(sequence):
            self.users[page].discard(sequence)
        self.sizes.pop(sequence)

    def usage(self):
        price = [heads * width * self.dtype.itemsize * 2 for heads, width in self.layers]
        full = self.room * sum(price)
        held = {(self.lists[s][i // self.room], i % self.room, layer) for s in self.lists for layer, n in self.sizes[s].items() for i in range(n)}
        taken = sum(map(bool, self.users))
        return {"used": sum(price[layer] for _, _, layer in held), "reserved": taken * full, "total": len(self.users) * full}

    def block_table(self, sequence):
        return self.lists[sequence][:]

    def ref_counts(self):
        return list(map(len, self.users))
