"""Properties of every right contiguous key/value cache."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.interfaces.kv_cache import CacheFullError
from groundup.core.messages import Message
from groundup.core.testing import about, after, assert_equal, claim, hole, state_machine
from groundup.core.testing.laws import kv_cache as laws


class Shape(NamedTuple):
    """The constructor's arguments. ``layers`` holds (heads, head size) for each layer."""

    layers: tuple[tuple[int, int], ...] = ((2, 3),)
    max_seq_len: int = 6
    max_batch_size: int = 3
    dtype: torch.dtype = torch.float32


ONE_LAYER = Shape()
TWO_LAYERS = Shape(((1, 2), (3, 1)), dtype=torch.float16)
THREE_LAYERS = Shape(((2, 1), (1, 3), (2, 2)), dtype=torch.bfloat16)


class Slots(laws.Watched):
    """The model: each open sequence has its own slot with room for ``max_seq_len`` tokens."""

    shape: Shape

    def fits(self, sequence: int, layer: int, count: int) -> bool:
        return len(self.held[sequence][layer]) + count <= self.shape.max_seq_len

    def refusals(self, sequence: int, parent: int | None = None) -> list[type[Exception]]:
        full = len(self.held) == self.shape.max_batch_size
        return super().refusals(sequence, parent) + full * [CacheFullError]

    def usage(self) -> dict[str, int]:
        slot = self.shape.max_seq_len * sum(self.token_bytes)
        return {
            "used": sum(len(held[n]) * self.token_bytes[n] for held in self.held.values() for n in self.layers),
            "reserved": len(self.held) * slot,
            "total": self.shape.max_batch_size * slot,
        }


CACHE = laws.Setting(
    Slots,
    shapes=(ONE_LAYER, TWO_LAYERS, THREE_LAYERS),
    scarce=(ONE_LAYER._replace(max_seq_len=4), TWO_LAYERS._replace(max_seq_len=4)),
    room=lambda shape, tokens, sequences: shape._replace(max_seq_len=max(6, tokens), max_batch_size=sequences),
)


@claim(
    "As many sequences can be open as were asked for, whatever their numbers; one more raises CacheFullError. Freeing "
    "one makes room for exactly one.",
    zh="无论编号是什么，能同时打开的序列数正好是要求的数目；再多一个就抛出 CacheFullError。释放一个恰好腾出一个位置。",
)
@hole(1)
@given(names=st.sampled_from([(0,), (6, 0), (-6, 6, 0), (12, 0, -6, 6)]), freed=st.integers(0, 3))
def test_as_many_can_be_open_as_were_asked_for(impl: Any, names: tuple[int, ...], freed: int) -> None:
    watched = CACHE.watch(impl, TWO_LAYERS._replace(max_batch_size=len(names)))
    for sequence in names:
        watched.begin(sequence)
    for again in (45, names[freed % len(names)]):
        with watched.refused(
            CacheFullError,
            what=Message("opening {count} sequences where {room} fit", count=len(names) + 1, room=len(names)),
        ):
            watched.cache.begin(8)
        watched.free(list(watched.held)[freed % len(names)])
        watched.begin(again)
    with watched.refused(
        CacheFullError,
        what=Message("opening {count} sequences where {room} fit", count=len(names) + 1, room=len(names)),
    ):
        watched.cache.begin(8)


@claim(
    "A sequence begins with nothing in it and takes what it held with it when it is freed: opening it does not change "
    "what is used, whatever others hold or held, and once it is freed as much is used as before.",
    zh="序列打开时是空的，释放时带走它持有的内容：无论其他序列现在或曾经持有什么，打开它不改变 used；"
    "释放之后，used 回到打开之前的数目。",
)
@hole(1)
@given(
    shape=st.sampled_from((ONE_LAYER, TWO_LAYERS)),
    new=st.sampled_from([3, 9]),
    counts=st.sampled_from([(1, 2), (2, 1)]),
)
def test_opening_and_freeing_use_nothing(impl: Any, shape: Shape, new: int, counts: tuple[int, int]) -> None:
    watched = CACHE.watch(impl, shape)
    used = []
    for sequence, count in zip((5, 9), counts, strict=True):
        used.append(watched.cache.usage()["used"])
        watched.begin(sequence)
        assert_equal(
            watched.cache.usage()["used"], used[-1], what=Message("used once {sequence} is open", sequence=sequence)
        )
        watched.append(sequence, 0, count)
    watched.free(9)
    assert_equal(watched.cache.usage()["used"], used[1], what=Message("used once 9 is freed"))
    watched.begin(new)
    assert_equal(watched.cache.usage()["used"], used[1], what=Message("used once {new} is open in its place", new=new))


test_what_is_read_begins_with_the_first_token = laws.test_what_is_read_begins_with_the_first_token(CACHE, hole=2)
test_prefill_then_decode_equals_one_append = laws.test_prefill_then_decode_equals_one_append(CACHE, hole=3)
test_layers_grow_one_after_another = laws.test_layers_grow_one_after_another(CACHE, hole=3)
test_nothing_is_empty_and_zeros_are_not = laws.test_nothing_is_empty_and_zeros_are_not(CACHE, hole=3)
test_decoding_equals_attention_over_the_whole_sequence = laws.test_decoding_equals_attention_over_the_whole_sequence(
    CACHE, hole=3, after=test_prefill_then_decode_equals_one_append
)
test_sequences_do_not_mix = laws.test_sequences_do_not_mix(CACHE, hole=3)
test_the_capacity_is_exact_and_one_too_many_changes_nothing = (
    laws.test_the_capacity_is_exact_and_one_too_many_changes_nothing(
        CACHE,
        hole=2,
        claim={
            "en": "Exactly as many tokens fit as the capacity says, in each sequence. One too many raises "
            "CacheFullError, and then nothing has changed: what is left can still be filled.",
            "zh": "每个序列恰好能放下容量那么多的词元。多一个就抛出 CacheFullError，此后一切不变：剩下的位置仍可写入。",
        },
    )
)


