# inference-sim/inference-sim#200: blocks were taken one by one, and those that had been taken when none was left stayed
# out of the pool, though nobody owned them.
# named: blocks-lost-when-there-are-too-few takes-blocks-before-it-knows
import torch
from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager


class PagedKVCache(KVCacheManager):
    def __init__(self, *, layers, block_size, num_blocks, dtype):
        self.layers, self.block_size, self.dtype = tuple(layers), block_size, dtype
        self.k = [torch.zeros(num_blocks, h, block_size, d, dtype=dtype) for h, d in layers]
        self.v = [torch.zeros(num_blocks, h, block_size, d, dtype=dtype) for h, d in layers]
        self.refs = torch.zeros(num_blocks, dtype=torch.long)
        self.queue = list(range(num_blocks))
        self.requests = {}

    def begin(self, sequence, tokens=()):
        if sequence in self.requests:
            raise ValueError("already")
        self.requests[sequence] = {"blocks": [], "lengths": [0] * len(self.layers)}
        return 0

    def pop_free(self):
        return self.queue.pop(0) if self.queue else None

    def append(self, sequence, layer, key, value):
        request = self.requests[sequence]
        h, d = self.layers[layer]
        ok = key.ndim == 3 and key.shape == value.shape and key.shape[0] == h and key.shape[2] == d
        if not ok or key.dtype != self.dtype or value.dtype != self.dtype:
            raise ValueError("takes (G, T, D)")
        blocks, start, count = request["blocks"], request["lengths"][layer], key.shape[1]
        taken = []
        for entry in sorted({(start + t) // self.block_size for t in range(count)}):
            if entry < len(blocks) and self.refs[blocks[entry]] == 1:
                continue
            block = self.pop_free()
            if block is None:
                raise CacheFullError("out of blocks")
            taken.append((entry, block))
        for entry, block in taken:
            self.refs[block] = 1
            if entry == len(blocks):
                blocks.append(block)
                continue
            for memory in self.k + self.v:
                memory[block].copy_(memory[blocks[entry]])
            self.refs[blocks[entry]] -= 1
            blocks[entry] = block
        for t in range(count):
            entry, place = divmod(start + t, self.block_size)
            self.k[layer][blocks[entry], :, place] = key.detach()[:, t]
            self.v[layer][blocks[entry], :, place] = value.detach()[:, t]
        request["lengths"][layer] += count

    def read(self, sequence, layer):
        request = self.requests[sequence]
        n = request["lengths"][layer]
        pick = lambda memory: memory[request["blocks"]].permute(1, 0, 2, 3).flatten(1, 2)[:, :n]
        return pick(self.k[layer]), pick(self.v[layer])

    def fork(self, parent, child):
        request = self.requests[parent]
        self.begin(child)
        self.requests[child] = {name: list(held) for name, held in request.items()}
        for block in request["blocks"]:
            self.refs[block] += 1

    def free(self, sequence, tokens=()):
        for block in self.requests.pop(sequence)["blocks"]:
            self.refs[block] -= 1
            if self.refs[block] == 0:
                self.queue.append(block)

    def usage(self):
        one = [2 * h * d * self.dtype.itemsize for h, d in self.layers]
        held = {
            (request["blocks"][p // self.block_size], p % self.block_size, layer)
            for request in self.requests.values()
            for layer, n in enumerate(request["lengths"])
            for p in range(n)
        }
        whole = sum(one) * self.block_size
        return {
            "used": sum(one[layer] for *_, layer in held),
            "reserved": whole * (len(self.refs) - len(self.queue)),
            "total": whole * len(self.refs),
        }

    def block_table(self, sequence):
        return list(self.requests[sequence]["blocks"])

    def ref_counts(self):
        return self.refs.tolist()
