"""Each law of key-value caches holds for both solutions, and a wrong cache breaks each law.

Caches of other kinds show that the setting and the model cover the differences between caches: one quantizes its
content, one has values of another size than its keys, and one shares prefixes with later prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import Phase, settings
from torch import Tensor

from groundup.core.registry import Registry
from groundup.core.testing.compare import Tolerance
from groundup.core.testing.laws import Law
from groundup.core.testing.laws import kv_cache as laws
from groundup.core.testing.stateful import machine_test
from groundup.grader.judging.edits import load_edits
from groundup.plugins.inference.kv_cache import properties as contiguous
from groundup.plugins.inference.paged_attention import properties as paged
from groundup.solutions.inference.kv_cache import KVCache
from groundup.solutions.inference.paged_attention import PagedKVCache

LAWS: dict[str, Law[laws.Setting]] = {name: law for name, law in vars(laws).items() if isinstance(law, Law)}
BROKEN_BY = {
    "test_prefill_then_decode_equals_one_append": "writes-from-the-start",
    "test_what_is_read_begins_with_the_first_token": "new-tokens-in-front",
    "test_layers_grow_one_after_another": "one-length-for-all-layers",
    "test_nothing_is_empty_and_zeros_are_not": "length-guessed-from-zeros",
    "test_decoding_equals_attention_over_the_whole_sequence": "misses-the-newest",
    "test_no_number_is_rounded": "always-float32",
    "test_no_gradient_is_kept": "keeps-the-gradient",
    "test_sequences_do_not_mix": "number-taken-for-slot",
    "test_neither_branch_sees_the_other": "fork-shares-the-slot",
    "test_two_caches_share_nothing": "one memory for all caches",
    "test_the_capacity_is_exact_and_one_too_many_changes_nothing": "raises-after-writing",
    "test_a_closed_sequence_is_unknown": "child-opened-before-the-parent-is-found",
    "test_opening_needs_a_free_number": "opens-the-open",
    "test_what_does_not_fit_the_layer_is_refused": "shapes-left-to-broadcast",
    "test_usage_counts_bytes": "values-not-counted",
    "test_any_order_of_calls_agrees_with_a_model": "fork-shares-the-lengths",
}
ROUNDS_NOTHING = ("test_decoding_equals_attention_over_the_whole_sequence", "test_no_number_is_rounded")
BRIEF = settings(
    max_examples=50, stateful_step_count=20, deadline=None, database=None, phases=[Phase.generate], derandomize=True
)


def tried(name: str, setting: laws.Setting, implementation: type[Any]) -> None:
    """Run one law on an implementation; raises if it does not hold."""
    made: Any = LAWS[name](setting)
    if machine := getattr(made, "groundup_machine", None):
        machine_test(machine, implementation, BRIEF)()
    else:
        BRIEF(made)(impl=implementation)


class OneMemory(KVCache):
    """A wrong cache: all caches of the same size share their memory."""

    memory: ClassVar[dict[str, list[Tensor]]] = {}

    def __init__(self, **shape: Any) -> None:
        super().__init__(**shape)
        self.keys = self.memory.setdefault(repr(shape), self.keys)


def wrong(mistake: str) -> type[Any]:
    if mistake == "one memory for all caches":
        return OneMemory
    technique = Registry().technique("kv-cache")
    edit = next(edit for edit in load_edits(technique) if edit.id == mistake)
    module: dict[str, Any] = {"__name__": "edited"}
    exec(edit.apply(technique.files.solution.read_text(encoding="utf-8")), module)
    found: type[Any] = module["KVCache"]
    return found


@pytest.mark.parametrize("name", LAWS)
def test_it_holds_of_a_cache_in_one_piece(name: str) -> None:
    tried(name, contiguous.CACHE, KVCache)


@pytest.mark.parametrize("name", LAWS)
def test_it_holds_of_a_cache_in_blocks(name: str) -> None:
    tried(name, paged.CACHE, PagedKVCache)


@pytest.mark.parametrize("name", LAWS)
def test_a_wrong_cache_breaks_it(name: str) -> None:
    with pytest.raises(AssertionError):
        tried(name, contiguous.CACHE, wrong(BROKEN_BY[name]))


class Counted(KVCache):
    """A cache whose tokens take another number of bytes than the solution's."""

    token_bytes: list[int]

    def usage(self) -> dict[str, int]:
        used = sum(sum(map(int.__mul__, self.token_bytes, lens)) for lens in self.seq_lens.values())
        slot = self.max_seq_len * sum(self.token_bytes)
        total = self.max_batch_size * slot
        return {"used": used, "reserved": len(self.slot) * slot, "total": total, "a key of its own": 1}


class Int8Cache(Counted):
    """Quantizes to 8 bits a number, with a scale for each token and head; it stores the dequantized numbers."""

    def append(self, sequence: int, layer: int, key: Tensor, value: Tensor) -> None:
        super().append(sequence, layer, rounded(key), rounded(value))

    def usage(self) -> dict[str, int]:
        self.token_bytes = [2 * heads * (size + self.dtype.itemsize) for heads, size in self.layers]
        return super().usage()


def rounded(tensor: Tensor) -> Tensor:
    scale = tensor.abs().amax(-1, keepdim=True).clamp(min=2**-20) / 127
    return (tensor / scale).round().mul(scale)


