"""Managers of the keys and values that a decoder keeps.

Axes: G key/value heads, T new tokens, S tokens kept so far, D size of a key, E size of a value.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

__all__ = ["CacheFullError", "KVCacheManager"]


class CacheFullError(Exception):
    """There is no room left for what was to be kept."""


class KVCacheManager(ABC):
    """Keeps keys and values of several sequences, layer by layer. Its constructor takes layers, limits and dtype.

    A sequence is named by any integer that the caller chooses, a layer by its place, from 0. One forward pass appends
    to one layer after the other, so that layers differ in length while it runs; each reads its new tokens at once.

    Raises KeyError for a sequence that is not open, ValueError for opening one that is, and CacheFullError where there
    is no room left. Whatever is raised, nothing has changed.
    """

    @abstractmethod
    def begin(self, sequence: int, tokens: Sequence[int] = ()) -> int:
        """Open ``sequence`` and return how many of its prompt's first ``tokens`` it holds already.

        That is 0 in a cache that shares no prefixes. Keys and values of the other tokens are for the caller to append.
        """

    @abstractmethod
    def append(self, sequence: int, layer: int, key: Float[Tensor, "G T D"], value: Float[Tensor, "G T E"]) -> None:
        """Add T tokens to one layer of ``sequence``: many at prefill, one at each decoding step, or none.

        The numbers are copied and the gradient is not kept. Raises ValueError for a shape or dtype that the layer does
        not take.
        """

    @abstractmethod
    def read(self, sequence: int, layer: int) -> tuple[Float[Tensor, "G S D"], Float[Tensor, "G S E"]]:
        """Return the keys and values that one layer of ``sequence`` keeps, oldest first, in the dtype appended.

        They may be views of the cache's own memory: appending does not change them, freeing ``sequence`` may, and they
        are not to be written to.
        """

    @abstractmethod
    def fork(self, parent: int, child: int) -> None:
        """Open ``child`` as a copy of ``parent``; what is later appended to one does not show in the other."""

    @abstractmethod
    def free(self, sequence: int, tokens: Sequence[int] = ()) -> None:
        """Close ``sequence`` and give back what only it used.

        ``tokens`` are the ids of all that it holds: a cache that shares prefixes goes on keeping them while there is
        room, for a later ``begin`` to find.
        """

    @abstractmethod
    def usage(self) -> dict[str, int]:
        """Return bytes: ``used`` <= ``reserved`` <= ``total``. Further keys are a technique's own.

        ``used`` is what the tokens of open sequences fill, shared ones counted once; ``reserved`` what open sequences
        keep from others, filled or not; ``total`` all that there is.
        """
