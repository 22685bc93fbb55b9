"""Managers of a decoder's key/value cache.

Axes: G key/value heads, T new tokens, S cached tokens, D size of a key, E size of a value.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

__all__ = ["CacheFullError", "KVCacheManager"]


class CacheFullError(Exception):
    """The cache has no room for the new keys and values."""


class KVCacheManager(ABC):
    """Stores keys and values of several sequences, layer by layer. Its constructor takes layers, limits and dtype.

    The caller names a sequence by any integer; layers are numbered from 0. A forward pass appends to one layer after
    the other, so layers differ in length while it runs; each layer can read its new tokens immediately.

    Raises KeyError for a sequence that is not open, ValueError for opening one that is open already, and CacheFullError
    if there is no room. A call that raises changes nothing.
    """

    @abstractmethod
    def begin(self, sequence: int, tokens: Sequence[int] = ()) -> int:
        """Open ``sequence`` and return how many of its prompt's first ``tokens`` are cached already.

        A cache without prefix sharing returns 0. The caller appends the keys and values of the remaining tokens.
        """

    @abstractmethod
    def append(self, sequence: int, layer: int, key: Float[Tensor, "G T D"], value: Float[Tensor, "G T E"]) -> None:
        """Add T tokens to one layer of ``sequence``: many at prefill, one at each decoding step, or none.

        The tensors are copied without their gradient. Raises ValueError for a shape or dtype that the layer does not
        take.
        """

    @abstractmethod
    def read(self, sequence: int, layer: int) -> tuple[Float[Tensor, "G S D"], Float[Tensor, "G S E"]]:
        """Return the cached keys and values of one layer of ``sequence``, oldest first, in the dtype appended.

        They may be views of the cache's memory: the caller must not write to them. Appending does not change them;
        freeing ``sequence`` may.
        """

    @abstractmethod
    def fork(self, parent: int, child: int) -> None:
        """Open ``child`` as a copy of ``parent``; later appends to one do not affect the other."""

    @abstractmethod
    def free(self, sequence: int, tokens: Sequence[int] = ()) -> None:
        """Close ``sequence`` and release the memory that only it used.

        ``tokens`` are the ids of all tokens of the sequence: a cache with prefix sharing keeps their keys and values
        while there is room, for a later ``begin`` to find.
        """

    @abstractmethod
    def usage(self) -> dict[str, int]:
        """Return bytes: ``used`` <= ``reserved`` <= ``total``. A technique may add further keys.

        ``used``: filled by tokens of open sequences, shared ones counted once. ``reserved``: allocated to open
        sequences, filled or not. ``total``: all of the cache.
        """
