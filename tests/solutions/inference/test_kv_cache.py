"""The solution of inference/kv-cache against hand-worked numbers, a decoder without a cache and a long random walk."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from groundup.core.interfaces.kv_cache import CacheFullError, KVCacheManager
from groundup.solutions.inference.kv_cache import KVCache


def test_the_lessons_example() -> None:
    cache = KVCache(layers=[(1, 1)], max_seq_len=4, max_batch_size=2, dtype=torch.float32)
    usage = [tuple(cache.usage().values())]
    cache.begin(7)
    usage.append(tuple(cache.usage().values()))
    for part in (2, 1):
        cache.append(7, 0, torch.ones(1, part, 1), torch.ones(1, part, 1))
        usage.append(tuple(cache.usage().values()))
    cache.fork(7, 5)
    with pytest.raises(CacheFullError, match="5 tokens in layer 0, 4 fit"):
        cache.append(5, 0, torch.ones(1, 2, 1), torch.ones(1, 2, 1))
    usage.append(tuple(cache.usage().values()))
    cache.free(7)
    usage.append(tuple(cache.usage().values()))
    cache.begin(9)
    usage.append(tuple(cache.usage().values()))
    assert list(cache.usage()) == ["used", "reserved", "total"]
    assert usage == [(0, 0, 64), (0, 32, 64), (16, 32, 64), (24, 32, 64), (48, 64, 64), (24, 32, 64), (24, 64, 64)]
    assert cache.read(9, 0)[0].shape == (1, 0, 1)


@pytest.mark.parametrize(
    ("layers", "heads", "size", "dtype", "token"),
    [
        (40, 40, 128, torch.float16, 819_200),  # LLaMA-13B and OPT-13B: 800 KB in Kwon et al. 2023, section 3
        (32, 8, 128, torch.bfloat16, 128 * 1024),  # Llama 3.1 8B
        (32, 32, 128, torch.bfloat16, 512 * 1024),  # the same without grouped queries
        (32, 1, 128, torch.float32, 32 * 1024),
    ],
)
def test_a_token_of_a_known_model_costs_its_known_bytes(
    layers: int, heads: int, size: int, dtype: torch.dtype, token: int
) -> None:
    cache = KVCache(layers=[(heads, size)] * layers, max_seq_len=1, max_batch_size=1, dtype=dtype)
    held = sum(tensor.nbytes for tensor in (*cache.keys, *cache.values))
    assert cache.usage() == {"used": 0, "reserved": 0, "total": token}
    assert held == token


def test_a_decoder_with_the_cache_computes_what_one_without_it_does() -> None:
    torch.manual_seed(0)
    text = torch.randn(9, 8, dtype=torch.float64)
    decoder = Decoder(width=8, layers=[(2, 4), (1, 2), (4, 3)])
    whole = decoder.forward(text, cache=None)
    cache = KVCache(layers=decoder.layers, max_seq_len=9, max_batch_size=2, dtype=torch.float64)
    cache.begin(3)
    cache.begin(9)
    steps: dict[int, list[Tensor]] = {3: [], 9: []}
    for first, stop in [(0, 4), (4, 5), (5, 6), (6, 9)]:
        for sequence, sign in ((3, 1), (9, -1)):
            steps[sequence].append(decoder.forward(sign * text[first:stop], cache, sequence))
    torch.testing.assert_close(torch.cat(steps[3]), whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.cat(steps[9]), decoder.forward(-text, cache=None), rtol=1e-12, atol=1e-12)


class Decoder:
    """A few layers of causal attention with different head counts; three query heads share a key/value head."""

    def __init__(self, width: int, layers: list[tuple[int, int]]) -> None:
        def weight(*shape: int) -> Tensor:
            return torch.randn(shape, dtype=torch.float64) / width**0.5

        self.layers = layers
        self.weights = [
            (weight(width, 3 * g * d), weight(width, g * d), weight(width, g * d), weight(3 * g * d, width))
            for g, d in layers
        ]

    def forward(self, x: Tensor, cache: KVCacheManager | None, sequence: int = 0) -> Tensor:
        for layer, (g, d) in enumerate(self.layers):
            to_query, to_key, to_value, back = self.weights[layer]
            query, key, value = ((x @ w).unflatten(1, (-1, d)).transpose(0, 1) for w in (to_query, to_key, to_value))
            if cache is not None:
                cache.append(sequence, layer, key, value)
                key, value = cache.read(sequence, layer)
            mask = torch.ones(query.shape[1], key.shape[1], dtype=torch.bool).tril(key.shape[1] - query.shape[1])
            key, value = key.repeat_interleave(3, dim=0), value.repeat_interleave(3, dim=0)
            mixed = scaled_dot_product_attention(query, key, value, attn_mask=mask)
            x = x + mixed.transpose(0, 1).reshape(-1, 3 * g * d) @ back
        return x


def test_what_was_appended_is_copied() -> None:
    cache, key = opened(), torch.ones(2, 1, 3)
    value = key.clone()
    cache.append(3, 0, key, value)
    key.zero_()
    value.zero_()
    assert all(torch.equal(tensor, torch.ones(2, 1, 3)) for tensor in cache.read(3, 0))


def test_no_gradient_is_kept() -> None:
    cache = opened()
    cache.append(3, 0, torch.ones(2, 1, 3, requires_grad=True), torch.ones(2, 1, 3, requires_grad=True) * 2)
    assert not any(tensor.requires_grad for tensor in (*cache.read(3, 0), *cache.keys, *cache.values))


def test_what_was_read_is_a_view_that_later_calls_leave_alone() -> None:
    cache = opened()
    cache.append(3, 0, torch.ones(2, 2, 3), torch.ones(2, 2, 3))
    key, value = cache.read(3, 0)
    cache.append(3, 0, -torch.ones(2, 1, 3), -torch.ones(2, 1, 3))
    cache.fork(3, 9)
    cache.append(9, 0, -torch.ones(2, 1, 3), -torch.ones(2, 1, 3))
    cache.free(9)
    assert torch.equal(key, torch.ones(2, 2, 3))
    assert torch.equal(value, torch.ones(2, 2, 3))
    assert key.untyped_storage().data_ptr() == cache.keys[0].untyped_storage().data_ptr()
    assert value.untyped_storage().data_ptr() == cache.values[0].untyped_storage().data_ptr()


def test_no_call_moves_the_memory() -> None:
    cache = opened()
    before = [tensor.data_ptr() for tensor in (*cache.keys, *cache.values)]
    for _ in range(4):
        cache.append(3, 0, torch.ones(2, 1, 3), torch.ones(2, 1, 3))
    cache.fork(3, 9)
    cache.free(3)
    cache.begin(3)
    assert [tensor.data_ptr() for tensor in (*cache.keys, *cache.values)] == before


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        (torch.ones(1, 2, 3), torch.ones(2, 2, 3), r"key is \(1, 2, 3\) in torch.float32, layer 0 takes \(2, T, 3\)"),
        (torch.ones(2, 2, 3), torch.ones(2, 2, 3).half(), r"value is \(2, 2, 3\) in torch.float16"),
        (torch.ones(2, 2, 3), torch.ones(2, 1, 3), "key has 2 tokens, value 1"),
        (torch.ones(2, 3), torch.ones(2, 3), r"key is \(2, 3\)"),
    ],
)
def test_what_does_not_fit_is_told_with_its_shape(key: Tensor, value: Tensor, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        opened().append(3, 0, key, value)


def test_a_long_random_walk_agrees_with_plain_lists() -> None:
    rng = random.Random(0)
    layers = [(2, 3), (1, 1), (3, 2)]
    cache = KVCache(layers=layers, max_seq_len=7, max_batch_size=4, dtype=torch.float32)
    lists: dict[int, list[list[Tensor]]] = {}  # sequence -> layer -> one (2, G, D) for each token: key and value
    refused = 0
    for step in range(2000):
        sequence, other, layer, count = (
            rng.choice(range(6)),
            rng.choice(range(6)),
            rng.choice(range(3)),
            rng.choice((0, 1, 3)),
        )
        free = len(lists) < 4
        tokens = [torch.full((2, *layers[layer]), float(step)) * torch.tensor([1.0, -1.0])[:, None, None]] * count
        key, value = torch.stack(tokens, dim=2) if tokens else torch.zeros(2, layers[layer][0], 0, layers[layer][1])
        before = snapshot(cache)
        match rng.choice(("begin", "append", "append", "append", "fork", "free")):
            case "begin" if sequence not in lists and free:
                assert cache.begin(sequence) == 0
                lists[sequence] = [[], [], []]
            case "append" if sequence in lists and len(lists[sequence][layer]) + count <= 7:
                cache.append(sequence, layer, key, value)
                lists[sequence][layer] += tokens
            case "fork" if sequence in lists and other not in lists and free:
                cache.fork(sequence, other)
                lists[other] = [list(held) for held in lists[sequence]]
            case "free" if sequence in lists:
                cache.free(sequence)
                del lists[sequence]
            case name:
                call = {"begin": (sequence,), "append": (sequence, layer, key, value), "fork": (sequence, other)}
                with pytest.raises((KeyError, ValueError, CacheFullError)):
                    getattr(cache, name)(*call.get(name, (sequence,)))
                assert same(snapshot(cache), before)
                refused += 1
        assert sorted([*cache.free_slots, *cache.slot.values()]) == [0, 1, 2, 3]
        assert cache.slot.keys() == cache.seq_lens.keys() == lists.keys()
        for sequence, held in lists.items():
            for layer, tokens in enumerate(held):
                got = torch.stack(cache.read(sequence, layer))
                expected = (
                    torch.stack(tokens, dim=2) if tokens else torch.zeros(2, layers[layer][0], 0, layers[layer][1])
                )
                assert torch.equal(got, expected)
    assert 200 < refused < 1800


def opened() -> KVCache:
    """Return a cache of one layer, two heads of size 3, in which sequence 3 is open and empty."""
    cache = KVCache(layers=[(2, 3)], max_seq_len=4, max_batch_size=2, dtype=torch.float32)
    cache.begin(3)
    return cache


def snapshot(cache: KVCache) -> list[Any]:
    seq_lens = {sequence: list(lens) for sequence, lens in cache.seq_lens.items()}
    return [*(t.clone() for t in (*cache.keys, *cache.values)), list(cache.free_slots), dict(cache.slot), seq_lens]


def same(one: list[Any], other: list[Any]) -> bool:
    return all(torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in zip(one, other, strict=True))
