"""A key/value cache together with a model of its contents: lists of token numbers.

Tokens are numbered. The key of token n is n, n + 1/8, n + 2/8 ... and its value is the negative of that, so that a
misplaced number shows which token it came from.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from groundup.core.interfaces.kv_cache import CacheFullError
from groundup.core.messages import Message
from groundup.core.testing.calls import each
from groundup.core.testing.compare import EXACT, Mismatch, Tolerance, assert_close, assert_equal, rejects
from groundup.core.testing.strategies import laid_out

__all__ = ["NAMES", "TOKENS", "Setting", "Watched"]

NAMES = (0, 6, -6, 12)  # equal modulo 2 and 3, so that names used as slot numbers collide; 0 is a valid name
TOKENS = 31  # distinct token numbers; all their keys and values are exact in bfloat16, the narrowest dtype here


class Watched(ABC):
    """A cache, and the token numbers that each layer of each open sequence should hold.

    Each technique derives its own model: the room, the expected ``usage``, and the answers of the cache's further
    methods. ``shape`` is a named tuple of the constructor's arguments.
    """

    def __init__(self, impl: Any, shape: Any, tolerance: Tolerance = EXACT) -> None:
        self.shape, self.tolerance, self.appended = shape, tolerance, 0
        self.cache = impl(**shape._asdict())
        self.held: dict[int, list[list[int]]] = {}

    # Defined by the technique.

    @abstractmethod
    def fits(self, sequence: int, layer: int, count: int) -> bool:
        """Whether there is room for ``count`` more tokens in one layer of ``sequence``."""

    @abstractmethod
    def usage(self) -> dict[str, int]:
        """Return the expected ``usage`` in bytes: used, reserved, total."""

    def refusals(self, sequence: int, parent: int | None = None) -> list[type[Exception]]:
        """Return the errors that opening ``sequence`` may raise; unless empty, it must raise one of them.

        With a ``parent`` the sequence is opened by fork.
        """
        return [ValueError] if sequence in self.held else []

    def cached(self, prompt: Sequence[int]) -> int:
        """Return how many tokens of ``prompt`` a new sequence should find in the cache."""
        return 0

    @property
    def sizes(self) -> list[tuple[int, int, int]]:
        """For each layer: heads, size of a key, size of a value."""
        return [(heads, size, size) for heads, size in self.shape.layers]

    @property
    def token_bytes(self) -> list[int]:
        """For each layer: the bytes of one token's key and value, stored in the shape's dtype."""
        byte = torch.empty(0, dtype=self.shape.dtype).element_size()
        return [heads * (key + value) * byte for heads, key, value in self.sizes]

    # Calls, recorded in the model.

    @property
    def layers(self) -> range:
        """The numbers of the layers, from 0."""
        return range(len(self.sizes))

    def begin(self, sequence: int, *prompt: Sequence[int]) -> None:
        """Open ``sequence``, with or without the token ids of a prompt."""
        cached = self.cached(*prompt) if prompt else 0
        assert_equal(
            self.cache.begin(sequence, *prompt),
            cached,
            what=Message("the answer of begin({sequence})", sequence=sequence),
        )
        self.held[sequence] = [[] for _ in self.layers]

    def append(self, sequence: int, layer: int, count: int, layout: str = "contiguous") -> None:
        """Append ``count`` new tokens to one layer."""
        numbers = self.next(count)
        self.cache.append(sequence, layer, *self.tensors(layer, numbers, layout))
        self.appended_to(sequence, layer, numbers)

    def appended_to(self, sequence: int, layer: int, numbers: list[int]) -> None:
        """Record an append in the model."""
        self.held[sequence][layer] += numbers

    def forward(self, sequence: int, count: int) -> None:
        """Append ``count`` tokens to one layer after the other, as a forward pass does."""
        numbers = [self.next(count) for _ in self.layers]
        each(self.cache.append, [(sequence, n, *self.tensors(n, numbers[n])) for n in self.layers])
        for layer in self.layers:
            self.appended_to(sequence, layer, numbers[layer])

    def fill(self, sequence: int, *counts: int) -> None:
        """Open ``sequence`` and append ``counts`` tokens to its layers; the last count applies to the rest."""
        self.begin(sequence)
        for layer in self.layers:
            self.append(sequence, layer, counts[min(layer, len(counts) - 1)])

    def fork(self, parent: int, child: int) -> None:
        """Open ``child`` as a copy of ``parent``."""
        self.cache.fork(parent, child)
        self.held[child] = [list(numbers) for numbers in self.held[parent]]

    def free(self, sequence: int, *ids: Sequence[int]) -> None:
        """Close ``sequence``, with or without the ids of its tokens."""
        self.cache.free(sequence, *ids)
        del self.held[sequence]

    def next(self, count: int) -> list[int]:
        """Return the numbers of new tokens; they repeat after TOKENS."""
        numbers = [n % TOKENS + 1 for n in range(self.appended, self.appended + count)]
        self.appended += count
        return numbers

    def tensors(self, layer: int, numbers: Sequence[int], layout: str = "contiguous") -> tuple[Tensor, Tensor]:
        """Return the keys (G, T, D) and the values (G, T, E) of the tokens with these numbers."""
        heads, *sizes = self.sizes[layer]
        token = torch.tensor(numbers, dtype=torch.float64)[:, None]
        key, value = (
            (token + torch.arange(heads * size, dtype=torch.float64).reshape(heads, 1, size) / 8) for size in sizes
        )
        return laid_out(key.to(self.shape.dtype), layout), laid_out(-value.to(self.shape.dtype), layout)

    # Comparisons.

    def check(self, *places: tuple[int, int]) -> None:
        """Check that ``read`` returns the expected contents for each (sequence, layer), in the cache's dtype."""
        for (sequence, layer), got in zip(places, each(self.cache.read, places), strict=True):
            self.check_read(sequence, layer, got, self.tensors(layer, self.held[sequence][layer]))

    def check_read(self, sequence: int, layer: int, got: Any, expected: tuple[Tensor, Tensor]) -> None:
        """Check one answer of ``read``."""
        if not isinstance(got, tuple) or len(got) != 2:
            raise Mismatch(Message("read returns no pair"), Message("a tuple of keys and values"), type(got).__name__)
        for name, ours, theirs in zip(("key", "value"), expected, got, strict=True):
            what = Message("the {name} tensor of read({sequence}, {layer})", name=name, sequence=sequence, layer=layer)
            assert_close(theirs, ours, dtype=ours.dtype, tolerance=self.tolerance, what=what)

    def check_all(self) -> None:
        """Check the contents of every layer of every open sequence."""
        self.check(*itertools.product(self.held, self.layers))

    def check_usage(self) -> None:
        """Check the usage in bytes. A technique may add further keys, which are not checked."""
        got, expected = self.cache.usage(), self.usage()
        assert_equal({name: got.get(name) for name in expected}, expected, what=Message("the usage"))

    def check_unchanged(self) -> None:
        """Check all contents and the usage."""
        self.check_all()
        self.check_usage()

    def check_everything(self) -> None:
        """Check everything that the cache reports. Techniques override it to check their further methods."""
        self.check_unchanged()

    def check_begins(self, *places: tuple[int, int]) -> None:
        """Check that the tokens read equal the tokens appended as far as both go; the lengths may differ."""
        for (sequence, layer), got in zip(places, each(self.cache.read, places), strict=True):
            expected = self.tensors(layer, self.held[sequence][layer])
            if isinstance(got, tuple) and all(isinstance(t, Tensor) and t.dim() == 3 for t in got):
                stop = min(tensor.shape[1] for tensor in (*got, expected[0]))
                got, expected = (tuple(tensor[:, :stop] for tensor in pair) for pair in (got, expected))
            self.check_read(sequence, layer, got, expected)

    def told(self) -> dict[str, Any]:
        """Return everything that the cache reports now, by name: its contents and its usage."""
        told: dict[str, Any] = {}
        places = list(itertools.product(self.held, self.layers))
        for (sequence, layer), got in zip(places, each(self.cache.read, places), strict=True):
            parts = got if isinstance(got, tuple) else (got,)
            for name, part in zip(("key", "value"), parts, strict=False):
                kept = part.detach().clone() if isinstance(part, Tensor) else part  # it may be a view of the memory
                told[
                    Message("the {name} tensor of read({sequence}, {layer})", name=name, sequence=sequence, layer=layer)
                ] = kept
        usage = self.cache.usage()
        return told | {Message("the usage"): {name: usage.get(name) for name in ("used", "reserved", "total")}}

    @contextmanager
    def refused(self, *types: type[Exception], what: str) -> Iterator[None]:
        """Check that one of ``types`` is raised inside the block, and that the cache reports the same as before."""
        before = self.told()
        with rejects(*types, what=what):
            yield
        after = self.told()
        for name, was in before.items():
            assert_equal(after.get(name), was, what=Message("after {what}, {name}", what=what, name=name))

    def check_room(self, sequence: int, layer: int, *, full: bool = False, excess: int = 1) -> None:
        """Check that exactly as many tokens fit as the model has room for, and that ``excess`` more are refused.

        ``full``: fill all the room first, then check that one token is refused.
        """
        room = next(count for count in itertools.count() if not self.fits(sequence, layer, count + 1))
        if full:
            self.append(sequence, layer, room)
            room = 0
        with self.refused(
            CacheFullError, what=Message("appending {count} tokens where {room} fit", count=room + excess, room=room)
        ):
            self.cache.append(sequence, layer, *self.tensors(layer, self.next(room + excess)))
            self.cache.read(sequence, layer)  # runs only if nothing was raised: the contents identify the mistake
        self.append(sequence, layer, room)


