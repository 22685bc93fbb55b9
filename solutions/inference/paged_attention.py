"""A paged key/value cache: memory in blocks of a few tokens, a block table for each sequence, copy-on-write.

Source: Kwon et al. 2023, arXiv:2309.06180, sections 4.2 and 4.3 (block tables), 4.4 (reference counts, copy-on-write).
Axes: N blocks, B tokens per block, G key/value heads, D head size, T new tokens, S cached tokens.   Sizes in bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager

__all__ = ["PagedKVCache"]


class PagedKVCache(KVCacheManager):
    """Each open sequence has a block table: entry j is the block that holds its tokens j * B to j * B + B - 1.

    Block n is row n of every layer's tensors, so one table serves all layers. Several tables may list the same block;
    while they do, it is never written to. A table entry keeps its block until the sequence is freed, except when the
    block is copied.
    """

    def __init__(
        self, *, layers: Sequence[tuple[int, int]], block_size: int, num_blocks: int, dtype: torch.dtype
    ) -> None:
        """Allocate the pool: ``num_blocks`` blocks of ``block_size`` tokens each, all of them free.

        ``layers`` gives for each layer the number and size of its key/value heads: (G, D), which may differ between
        layers. Any number of sequences may be open at a time; only their tokens take blocks.
        """
        self.layers, self.block_size, self.num_blocks, self.dtype = list(layers), block_size, num_blocks, dtype
        shapes = [(num_blocks, num_kv_heads, block_size, head_dim) for num_kv_heads, head_dim in self.layers]
        self.keys = [torch.zeros(shape, dtype=dtype) for shape in shapes]  # (N, G, B, D) for each layer
        self.values = [torch.zeros(shape, dtype=dtype) for shape in shapes]
        self.free_block_ids = list(range(num_blocks))  # blocks that no table lists
        self.ref_count = [0] * num_blocks  # for each block, how many tables list it
        self.block_tables: dict[int, list[int]] = {}  # open sequence -> its blocks, in the order of its tokens
        self.seq_lens: dict[int, list[int]] = {}  # open sequence -> S of each of its layers

    def begin(self, sequence: int, tokens: Sequence[int] = ()) -> int:
        """Open ``sequence`` without any block and return 0: only forks share blocks, so ``tokens`` are ignored.

        Raises ValueError if it is open already.
        """
        if sequence in self.block_tables:
            raise ValueError(f"sequence {sequence} is open already: free it first, or choose another number")
        self.block_tables[sequence], self.seq_lens[sequence] = [], [0] * len(self.layers)
        return 0

    def fork(self, parent: int, child: int) -> None:
        """Open ``child`` with everything in ``parent``, layer by layer. It allocates no block and copies no data.

        Raises KeyError if ``parent`` is not open, ValueError if ``child`` is.
        """
        block_table = self.block_tables[parent]  # before begin: without an open parent, the child must not be opened
        self.begin(child)
        # HOLE 1/7: a second table for the same blocks; give the child its own copies of the parent's table and of its
        # ``seq_lens``, and each of the blocks one more reference.
        self.block_tables[child], self.seq_lens[child] = list(block_table), list(self.seq_lens[parent])
        for block_id in block_table:
            self.ref_count[block_id] += 1
        # END HOLE

    def append(self, sequence: int, layer: int, key: Float[Tensor, "G T D"], value: Float[Tensor, "G T D"]) -> None:
        """Write T tokens after those that the layer holds, and add T to its length. T may be 0.

        A block is allocated when the first layer has a token for it, not earlier. If a block to be written is also
        listed by other tables, it is copied first, with the contents of all layers: this table then lists the copy, and
        the others keep the original. A block that only this table lists is written in place. The tensors are copied
        without their gradient.

        Raises KeyError if ``sequence`` is not open; ValueError if ``key`` or ``value`` is not (G, T, D) for this layer
        in the cache's dtype (nothing is broadcast or cast); CacheFullError if fewer blocks are free than are needed
        for these copies and new blocks. A call that raises changes nothing.
        """
        block_table, start = self.block_tables[sequence], self.seq_lens[sequence][layer]
        self._check(layer, key, value)
        stop = start + key.shape[1]
        # HOLE 2/7: the blocks that this will take; set ``shared``, the table entries whose blocks must be copied before
        # tokens start to stop - 1 are written, and ``missing``, the entries that the table lacks for them. Raise
        # CacheFullError if fewer blocks are free than both need. With no tokens, both are empty.
        # EMPTY: shared, missing = [], range(len(block_table), stop)
        touched = sorted({position // self.block_size for position in range(start, stop)})
        shared = [entry for entry in touched if entry < len(block_table) and self.ref_count[block_table[entry]] > 1]
        missing = [entry for entry in touched if entry >= len(block_table)]
        if len(shared) + len(missing) > len(self.free_block_ids):
            needs = f"{len(shared)} blocks to copy and {len(missing)} new ones"
            raise CacheFullError(f"sequence {sequence} needs {needs}, {len(self.free_block_ids)} are free")
        # END HOLE
        # HOLE 3/7: copies to write to; replace each ``shared`` entry's block by a copy, with keys and values of each
        # layer, and give the original one reference less. ``self._allocate_block()`` takes a free block, sets its
        # reference count to 1 and returns its id.
        # EMPTY: pass
        for entry in shared:
            original, copy = block_table[entry], self._allocate_block()
            for memory in (*self.keys, *self.values):
                memory[copy] = memory[original]
            block_table[entry] = copy
            self.ref_count[original] -= 1
        # END HOLE
        block_table.extend(self._allocate_block() for _ in missing)
        # HOLE 4/7: tokens into the blocks; write position p at offset p % B of the block in table entry p // B.
        # Increase only this layer's entry of ``seq_lens``.
        # EMPTY: self.seq_lens[sequence][layer] = stop
        positions = torch.arange(start, stop)
        block_ids = torch.tensor(block_table, dtype=torch.long)[positions // self.block_size]  # (T,)
        offsets = positions % self.block_size
        self.keys[layer][block_ids, :, offsets] = key.detach().transpose(0, 1)  # (T, G, D): indexed axes come first
        self.values[layer][block_ids, :, offsets] = value.detach().transpose(0, 1)
        self.seq_lens[sequence][layer] = stop
        # END HOLE

    def read(self, sequence: int, layer: int) -> tuple[Float[Tensor, "G S D"], Float[Tensor, "G S D"]]:
        """Return the layer's keys and values, oldest token first: exactly the S tokens appended to it.

        Raises KeyError if ``sequence`` is not open.
        """
        block_table = torch.tensor(self.block_tables[sequence], dtype=torch.long)
        # HOLE 5/7: from blocks to one piece; set ``key`` and ``value``, both (G, S, D). Rows ``block_table`` of a
        # layer's tensor are (blocks, G, B, D): move heads to the front, merge blocks and offsets into one axis, and cut
        # it after the last token of this layer.
        # EMPTY: key, value = self.keys[layer][block_table[:1]].sum(0), self.values[layer][block_table[:1]].sum(0)
        seq_len = self.seq_lens[sequence][layer]
        key = self.keys[layer][block_table].transpose(0, 1).flatten(1, 2)[:, :seq_len]  # a paged kernel needs no copy
        value = self.values[layer][block_table].transpose(0, 1).flatten(1, 2)[:, :seq_len]
        # END HOLE
        return key, value

    def free(self, sequence: int, tokens: Sequence[int] = ()) -> None:
        """Close ``sequence``; free its blocks unless other tables list them. Raises KeyError if it is not open."""
        block_table = self.block_tables.pop(sequence)
        del self.seq_lens[sequence]
        # HOLE 6/7: blocks given back; each block of the table loses one reference, and is free if it was the last.
        # EMPTY: pass
        for block_id in block_table:
            self.ref_count[block_id] -= 1
            if self.ref_count[block_id] == 0:
                self.free_block_ids.append(block_id)
        # END HOLE

    def usage(self) -> dict[str, int]:
        """Return bytes: ``used`` by tokens, shared ones once; ``reserved``, blocks in tables; ``total``, all blocks."""
        # HOLE 7/7: three sums of bytes; set ``used``, ``reserved`` and ``total``. In each layer a token takes 2 * G * D
        # numbers of ``dtype.itemsize`` bytes. A block takes B tokens of every layer, however few it holds.
        # EMPTY: used = reserved = total = 0
        token_bytes = [2 * num_kv_heads * head_dim * self.dtype.itemsize for num_kv_heads, head_dim in self.layers]
        filled = {  # sequences that share a block have filled it to the same length: a write would have copied it
            (block_id, layer): min(max(seq_len - entry * self.block_size, 0), self.block_size)
            for sequence, block_table in self.block_tables.items()
            for entry, block_id in enumerate(block_table)
            for layer, seq_len in enumerate(self.seq_lens[sequence])
        }
        used = sum(token_bytes[layer] * count for (_, layer), count in filled.items())
        reserved = (self.num_blocks - len(self.free_block_ids)) * self.block_size * sum(token_bytes)
        total = self.num_blocks * self.block_size * sum(token_bytes)
        # END HOLE
        return {"used": used, "reserved": reserved, "total": total}

    def block_table(self, sequence: int) -> list[int]:
        """Return the ids of the sequence's blocks, 0 to N - 1, in the order of its tokens, as a kernel takes them.

        Any free block may be allocated, so the ids themselves do not matter. Raises KeyError if it is not open.
        """
        return list(self.block_tables[sequence])

    def ref_counts(self) -> list[int]:
        """Return for each of the N blocks the number of tables that list it."""
        return list(self.ref_count)

    def _allocate_block(self) -> int:
        block_id = self.free_block_ids.pop()
        self.ref_count[block_id] = 1
        return block_id

    def _check(self, layer: int, key: Tensor, value: Tensor) -> None:
        num_kv_heads, head_dim = self.layers[layer]
        for name, new in (("key", key), ("value", value)):
            if new.dtype != self.dtype or new.dim() != 3 or (new.shape[0], new.shape[2]) != (num_kv_heads, head_dim):
                takes = f"layer {layer} takes ({num_kv_heads}, T, {head_dim}) in {self.dtype}"
                raise ValueError(f"{name} is {tuple(new.shape)} in {new.dtype}, {takes}")
        if key.shape != value.shape:
            raise ValueError(f"key has {key.shape[1]} tokens, value {value.shape[1]}: each token needs one of both")
