"""Managers of the keys and values that a decoder keeps.

Axes: L layers, G key/value heads, T new tokens, S tokens cached so far, D head size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

__all__ = ["CacheFullError", "KVCacheManager"]


class CacheFullError(Exception):
    """There is no room left for what was to be appended."""


class KVCacheManager(ABC):
    """Keeps keys and values of several sequences. Its constructor takes layers, heads, sizes and capacity.

    A sequence is named by a number that the caller chooses. Every method raises KeyError for one it does not know and
    CacheFullError, with nothing changed, where there is no room left.
    """

    @abstractmethod
    def begin(self, sequence: int, tokens: Sequence[int] = ()) -> int:
        """Open ``sequence`` and return how many of its first ``tokens`` are cached already (0 without prefix sharing).

        Raises ValueError when it is open.
        """

    @abstractmethod
    def append(self, sequence: int, layer: int, key: Float[Tensor, "G T D"], value: Float[Tensor, "G T D"]) -> None:
        """Add T tokens' keys and values to one layer of ``sequence``: many at prefill, one at each decoding step."""

    @abstractmethod
    def read(self, sequence: int, layer: int) -> tuple[Float[Tensor, "G S D"], Float[Tensor, "G S D"]]:
        """Return all keys and values of one layer of ``sequence``, oldest first."""

    @abstractmethod
    def fork(self, parent: int, child: int) -> None:
        """Open ``child`` as a copy of ``parent``; what is later appended to one does not show in the other."""

    @abstractmethod
    def free(self, sequence: int) -> None:
        """Close ``sequence`` and give back what only it used."""

    @abstractmethod
    def usage(self) -> dict[str, int]:
        """Return ``used``, ``reserved`` and ``total``, in bytes."""
