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
    """Each open sequence has a block table: entry j is the block that holds its tokens j * B to j * B + B - 1.

    Block n is row n of every layer's tensors, so one table serves all layers. Several tables may list one block; it is
    never written to then. A block keeps its entry in a table, unless it is copied, until the sequence is freed.
    """

    def __init__(
        self, *, layers: Sequence[tuple[int, int]], block_size: int, num_blocks: int, dtype: torch.dtype
    ) -> None:
        """Make the pool: ``num_blocks`` blocks of ``block_size`` tokens each, all of them free.

        ``layers`` says of each layer how many key/value heads it has, and their size: (G, D), not the same for all.
        Any number of sequences may be open at a time; only their tokens take blocks.
        """
        self.layers, self.block_size, self.num_blocks, self.dtype = list(layers), block_size, num_blocks, dtype
        shapes = [(num_blocks, num_kv_heads, block_size, head_dim) for num_kv_heads, head_dim in self.layers]
        self.keys = [torch.zeros(shape, dtype=dtype) for shape in shapes]  # (N, G, B, D) for each layer
        self.values = [torch.zeros(shape, dtype=dtype) for shape in shapes]
        self.free_block_ids = list(range(num_blocks))  # blocks that no table lists
        self.ref_count = [0] * num_blocks  # of each block, how many tables list it
        self.block_tables: dict[int, list[int]] = {}  # open sequence -> its blocks, in the order of its tokens
        self.seq_lens: dict[int, list[int]] = {}  # open sequence -> S of each of its layers

    def begin(self, sequence: int, tokens: Sequence[int] = ()) -> int:
        """Open ``sequence`` without any block, and return 0: only forks share here, whatever the ``tokens`` are.

        Raises ValueError when it is open.
        """
        if sequence in self.block_tables:
            raise ValueError(f"sequence {sequence} is open already: free it first, or choose another number")
        self.block_tables[sequence], self.seq_lens[sequence] = [], [0] * len(self.layers)
        return 0

    def fork(self, parent: int, child: int) -> None:
        """Open ``child`` with all that ``parent`` holds, layer by layer. It takes no block, and copies no numbers.

        Raises KeyError when ``parent`` is not open, ValueError when ``child`` is.
        """
        block_table = self.block_tables[parent]  # first: with no parent to share with, no child is to be opened either
        self.begin(child)
        # HOLE 1/7: a second table for the same blocks; give the child a table and ``seq_lens`` of its own, equal to
        # the parent's, and each of the blocks one reference more.
        self.block_tables[child], self.seq_lens[child] = list(block_table), list(self.seq_lens[parent])
        for block_id in block_table:
            self.ref_count[block_id] += 1
        # END HOLE

    def append(self, sequence: int, layer: int, key: Float[Tensor, "G T D"], value: Float[Tensor, "G T D"]) -> None:
        """Write T tokens behind those that the layer holds, and count them there. T may be 0.

        A block is taken when the first of the layers has a token for it, no sooner. A block that tokens are written to
        and that other tables list too is copied first, with what all layers hold in it: this table lists the copy from
        then on, the others keep the original. A block that this table alone lists is written in place. The numbers are
        copied, without gradient.

        Raises KeyError when ``sequence`` is not open; ValueError when ``key`` or ``value`` is not (G, T, D) of this
        layer in the cache's dtype, for nothing is broadcast or cast here; CacheFullError when fewer blocks are free
        than just these copies and new blocks. Then nothing has changed.
        """
        block_table, start = self.block_tables[sequence], self.seq_lens[sequence][layer]
        self._check(layer, key, value)
        stop = start + key.shape[1]
        # HOLE 2/7: the blocks that this will take; set ``shared``, the entries of the table whose blocks must be copied
        # before tokens start to stop - 1 are written, and ``missing``, the entries that the table lacks for them. Raise
        # CacheFullError when fewer blocks are free than that. With no tokens, both are empty.
        # EMPTY: shared, missing = [], range(len(block_table), stop)
        touched = sorted({position // self.block_size for position in range(start, stop)})
        shared = [entry for entry in touched if entry < len(block_table) and self.ref_count[block_table[entry]] > 1]
        missing = [entry for entry in touched if entry >= len(block_table)]
        if len(shared) + len(missing) > len(self.free_block_ids):
            needs = f"{len(shared)} blocks to copy and {len(missing)} new ones"
            raise CacheFullError(f"sequence {sequence} needs {needs}, {len(self.free_block_ids)} are free")
        # END HOLE
        # HOLE 3/7: copies to write to; put a copy of each ``shared`` block in its entry, keys and values of each layer,
        # and let the original have one reference less. ``self._allocate_block()`` returns the id of a free block, which
        # has one reference from then on.
        # EMPTY: pass
        for entry in shared:
            original, copy = block_table[entry], self._allocate_block()
            for memory in (*self.keys, *self.values):
                memory[copy] = memory[original]
            block_table[entry] = copy
            self.ref_count[original] -= 1
        # END HOLE
        block_table.extend(self._allocate_block() for _ in missing)
        # HOLE 4/7: tokens into the blocks; position p is written at p % B of the block that the table lists at p // B.
        # Of ``seq_lens`` only this layer's entry grows.
        # EMPTY: self.seq_lens[sequence][layer] = stop
        positions = torch.arange(start, stop)
        block_ids = torch.tensor(block_table, dtype=torch.long)[positions // self.block_size]  # (T,)
        offsets = positions % self.block_size
        self.keys[layer][block_ids, :, offsets] = key.detach().transpose(0, 1)  # (T, G, D): indexed axes go first
        self.values[layer][block_ids, :, offsets] = value.detach().transpose(0, 1)
        self.seq_lens[sequence][layer] = stop
        # END HOLE

    def read(self, sequence: int, layer: int) -> tuple[Float[Tensor, "G S D"], Float[Tensor, "G S D"]]:
        """Return the layer's keys and its values, oldest token first: exactly the S tokens that it was given.

        Raises KeyError when ``sequence`` is not open.
        """
        block_table = torch.tensor(self.block_tables[sequence], dtype=torch.long)
        # HOLE 5/7: from blocks to one piece; set ``key`` and ``value``, both (G, S, D). Rows ``block_table`` of a
        # layer's tensor are (blocks, G, B, D): bring blocks and offsets together, heads first, and cut behind the last
        # token of this layer.
        # EMPTY: key, value = self.keys[layer][block_table[:1]].sum(0), self.values[layer][block_table[:1]].sum(0)
        seq_len = self.seq_lens[sequence][layer]
        key = self.keys[layer][block_table].transpose(0, 1).flatten(1, 2)[:, :seq_len]  # a kernel needs no such copy
        value = self.values[layer][block_table].transpose(0, 1).flatten(1, 2)[:, :seq_len]
        # END HOLE
        return key, value

    def free(self, sequence: int, tokens: Sequence[int] = ()) -> None:
        """Close ``sequence``; its blocks are free unless others list them. Raises KeyError when it is not open."""
        block_table = self.block_tables.pop(sequence)
        del self.seq_lens[sequence]
        # HOLE 6/7: blocks given back; each of the table's has one reference less, and is free when it was the last.
        # EMPTY: pass
        for block_id in block_table:
            self.ref_count[block_id] -= 1
            if self.ref_count[block_id] == 0:
                self.free_block_ids.append(block_id)
        # END HOLE

    def usage(self) -> dict[str, int]:
        """Return bytes: ``used`` by tokens, shared ones once; ``reserved``, blocks that tables list; ``total``, all."""
        # HOLE 7/7: three sums of bytes; set ``used``, ``reserved`` and ``total``. A token costs a layer 2 * G * D
        # numbers of ``dtype.itemsize`` bytes. A block costs B tokens of every layer, however few it holds.
        # EMPTY: used = reserved = total = 0
        token_bytes = [2 * num_kv_heads * head_dim * self.dtype.itemsize for num_kv_heads, head_dim in self.layers]
        filled = {  # sequences that share a block have filled it equally far, or one of them would have copied it
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
        """Return the ids of the sequence's blocks, 0 to N - 1, in the order of its tokens: what a kernel is given.

        Any free block may be taken, so it does not matter which ids these are. Raises KeyError when it is not open.
        """
        return list(self.block_tables[sequence])

    def ref_counts(self) -> list[int]:
        """Return, for each of the N blocks, how many tables list it."""
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
