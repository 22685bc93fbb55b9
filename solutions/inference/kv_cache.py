"""A contiguous key/value cache: memory for the longest sequence is reserved when a sequence begins.

Source: Kwon et al. 2023, arXiv:2309.06180, section 3 (bytes a token) and 3.1 (one contiguous chunk a sequence).
Axes: N slots, C tokens per slot, G key/value heads, D head size, T new tokens, S cached tokens.   Sizes in bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager

__all__ = ["KVCache"]


class KVCache(KVCacheManager):
    """Each open sequence owns one slot: the same row of every layer's tensors, with room for C tokens.

    A slot is never moved, resized or cleared. ``seq_lens`` records how many tokens of it each layer has filled.
    """

    def __init__(
        self, *, layers: Sequence[tuple[int, int]], max_seq_len: int, max_batch_size: int, dtype: torch.dtype
    ) -> None:
        """Allocate all the memory, with all slots free.

        ``layers`` gives for each layer the number and size of its key/value heads: (G, D), which may differ between
        layers. ``max_seq_len`` is the most tokens of a sequence, ``max_batch_size`` the most open sequences.
        """
        self.layers, self.dtype = list(layers), dtype
        self.max_seq_len, self.max_batch_size = max_seq_len, max_batch_size
        shapes = [(max_batch_size, num_kv_heads, max_seq_len, head_dim) for num_kv_heads, head_dim in self.layers]
        self.keys = [torch.zeros(shape, dtype=dtype) for shape in shapes]  # (N, G, C, D) for each layer
        self.values = [torch.zeros(shape, dtype=dtype) for shape in shapes]
        self.free_slots = list(range(max_batch_size))  # slots that no sequence owns
        self.slot: dict[int, int] = {}  # open sequence -> its slot
        self.seq_lens: dict[int, list[int]] = {}  # open sequence -> S of each of its layers

    def begin(self, sequence: int, tokens: Sequence[int] = ()) -> int:
        """Open an empty ``sequence`` and return 0: this cache shares no prefixes, so ``tokens`` are ignored.

        Raises ValueError if it is open already, CacheFullError if no slot is free.
        """
        if sequence in self.slot:
            raise ValueError(f"sequence {sequence} is open already: free it first, or choose another number")
        # HOLE 1/5: a slot for the sequence; take one out of ``free_slots``, and enter the sequence in ``slot`` and in
        # ``seq_lens``, every layer at 0. Raise CacheFullError if none is free. Any free slot will do, and its old
        # contents need not be cleared.
        if not self.free_slots:
            raise CacheFullError(f"all {self.max_batch_size} slots are taken: free a sequence first")
        self.slot[sequence] = self.free_slots.pop()
        self.seq_lens[sequence] = [0] * len(self.layers)
        # END HOLE
        return 0

    def append(self, sequence: int, layer: int, key: Float[Tensor, "G T D"], value: Float[Tensor, "G T D"]) -> None:
        """Write T tokens after those that the layer holds, and add T to its length. T may be 0.

        The tensors are copied without their gradient. Exactly C tokens fit. Raises KeyError if ``sequence`` is not
        open; ValueError if ``key`` or ``value`` is not (G, T, D) for this layer in the cache's dtype (nothing is
        broadcast or cast); CacheFullError if the T tokens do not all fit, and then none of them is stored.
        """
        slot = self.slot[sequence]
        self._check(layer, key, value)
        # HOLE 2/5: new tokens into the slot, in place; write them to ``keys`` and ``values`` directly after the last
        # token of this layer, and increase only this layer's entry of ``seq_lens``. Raise CacheFullError before
        # anything is written.
        # EMPTY: self.seq_lens[sequence][layer] += key.shape[1]
        start = self.seq_lens[sequence][layer]
        stop = start + key.shape[1]
        if stop > self.max_seq_len:
            raise CacheFullError(
                f"sequence {sequence} would hold {stop} tokens in layer {layer}, {self.max_seq_len} fit"
            )
        self.keys[layer][slot, :, start:stop] = key.detach()
        self.values[layer][slot, :, start:stop] = value.detach()
        self.seq_lens[sequence][layer] = stop
        # END HOLE

    def read(self, sequence: int, layer: int) -> tuple[Float[Tensor, "G S D"], Float[Tensor, "G S D"]]:
        """Return the layer's keys and values, oldest token first: exactly the S tokens appended to it.

        They may be views. Raises KeyError if ``sequence`` is not open.
        """
        slot = self.slot[sequence]
        # HOLE 3/5: what has been filled; set ``key`` and ``value``, both (G, S, D), to this layer's part of the slot.
        # A view costs nothing; a copy would copy the whole past at each step.
        # EMPTY: key, value = self.keys[layer][slot], self.values[layer][slot]
        seq_len = self.seq_lens[sequence][layer]
        key = self.keys[layer][slot, :, :seq_len]
        value = self.values[layer][slot, :, :seq_len]
        # END HOLE
        return key, value

    def fork(self, parent: int, child: int) -> None:
        """Open ``child`` with a copy of everything in ``parent``, layer by layer. The two share no memory.

        Raises KeyError if ``parent`` is not open, ValueError if ``child`` is, CacheFullError if no slot is free.
        """
        source = self.slot[parent]  # before begin: if the parent is not open, the child must not be opened
        self.begin(child)
        target = self.slot[child]
        # HOLE 4/5: a copy of the parent; ``source`` and ``target`` are the two slots. Copy keys and values of every
        # layer as far as they are filled, and give the child its own list in ``seq_lens``.
        # EMPTY: pass
        for layer, seq_len in enumerate(self.seq_lens[parent]):
            self.keys[layer][target, :, :seq_len] = self.keys[layer][source, :, :seq_len]
            self.values[layer][target, :, :seq_len] = self.values[layer][source, :, :seq_len]
        self.seq_lens[child] = list(self.seq_lens[parent])
        # END HOLE

    def free(self, sequence: int, tokens: Sequence[int] = ()) -> None:
        """Close ``sequence`` and free its slot; ``tokens`` are ignored. Raises KeyError if it is not open."""
        self.free_slots.append(self.slot.pop(sequence))
        del self.seq_lens[sequence]

    def usage(self) -> dict[str, int]:
        """Return bytes: ``used`` by tokens of open sequences, ``reserved`` by owned slots, and ``total``."""
        # HOLE 5/5: three sums of bytes; set ``used``, ``reserved`` and ``total``. In each layer a token takes G * D
        # numbers for its key and as many for its value, ``dtype.itemsize`` bytes each; G, D and S differ between
        # layers. ``used`` counts the cached tokens, ``reserved`` the room in owned slots, ``total`` in all slots.
        # EMPTY: used = reserved = total = sum(map(sum, self.seq_lens.values()))
        token_bytes = [2 * num_kv_heads * head_dim * self.dtype.itemsize for num_kv_heads, head_dim in self.layers]
        used = sum(size * n for lens in self.seq_lens.values() for size, n in zip(token_bytes, lens, strict=True))
        reserved = len(self.slot) * self.max_seq_len * sum(token_bytes)
        total = self.max_batch_size * self.max_seq_len * sum(token_bytes)
        # END HOLE
        return {"used": used, "reserved": reserved, "total": total}

    def _check(self, layer: int, key: Tensor, value: Tensor) -> None:
        num_kv_heads, head_dim = self.layers[layer]
        for name, new in (("key", key), ("value", value)):
            if new.dtype != self.dtype or new.dim() != 3 or (new.shape[0], new.shape[2]) != (num_kv_heads, head_dim):
                takes = f"layer {layer} takes ({num_kv_heads}, T, {head_dim}) in {self.dtype}"
                raise ValueError(f"{name} is {tuple(new.shape)} in {new.dtype}, {takes}")
        if key.shape != value.shape:
            raise ValueError(f"key has {key.shape[1]} tokens, value {value.shape[1]}: each token needs one of both")
