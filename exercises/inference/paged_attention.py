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
        raise NotImplementedError("hole 1/7: a second table for the same blocks")

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
        raise NotImplementedError("hole 2/7: the blocks that this will take")
        # HOLE 3/7: copies to write to; replace each ``shared`` entry's block by a copy, with keys and values of each
        # layer, and give the original one reference less. ``self._allocate_block()`` takes a free block, sets its
        # reference count to 1 and returns its id.
        raise NotImplementedError("hole 3/7: copies to write to")
        block_table.extend(self._allocate_block() for _ in missing)
        # HOLE 4/7: tokens into the blocks; write position p at offset p % B of the block in table entry p // B.
        # Increase only this layer's entry of ``seq_lens``.
        raise NotImplementedError("hole 4/7: tokens into the blocks")

    def read(self, sequence: int, layer: int) -> tuple[Float[Tensor, "G S D"], Float[Tensor, "G S D"]]:
        """Return the layer's keys and values, oldest token first: exactly the S tokens appended to it.

        Raises KeyError if ``sequence`` is not open.
        """
        block_table = torch.tensor(self.block_tables[sequence], dtype=torch.long)
        # HOLE 5/7: from blocks to one piece; set ``key`` and ``value``, both (G, S, D). Rows ``block_table`` of a
        # layer's tensor are (blocks, G, B, D): move heads to the front, merge blocks and offsets into one axis, and cut
        # it after the last token of this layer.
        raise NotImplementedError("hole 5/7: from blocks to one piece")
        return key, value

    def free(self, sequence: int, tokens: Sequence[int] = ()) -> None:
        """Close ``sequence``; free its blocks unless other tables list them. Raises KeyError if it is not open."""
        block_table = self.block_tables.pop(sequence)
        del self.seq_lens[sequence]
        # HOLE 6/7: blocks given back; each block of the table loses one reference, and is free if it was the last.
        raise NotImplementedError("hole 6/7: blocks given back")

    def usage(self) -> dict[str, int]:
        """Return bytes: ``used`` by tokens, shared ones once; ``reserved``, blocks in tables; ``total``, all blocks."""
        # HOLE 7/7: three sums of bytes; set ``used``, ``reserved`` and ``total``. In each layer a token takes 2 * G * D
        # numbers of ``dtype.itemsize`` bytes. A block takes B tokens of every layer, however few it holds.
        raise NotImplementedError("hole 7/7: three sums of bytes")
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
