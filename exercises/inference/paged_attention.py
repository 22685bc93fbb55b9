"""A paged key-value cache: memory in blocks of a few tokens, a block table for each sequence, copy-on-write.

Source: Kwon et al. 2023, arXiv:2309.06180, sections 4.2 and 4.3 (block tables), 4.4 (reference counts, copy-on-write).
Axes: N blocks, B tokens a block, G key/value heads, D head size, T new tokens, S tokens kept.   Sizes in bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager

__all__ = ["PagedKVCache"]


class PagedKVCache(KVCacheManager):
    """Each open sequence has a table of blocks: entry j holds its tokens j * B to j * B + B - 1, of every layer.

    Block n is row n of every layer's tensors, so one table serves all layers. Several tables may list one block; it is
    never written to then. A block keeps its place in a table, unless it is copied, until the sequence is freed.
    """

    def __init__(self, *, layers: Sequence[tuple[int, int]], block_size: int, blocks: int, dtype: torch.dtype) -> None:
        """Make the pool: ``blocks`` blocks of ``block_size`` tokens each, all of them vacant.

        ``layers`` says of each layer how many key/value heads it has, and their size: (G, D), not the same for all.
        Any number of sequences may be open at a time; only their tokens take blocks.
        """
        self.layers, self.block_size, self.blocks, self.dtype = list(layers), block_size, blocks, dtype
        shapes = [(blocks, heads, block_size, size) for heads, size in self.layers]
        self.keys = [torch.zeros(shape, dtype=dtype) for shape in shapes]  # (N, G, B, D) for each layer
        self.values = [torch.zeros(shape, dtype=dtype) for shape in shapes]
        self.vacant = list(range(blocks))  # blocks that no table lists
        self.owners = [0] * blocks  # of each block, how many tables list it
        self.tables: dict[int, list[int]] = {}  # open sequence -> its blocks, in the order of its tokens
        self.lengths: dict[int, list[int]] = {}  # open sequence -> S of each of its layers

    def begin(self, sequence: int, tokens: Sequence[int] = ()) -> int:
        """Open ``sequence`` without any block, and return 0: only forks share here, whatever the ``tokens`` are.

        Raises ValueError when it is open.
        """
        if sequence in self.tables:
            raise ValueError(f"sequence {sequence} is open already: free it first, or choose another number")
        self.tables[sequence], self.lengths[sequence] = [], [0] * len(self.layers)
        return 0

    def append(self, sequence: int, layer: int, key: Float[Tensor, "G T D"], value: Float[Tensor, "G T D"]) -> None:
        """Write T tokens behind those that the layer holds, and count them there. T may be 0.

        A block is taken when the first of the layers has a token for it, no sooner. A block that tokens are written to
        and that other tables list too is copied first, with what all layers hold in it: this table lists the copy from
        then on, the others keep the original. A sole owner writes in place. The numbers are copied, without gradient.
        Raises KeyError when ``sequence`` is not open; ValueError when ``key`` or ``value`` is not (G, T, D) of this
        layer in the cache's dtype, for nothing is broadcast or cast here; CacheFullError when fewer blocks are vacant
        than just these copies and new blocks. Then nothing has changed.
        """
        table, start = self.tables[sequence], self.lengths[sequence][layer]
        self._check(layer, key, value)
        stop = start + key.shape[1]
        # HOLE 1/7: the blocks that this will take; set ``shared``, the places in the table whose blocks must be copied
        # before tokens start to stop - 1 are written, and ``missing``, the places that the table lacks for them. Raise
        # CacheFullError when fewer blocks are vacant than that. With no tokens, both are empty.
        raise NotImplementedError("hole 1/7: the blocks that this will take")
        # HOLE 2/7: blocks of its own to write to; put a copy of each ``shared`` block in its place, keys and values of
        # every layer, and let the original have one owner less. Then lengthen the table for what is ``missing``.
        # ``self._take()`` returns a vacant block and makes it this table's.
        raise NotImplementedError("hole 2/7: blocks of its own to write to")
        # HOLE 3/7: tokens into the blocks; position p is written at p % B of the block that the table lists at p // B.
        # Of ``lengths`` only this layer's entry grows.
        raise NotImplementedError("hole 3/7: tokens into the blocks")

    def read(self, sequence: int, layer: int) -> tuple[Float[Tensor, "G S D"], Float[Tensor, "G S D"]]:
        """Return the layer's keys and its values, oldest token first: exactly the S tokens that it was given.

        Raises KeyError when ``sequence`` is not open.
        """
        table = torch.tensor(self.tables[sequence], dtype=torch.long)
        # HOLE 4/7: from blocks to one piece; set ``key`` and ``value``, both (G, S, D). Rows ``table`` of a layer's
        # tensor are (blocks, G, B, D): bring blocks and places together, heads first, and cut behind the last token
        # of this layer.
        raise NotImplementedError("hole 4/7: from blocks to one piece")
        return key, value

    def fork(self, parent: int, child: int) -> None:
        """Open ``child`` with all that ``parent`` holds, layer by layer. It takes no block, and copies no numbers.

        Raises KeyError when ``parent`` is not open, ValueError when ``child`` is.
        """
        table = self.tables[parent]  # first: with no parent to share with, the child is not to be opened either
        self.begin(child)
        # HOLE 5/7: a second table for the same blocks; give the child a table and lengths of its own, equal to the
        # parent's, and each of the blocks one owner more.
        raise NotImplementedError("hole 5/7: a second table for the same blocks")

    def free(self, sequence: int, tokens: Sequence[int] = ()) -> None:
        """Close ``sequence``; its blocks are vacant unless others list them. Raises KeyError when it is not open."""
        table = self.tables.pop(sequence)
        del self.lengths[sequence]
        # HOLE 6/7: blocks given back; each of ``table`` has one owner less, and is vacant when that was the last.
        raise NotImplementedError("hole 6/7: blocks given back")

    def usage(self) -> dict[str, int]:
        """Return bytes: ``used`` by tokens, shared ones once; ``reserved``, blocks that tables list; ``total``, all."""
        # HOLE 7/7: three sums of bytes; set ``used``, ``reserved`` and ``total``. A token costs a layer 2 * G * D
        # numbers of ``dtype.itemsize`` bytes. A block costs B tokens of every layer, however few it holds.
        raise NotImplementedError("hole 7/7: three sums of bytes")
        return {"used": used, "reserved": reserved, "total": total}

    def table(self, sequence: int) -> list[int]:
        """Return the numbers of the sequence's blocks, 0 to N - 1, in the order of its tokens: what a kernel is given.

        Any vacant block may be taken, so which numbers these are is free. Raises KeyError when it is not open.
        """
        return list(self.tables[sequence])

    def references(self) -> list[int]:
        """Return, for each of the N blocks, how many tables list it."""
        return list(self.owners)

    def _take(self) -> int:
        block = self.vacant.pop()
        self.owners[block] = 1
        return block

    def _check(self, layer: int, key: Tensor, value: Tensor) -> None:
        heads, size = self.layers[layer]
        for name, new in (("key", key), ("value", value)):
            if new.dtype != self.dtype or new.dim() != 3 or (new.shape[0], new.shape[2]) != (heads, size):
                takes = f"layer {layer} takes ({heads}, T, {size}) in {self.dtype}"
                raise ValueError(f"{name} is {tuple(new.shape)} in {new.dtype}, {takes}")
        if key.shape != value.shape:
            raise ValueError(f"key has {key.shape[1]} tokens, value {value.shape[1]}: each token needs one of both")