@dataclass(frozen=True)
class Setting:
    """How to test a technique's cache.

    A *shape* is a named tuple of the constructor's arguments, with ``layers`` and ``dtype`` among them. A layer's keys
    have at most 8 numbers per token, so that they are exact in every dtype.
    """

    model: type[Watched]
    shapes: tuple[Any, ...]
    """The first shape has one layer of two heads of size 3, in float32; others have more layers and other dtypes. Each
    has room for 6 tokens in each of two sequences."""
    scarce: tuple[Any, ...]
    """Small shapes that a few tokens fill: with room for 6 tokens in two sequences, and little more."""
    room: Callable[[Any, int, int], Any]
    """Maps (shape, tokens, sequences) to that shape with room for at least ``tokens`` in each of ``sequences``."""
    variants: tuple[Any, ...] = ()
    """Further shapes for the laws on reading, for example with other block sizes."""
    tolerance: Tolerance = EXACT
    """The accepted difference between what is read and what was appended."""
    methods: tuple[str, ...] = ()
    """Further methods of the cache whose only argument is a sequence."""

    def watch(self, impl: Any, shape: Any) -> Watched:
        """Construct a cache of that shape together with its model."""
        return self.model(impl, shape, self.tolerance)

    @property
    def layered(self) -> tuple[Any, ...]:
        """The shapes with several layers."""
        return tuple(shape for shape in self.shapes if len(shape.layers) > 1)
