"""Laws of key/value caches, whether contiguous, in blocks, in a tree or otherwise.

A technique derives a model from ``Watched``, and describes how to construct its cache in a ``Setting``::

    from groundup.core.testing.laws import kv_cache as laws

    class Shape(NamedTuple):
        layers: tuple[tuple[int, int], ...] = ((2, 3),)
        max_tokens: int = 6
        dtype: torch.dtype = torch.float32

    class Model(laws.Watched):
        def fits(self, sequence, layer, count): ...
        def usage(self): ...

    CACHE = laws.Setting(Model, shapes=(Shape(), ...), scarce=(Shape(max_tokens=4), ...), room=...)
    test_sequences_do_not_mix = laws.test_sequences_do_not_mix(CACHE, hole=1)

The laws open sequences without a prompt and free them without ids, so that a cache with prefix sharing stores them like
any other cache. A cache that rounds its contents declares its tolerance, and leaves out the laws on exact contents.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from torch import Tensor

from groundup.core.interfaces.kv_cache import CacheFullError
from groundup.core.messages import Message
from groundup.core.testing.compare import assert_equal, rejects
from groundup.core.testing.laws import Property, law
from groundup.core.testing.laws.kv_cache_model import NAMES, TOKENS, Setting, Watched
from groundup.core.testing.laws.kv_cache_reading import (
    test_decoding_equals_attention_over_the_whole_sequence,
    test_layers_grow_one_after_another,
    test_neither_branch_sees_the_other,
    test_no_gradient_is_kept,
    test_no_number_is_rounded,
    test_nothing_is_empty_and_zeros_are_not,
    test_prefill_then_decode_equals_one_append,
    test_sequences_do_not_mix,
    test_two_caches_share_nothing,
    test_what_is_read_begins_with_the_first_token,
)
from groundup.core.testing.marks import about
from groundup.core.testing.stateful import ImplMachine, state_machine

__all__ = [
    "NAMES",
    "TOKENS",
    "Setting",
    "Watched",
    "machine",
    "test_a_closed_sequence_is_unknown",
    "test_any_order_of_calls_agrees_with_a_model",
    "test_decoding_equals_attention_over_the_whole_sequence",
    "test_layers_grow_one_after_another",
    "test_neither_branch_sees_the_other",
    "test_no_gradient_is_kept",
    "test_no_number_is_rounded",
    "test_nothing_is_empty_and_zeros_are_not",
    "test_opening_needs_a_free_number",
    "test_prefill_then_decode_equals_one_append",
    "test_sequences_do_not_mix",
    "test_the_capacity_is_exact_and_one_too_many_changes_nothing",
    "test_two_caches_share_nothing",
    "test_usage_counts_bytes",
    "test_what_does_not_fit_the_layer_is_refused",
    "test_what_is_read_begins_with_the_first_token",
]


# Refused calls, which change nothing


@law(
    "Exactly as many tokens fit as the capacity says. One too many raises CacheFullError, and then nothing has "
    "changed: what is left can still be filled.",
    zh="恰好能放下容量那么多的词元。多一个就抛出 CacheFullError，此后一切不变：剩下的位置仍可写入。",
)
def test_the_capacity_is_exact_and_one_too_many_changes_nothing(setting: Setting) -> Property:
    @given(
        shape=st.sampled_from(setting.scarce),
        others=st.integers(0, 3),
        held=st.integers(0, 3),
        layer=st.sampled_from((0, -1)),
        full=st.booleans(),
        excess=st.sampled_from((1, 3)),
    )
    def holds(impl: Any, shape: Any, others: int, held: int, layer: int, full: bool, excess: int) -> None:
        watched = setting.watch(impl, shape)
        watched.fill(3, others)
        watched.fill(9, held)
        watched.check_room(9, watched.layers[layer], full=full, excess=excess)

    return holds


@law(
    "A sequence that was never opened, or was freed, cannot be appended to, read, forked or freed: KeyError, and "
    "nothing has changed.",
    zh="从未打开或已经释放的序列不能写入、读取、分叉或释放：抛出 KeyError，且一切不变。",
)
@about("refusal")
def test_a_closed_sequence_is_unknown(setting: Setting) -> Property:
    @given(call=st.sampled_from(("append", "fork", "free", "read", *setting.methods)), freed=st.booleans())
    def holds(impl: Any, call: str, freed: bool) -> None:
        watched = setting.watch(impl, setting.layered[0])
        watched.fill(9, 2)
        if freed:
            watched.fill(3, 1)
            watched.free(3)
        further = {"append": (0, *watched.tensors(0, [1])), "fork": (27,), "read": (0,)}
        with watched.refused(KeyError, what=Message("{call} with a sequence that is not open", call=call)):
            getattr(watched.cache, call)(3, *further.get(call, ()))
        watched.begin(27)  # the refused fork has not opened 27

    return holds


@law(
    "A number in use cannot be opened again, by begin or by fork: ValueError, and nothing has changed.",
    zh="正在使用的编号不能再次打开，begin 和 fork 都一样：抛出 ValueError，且一切不变。",
)
@about("refusal")
def test_opening_needs_a_free_number(setting: Setting) -> Property:
    @given(
        call=st.sampled_from(
            [Message("begin an open one"), Message("fork onto an open one"), Message("fork onto itself")]
        )
    )
    def holds(impl: Any, call: str) -> None:
        watched = setting.watch(impl, setting.layered[0])
        watched.fill(9, 3)
        watched.fill(3, 2)
        with watched.refused(ValueError, what=call):
            if call == "begin an open one":
                watched.cache.begin(9)
            else:
                watched.cache.fork(9, 3 if call == "fork onto an open one" else 9)

    return holds


WRONG: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {  # make keys and values of two tokens invalid
    Message("one head where there are two"): lambda key, value: (key[:1], value[:1]),
    Message("no axis of heads"): lambda key, value: (key[0], value[0]),
    Message("an axis of sequences"): lambda key, value: (key[None], value[None]),
    Message("a smaller head"): lambda key, value: (key[..., :1], value[..., :1]),
    Message("values of a smaller head"): lambda key, value: (key, value[..., :1]),
    Message("tokens where the heads should be"): lambda key, value: (key.mT, value.mT),
    Message("two keys and one value"): lambda key, value: (key, value[:, :1]),
    Message("another dtype"): lambda key, value: (key.to(torch.float64), value.to(torch.float64)),
    Message("values of another dtype"): lambda key, value: (key, value.to(torch.float16)),
}


@law(
    "Keys and values of another shape or dtype than the layer's are refused with ValueError, not broadcast or cast, "
    "and nothing has changed.",
    zh="形状或 dtype 与该层不符的键和值会被拒绝并抛出 ValueError，既不广播也不转换，且一切不变。",
)
@about("refusal")
def test_what_does_not_fit_the_layer_is_refused(setting: Setting) -> Property:
    @given(wrong=st.sampled_from(sorted(WRONG)))
    def holds(impl: Any, wrong: str) -> None:
        watched = setting.watch(impl, setting.shapes[0])
        watched.fill(9, 1)
        with watched.refused(ValueError, what=wrong):
            watched.cache.append(9, 0, *WRONG[wrong](*watched.tensors(0, watched.next(2))))

    return holds


# Memory usage, and calls in any order


@law(
    "Used are the bytes of the tokens held, key and value, layer by layer, shared ones once; reserved those that open "
    "sequences keep from others; total all there are. Every call counts at once.",
    zh="used 是各层持有的词元的键和值所占的字节，共享的只算一次；reserved 是打开的序列占着、别人用不了的字节；"
    "total 是全部字节。每个操作都立即计入。",
)
def test_usage_counts_bytes(setting: Setting) -> Property:
    @given(
        shape=st.sampled_from(setting.layered),
        dtype=st.sampled_from((torch.float16, torch.float32, torch.float64)),
    )
    def holds(impl: Any, shape: Any, dtype: torch.dtype) -> None:
        watched = setting.watch(impl, shape._replace(dtype=dtype))
        watched.begin(3)
        watched.check_usage()
        watched.forward(3, 3)
        watched.append(3, watched.layers[-1], 2)  # only one layer: the middle of a forward pass
        watched.check_usage()
        watched.fork(3, 9)
        watched.check_usage()
        watched.append(9, 0, 2)
        watched.check_usage()
        watched.free(3)
        watched.check_usage()
        got = watched.cache.usage()
        kinds = [type(got[name]).__name__ for name in ("used", "reserved", "total")]
        assert_equal(kinds, ["int"] * 3, what=Message("the types in the usage"))

    return holds


def machine(setting: Setting) -> type[ImplMachine]:
    """Return a state machine that runs a cache and its model. The cache must refuse what the model has no room for."""

    class AgainstAModel(ImplMachine):
        """Opens, appends, forks, frees and reads in any order."""

        @initialize(shape=st.sampled_from(setting.scarce))
        def construct(self, shape: Any) -> None:
            self.watched = setting.watch(self.impl, shape)
            self.watched.fill(0, 3)

        def opened(self, which: int) -> int:
            """Return open sequence number ``which``, in order of opening, modulo their count."""
            return list(self.watched.held)[which % len(self.watched.held)]

        def some_open(self) -> bool:
            return bool(self.watched.held)

        @rule(sequence=st.sampled_from(NAMES))
        def begin(self, sequence: int) -> None:
            with unless(self.watched.refusals(sequence)):
                self.watched.begin(sequence)
                self.watched.check((sequence, 0))

        @precondition(some_open)
        @rule(which=st.integers(0, 3), layer=st.integers(0, 1), count=st.integers(0, 3))
        def append(self, which: int, layer: int, count: int) -> None:
            sequence, layer = self.opened(which), layer % len(self.watched.layers)
            with unless([] if self.watched.fits(sequence, layer, count) else [CacheFullError]):
                self.watched.append(sequence, layer, count)
            self.watched.check((sequence, layer))

        @precondition(some_open)
        @rule(which=st.integers(0, 3), nth=st.integers(0, 3), layer=st.integers(0, 1))
        def fork(self, which: int, nth: int, layer: int) -> None:
            parent, closed = self.opened(which), [name for name in NAMES if name not in self.watched.held] or NAMES
            child = closed[nth % len(closed)]
            with unless(self.watched.refusals(child, parent)):
                self.watched.fork(parent, child)
                self.watched.check((child, layer % len(self.watched.layers)))

        @precondition(some_open)
        @rule(which=st.integers(0, 3), layer=st.integers(0, 1))
        def decode(self, which: int, layer: int) -> None:
            """Append one token to each layer from a drawn one on, where it fits, and check everything."""
            sequence = self.opened(which)
            for ahead in range(layer % len(self.watched.layers), len(self.watched.layers)):
                if self.watched.fits(sequence, ahead, 1):
                    self.watched.append(sequence, ahead, 1)
            self.watched.check_everything()

        @precondition(some_open)
        @rule(which=st.integers(0, 3))
        def free(self, which: int) -> None:
            self.watched.free(self.opened(which))
            self.watched.check_usage()

    return AgainstAModel


def unless(due: list[type[Exception]]) -> AbstractContextManager[None]:
    """Return a context in which the call must raise one of ``due``; if ``due`` is empty, it must not raise."""
    return rejects(*due, what=Message("the last step")) if due else nullcontext()


@law(
    "In whatever order sequences are opened, appended to, forked and freed: each reads back what was appended to it, "
    "all that the cache tells of its memory agrees with a model, and what there is no room for is refused.",
    zh="无论以什么顺序打开、写入、分叉、释放：每个序列都读回写入它的内容，缓存报告的内存情况都与模型一致，"
    "放不下的都被拒绝。",
)
def test_any_order_of_calls_agrees_with_a_model(setting: Setting) -> Property:
    @state_machine(machine(setting))
    def holds(impl: Any) -> None: ...

    return holds