@claim(
    "A fork begins with all that its parent holds, and neither sees what is appended to the other, or misses the other "
    "once it is freed.",
    zh="分叉出的序列一开始拥有父序列的全部内容；此后双方看不到对方新写入的词元，一方释放也不影响另一方。",
)
@hole(4)
@given(
    shape=st.sampled_from((ONE_LAYER, TWO_LAYERS)),
    held=st.sampled_from([(1, 1), (5, 4)]),
    turns=st.sampled_from([(9, 3), (3, 9), (9, 3, 27, 8, 45), (45, 8, 27, 3, 9)]),
)
def test_a_fork_shares_nothing(impl: Any, shape: Shape, held: tuple[int, int], turns: tuple[int, ...]) -> None:
    watched = CACHE.watch(impl, shape._replace(max_seq_len=held[0] + 2, max_batch_size=len(turns)))
    watched.begin(9)
    for layer in watched.layers:  # the first may hold more tokens, as in the middle of a forward pass
        watched.append(9, layer, held[layer])
    for parent, child in [(9, 3), (9, 27), (27, 8), (8, 45)][: len(turns) - 1]:
        watched.fork(parent, child)
    first, *others = turns
    watched.forward(first, 1)
    watched.check_all()
    for sequence in others:
        watched.forward(sequence, 2)
    watched.check_all()
    watched.free(first)
    watched.fork(others[-1], 6)  # its first layer is full
    watched.check_all()


@claim(
    "A sequence that is opened in the place of a freed one begins empty, whatever its number, and leaves the others "
    "alone.",
    zh="在已释放序列的位置上打开的新序列，无论编号是什么，都从空开始，其余序列不受影响。",
)
@hole(3)
@given(
    shape=st.sampled_from((ONE_LAYER._replace(max_batch_size=2), TWO_LAYERS._replace(max_batch_size=5))),
    freed=st.integers(0, 1),
    again=st.booleans(),
)
def test_a_sequence_in_a_freed_place_begins_empty(impl: Any, shape: Shape, freed: int, again: bool) -> None:
    watched, ids = CACHE.watch(impl, shape), [7, 8, 5, 8]
    names = (*laws.NAMES, 9)[: shape.max_batch_size]
    for sequence in names:
        watched.begin(sequence, ids)
        watched.forward(sequence, 2)
    watched.free(names[freed], ids)
    new = names[freed] if again else 45
    watched.begin(new, ids)  # a prompt seen before; this cache shares no prefixes
    watched.check_all()
    watched.forward(new, 1)
    watched.check_all()


test_a_closed_sequence_is_unknown = laws.test_a_closed_sequence_is_unknown(CACHE, hole=1)


@claim(
    "A number in use cannot be opened again, by begin or by fork: ValueError. A fork needs a free slot: "
    "CacheFullError. Nothing has changed then.",
    zh="正在使用的编号不能再次打开，begin 和 fork 都一样：抛出 ValueError。"
    "分叉需要空闲的槽：否则抛出 CacheFullError。此后一切不变。",
)
@about("refusal")
@hole(1)
@given(
    call=st.sampled_from(
        [
            Message("begin an open one"),
            Message("fork onto an open one"),
            Message("fork onto itself"),
            Message("fork without a free slot"),
        ]
    )
)
def test_opening_needs_a_free_number_and_a_vacant_slot(impl: Any, call: str) -> None:
    full = call == "fork without a free slot"
    watched = CACHE.watch(impl, TWO_LAYERS._replace(max_batch_size=2 if full else 3))
    for sequence in (9, 3):
        watched.begin(sequence)
        watched.forward(sequence, 2)
    with watched.refused(CacheFullError if full else ValueError, what=call):
        if call == "begin an open one":
            watched.cache.begin(9)
        else:
            watched.cache.fork(9, {"fork onto an open one": 3, "fork onto itself": 9}.get(call, 27))


test_what_does_not_fit_the_layer_is_refused = laws.test_what_does_not_fit_the_layer_is_refused(CACHE, hole=1)
test_usage_counts_bytes = laws.test_usage_counts_bytes(
    CACHE,
    hole=5,
    claim={
        "en": "Used are the bytes of the tokens held, key and value, layer by layer; reserved those of the open "
        "sequences' slots; total those of all slots. Opening, appending, forking and freeing count at once.",
        "zh": "used 是各层持有的词元的键和值所占的字节，reserved 是已打开序列的槽所占的字节，total 是所有槽的字节；"
        "打开、写入、分叉、释放都立即计入。",
    },
)
test_no_number_is_rounded = laws.test_no_number_is_rounded(CACHE, hole=3)
test_no_gradient_is_kept = laws.test_no_gradient_is_kept(CACHE, hole=2)
test_two_caches_share_nothing = laws.test_two_caches_share_nothing(CACHE, hole=3)


@claim(
    "In whatever order sequences are opened, appended to, forked and freed: each reads back what was appended to it, "
    "every byte is counted, and what there is no room for is refused.",
    zh="无论以什么顺序打开、写入、分叉、释放：每个序列都读回写入它的内容，每个字节都计入，放不下的都被拒绝。",
)
@after(test_prefill_then_decode_equals_one_append)
@state_machine(laws.machine(CACHE))
def test_any_order_of_calls_agrees_with_a_dict(impl: Any) -> None: ...