class Int8Model(contiguous.Slots):
    @property
    def token_bytes(self) -> list[int]:
        return [heads * (key + value + 2 * self.shape.dtype.itemsize) for heads, key, value in self.sizes]


INT8 = laws.Setting(
    Int8Model,
    shapes=(contiguous.ONE_LAYER, contiguous.TWO_LAYERS._replace(dtype=torch.float64)),
    scarce=(contiguous.ONE_LAYER._replace(max_seq_len=4),),
    room=contiguous.CACHE.room,
    tolerance=Tolerance(rtol=0.005, atol=0.0),
)


@pytest.mark.parametrize("name", [name for name in LAWS if name not in ROUNDS_NOTHING])
def test_a_cache_may_round_what_it_keeps(name: str) -> None:
    tried(name, INT8, Int8Cache)


@pytest.mark.parametrize("name", ROUNDS_NOTHING)
def test_one_that_says_it_does_not_may_not(name: str) -> None:
    with pytest.raises(AssertionError):
        tried(name, INT8, Int8Cache)


class UnevenCache(Counted):
    """Takes for each layer the number of heads, the size of a key and the size of a value."""

    def __init__(
        self, *, layers: Sequence[tuple[int, int, int]], max_seq_len: int, max_batch_size: int, dtype: torch.dtype
    ) -> None:
        pairs = [(heads, key) for heads, key, _ in layers]
        super().__init__(layers=pairs, max_seq_len=max_seq_len, max_batch_size=max_batch_size, dtype=dtype)
        self.values = [
            torch.zeros(max_batch_size, heads, max_seq_len, value, dtype=dtype) for heads, _, value in layers
        ]
        self.token_bytes = [heads * (key + value) * dtype.itemsize for heads, key, value in layers]

    def _check(self, layer: int, key: Tensor, value: Tensor) -> None:
        super()._check(layer, key, torch.empty_like(key))


class UnevenModel(contiguous.Slots):
    @property
    def sizes(self) -> list[tuple[int, int, int]]:
        return list(self.shape.layers)  # type: ignore[arg-type]


UNEVEN = laws.Setting(
    UnevenModel,
    shapes=(contiguous.Shape(((2, 3, 1),)), contiguous.Shape(((1, 2, 4), (2, 1, 0)))),  # type: ignore[arg-type]
    scarce=(contiguous.Shape(((1, 2, 4),), max_seq_len=4),),  # type: ignore[arg-type]
    room=contiguous.CACHE.room,
)


@pytest.mark.parametrize(
    "name", [name for name in LAWS if name not in (*ROUNDS_NOTHING, "test_what_does_not_fit_the_layer_is_refused")]
)
def test_values_may_have_another_size_than_keys(name: str) -> None:
    tried(name, UNEVEN, UnevenCache)


class Remembers(KVCache):
    """Keeps the last freed sequence whose token ids were given, for a later prompt with the same prefix."""

    text: tuple[list[int], list[tuple[Tensor, Tensor]]] = ([], [])

    def begin(self, sequence: int, tokens: Sequence[int] = ()) -> int:
        super().begin(sequence)
        ids, layers = self.text
        same = [a == b for a, b in zip(ids, tokens, strict=False)]
        found = [*same, False].index(False)
        for layer, (key, value) in enumerate(layers):
            self.append(sequence, layer, key[:, :found], value[:, :found])
        return found

    def free(self, sequence: int, tokens: Sequence[int] = ()) -> None:
        layers = [tuple(t.clone() for t in self.read(sequence, layer)) for layer in range(len(self.layers))]
        super().free(sequence)
        if tokens:
            self.text = list(tokens), layers


class Remembering(contiguous.Slots):
    """The model of ``Remembers``: a known prefix of a prompt is in the cache from the start."""

    text: tuple[list[int], list[list[int]]] = ([], [])

    def cached(self, prompt: Sequence[int]) -> int:
        same = [a == b for a, b in zip(self.text[0], prompt, strict=False)]
        return [*same, False].index(False)

    def begin(self, sequence: int, *prompt: Sequence[int]) -> None:
        super().begin(sequence, *prompt)
        if prompt:
            self.held[sequence] = [held[: self.cached(*prompt)] for held in self.text[1]] or self.held[sequence]

    def free(self, sequence: int, *ids: Sequence[int]) -> None:
        held = self.held[sequence]
        super().free(sequence, *ids)
        if ids:
            self.text = list(ids[0]), held


PREFIXES = laws.Setting(
    Remembering, shapes=contiguous.CACHE.shapes, scarce=contiguous.CACHE.scarce, room=contiguous.CACHE.room
)


@pytest.mark.parametrize("name", LAWS)
def test_a_cache_may_share_prefixes(name: str) -> None:
    tried(name, PREFIXES, Remembers)


@pytest.mark.parametrize(("cache", "right"), [(Remembers, True), (KVCache, False)])
def test_what_a_prompt_finds_is_part_of_the_model(cache: type[Any], right: bool) -> None:
    watched = PREFIXES.watch(cache, contiguous.TWO_LAYERS)
    watched.fill(9, 3)
    watched.free(9, [7, 8, 5])
    if right:
        watched.begin(3, [7, 8, 6])
        assert [len(numbers) for numbers in watched.held[3]] == [2, 2]
        watched.check_everything()
    else:
        with pytest.raises(AssertionError, match=r"the answer of begin\(3\)"):
            watched.begin(3, [7, 8, 6])
