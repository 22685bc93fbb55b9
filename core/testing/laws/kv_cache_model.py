"""A key-value cache, and beside it a model of what it should hold: lists of numbers.

Tokens are numbered. Token n holds n, n + 1/8, n + 2/8 ... as its key and the same below zero as its value, so that a
number found in the wrong place says which token it came from.
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

NAMES = (0, 6, -6, 12)  # equal modulo 2 and modulo 3: a number taken for a slot meets itself again; and 0 is a number
TOKENS = 31  # of different numbers; each of theirs is exact in bfloat16, the narrowest dtype here


class Watched(ABC):
    """A cache, and beside it the numbers of the tokens that each layer of each open sequence should hold.

    Each technique derives its own model: what there is room for, what ``usage`` should count, and whatever else its
    cache tells. ``shape`` is a named tuple of what the constructor takes.
    """

    def __init__(self, impl: Any, shape: Any, tolerance: Tolerance = EXACT) -> None:
        self.shape, self.tolerance, self.appended = shape, tolerance, 0
        self.cache = impl(**shape._asdict())
        self.held: dict[int, list[list[int]]] = {}

    # What a technique says of its cache.

    @abstractmethod
    def fits(self, sequence: int, layer: int, count: int) -> bool:
        """Whether there is room for ``count`` more tokens in one layer of ``sequence``."""

    @abstractmethod
    def usage(self) -> dict[str, int]:
        """Return the bytes that ``usage`` should count: used, reserved, total."""

    def refusals(self, sequence: int, parent: int | None = None) -> list[type[Exception]]:
        """Return what opening ``sequence`` may raise; where there is anything, it must raise one of these.

        With a ``parent`` it is opened by fork.
        """
        return [ValueError] if sequence in self.held else []

    def cached(self, prompt: Sequence[int]) -> int:
        """Return how many tokens of ``prompt`` a new sequence should find in the cache."""
        return 0

    @property
    def sizes(self) -> list[tuple[int, int, int]]:
        """Of each layer: heads, size of a key, size of a value."""
        return [(heads, size, size) for heads, size in self.shape.layers]

    @property
    def token_bytes(self) -> list[int]:
        """Of each layer: the bytes of one token, key and value, where every number is kept in the shape's dtype."""
        byte = torch.empty(0, dtype=self.shape.dtype).element_size()
        return [heads * (key + value) * byte for heads, key, value in self.sizes]

    # Calls, noted in the model.

    @property
    def layers(self) -> range:
        """The places of the layers, from 0."""
        return range(len(self.sizes))

    def begin(self, sequence: int, *prompt: Sequence[int]) -> None:
        """Open ``sequence``, with the ids of a prompt or without."""
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
        """Note what an append has done."""
        self.held[sequence][layer] += numbers

    def forward(self, sequence: int, count: int) -> None:
        """Append as one forward pass does: one layer after the other."""
        numbers = [self.next(count) for _ in self.layers]
        each(self.cache.append, [(sequence, n, *self.tensors(n, numbers[n])) for n in self.layers])
        for layer in self.layers:
            self.appended_to(sequence, layer, numbers[layer])

    def fill(self, sequence: int, *counts: int) -> None:
        """Begin with ``counts`` tokens in the layers, the last count in all that remain."""
        self.begin(sequence)
        for layer in self.layers:
            self.append(sequence, layer, counts[min(layer, len(counts) - 1)])

    def fork(self, parent: int, child: int) -> None:
        """Open ``child`` as a copy of ``parent``."""
        self.cache.fork(parent, child)
        self.held[child] = [list(numbers) for numbers in self.held[parent]]

    def free(self, sequence: int, *ids: Sequence[int]) -> None:
        """Close ``sequence``, with the ids of its tokens or without."""
        self.cache.free(sequence, *ids)
        del self.held[sequence]

    def next(self, count: int) -> list[int]:
        """Return the numbers of new tokens; after TOKENS of them they begin anew."""
        numbers = [n % TOKENS + 1 for n in range(self.appended, self.appended + count)]
        self.appended += count
        return numbers

    def tensors(self, layer: int, numbers: Sequence[int], layout: str = "contiguous") -> tuple[Tensor, Tensor]:
        """Return the keys (G, T, D) and the values (G, T, E) of the tokens of these numbers."""
        heads, *sizes = self.sizes[layer]
        token = torch.tensor(numbers, dtype=torch.float64)[:, None]
        key, value = (
            (token + torch.arange(heads * size, dtype=torch.float64).reshape(heads, 1, size) / 8) for size in sizes
        )
        return laid_out(key.to(self.shape.dtype), layout), laid_out(-value.to(self.shape.dtype), layout)

    # Comparisons.

    def check(self, *places: tuple[int, int]) -> None:
        """Check that layers of sequences read back what they should hold, in the cache's dtype."""
        for (sequence, layer), got in zip(places, each(self.cache.read, places), strict=True):
            self.check_read(sequence, layer, got, self.tensors(layer, self.held[sequence][layer]))

    def check_read(self, sequence: int, layer: int, got: Any, expected: tuple[Tensor, Tensor]) -> None:
        """Check what ``read`` answered."""
        if not isinstance(got, tuple) or len(got) != 2:
            raise Mismatch(Message("read returns no pair"), Message("a tuple of keys and values"), type(got).__name__)
        for name, ours, theirs in zip(("key", "value"), expected, got, strict=True):
            what = Message("the {name} tensor of read({sequence}, {layer})", name=name, sequence=sequence, layer=layer)
            assert_close(theirs, ours, dtype=ours.dtype, tolerance=self.tolerance, what=what)

    def check_all(self) -> None:
        """Check that every layer of every open sequence reads back what it should hold."""
        self.check(*itertools.product(self.held, self.layers))

    def check_usage(self) -> None:
        """Check the count of bytes. Further keys are a technique's own."""
        got, expected = self.cache.usage(), self.usage()
        assert_equal({name: got.get(name) for name in expected}, expected, what=Message("the usage"))

    def check_unchanged(self) -> None:
        """Check all that is read, and the count of bytes."""
        self.check_all()
        self.check_usage()

    def check_everything(self) -> None:
        """Check all that the cache tells. A technique whose cache tells more checks that, too."""
        self.check_unchanged()

    def check_begins(self, *places: tuple[int, int]) -> None:
        """Check that what is read back begins with the tokens appended, however many of them, or more, it is."""
        for (sequence, layer), got in zip(places, each(self.cache.read, places), strict=True):
            expected = self.tensors(layer, self.held[sequence][layer])
            if isinstance(got, tuple) and all(isinstance(t, Tensor) and t.dim() == 3 for t in got):
                stop = min(tensor.shape[1] for tensor in (*got, expected[0]))
                got, expected = (tuple(tensor[:, :stop] for tensor in pair) for pair in (got, expected))
            self.check_read(sequence, layer, got, expected)

    def told(self) -> dict[str, Any]:
        """Return what the cache tells of itself now, each under its name: what it holds, and the count of bytes."""
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
        """Check that one of ``types`` is raised inside the block, and that the cache tells what it told before."""
        before = self.told()
        with rejects(*types, what=what):
            yield
        after = self.told()
        for name, was in before.items():
            assert_equal(after.get(name), was, what=Message("after {what}, {name}", what=what, name=name))

    def check_room(self, sequence: int, layer: int, *, full: bool = False) -> None:
        """Check that exactly as many tokens fit as there is room for, and that one too many changes nothing.

        ``full``: after all the room has been filled.
        """
        room = next(count for count in itertools.count() if not self.fits(sequence, layer, count + 1))
        if full:
            self.append(sequence, layer, room)
            room = 0
        with self.refused(
            CacheFullError, what=Message("appending {count} tokens where {room} fit", count=room + 1, room=room)
        ):
            self.cache.append(sequence, layer, *self.tensors(layer, self.next(room + 1)))
            self.cache.read(sequence, layer)  # reached by mistake only: what was kept instead tells which mistake it is
        self.append(sequence, layer, room)


@dataclass(frozen=True)
class Setting:
    """What a technique says of its cache, so that the laws can be tried on it.

    A *shape* is a named tuple of what the constructor takes, ``layers`` and ``dtype`` among it. A layer's keys have at
    most 8 numbers a token, so that they are exact in every dtype.
    """

    model: type[Watched]
    shapes: tuple[Any, ...]
    """The first has one layer of two heads of size 3, in float32; others have more layers, and other dtypes. Each has
    room for 6 tokens in each of two sequences."""
    scarce: tuple[Any, ...]
    """Shapes that a few tokens fill: with room for 6 in two sequences, and little more."""
    room: Callable[[Any, int, int], Any]
    """Called with a shape, tokens and sequences: the shape with room for at least so many tokens in each of so many."""
    variants: tuple[Any, ...] = ()
    """Further shapes for what a sequence reads back: other sizes of blocks, say."""
    tolerance: Tolerance = EXACT
    """How far what is read may be from what was appended."""
    methods: tuple[str, ...] = ()
    """Further methods that are given a sequence alone."""

    def watch(self, impl: Any, shape: Any) -> Watched:
        """Construct a cache of that shape, and the model beside it."""
        return self.model(impl, shape, self.tolerance)

    @property
    def layered(self) -> tuple[Any, ...]:
        """The shapes of several layers."""
        return tuple(shape for shape in self.shapes if len(shape.layers) > 1)
