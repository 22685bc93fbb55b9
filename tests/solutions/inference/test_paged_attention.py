"""The solution of inference/paged-attention against hand-worked tables, a contiguous cache and a long random walk."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from groundup.core.interfaces.kv_cache import CacheFullError
from groundup.solutions.inference.paged_attention import PagedKVCache


def append(cache: PagedKVCache, sequence: int, *tokens: float, layer: int = 0) -> None:
    """Append one token for each number: its key is filled with the number, its value with the negated number."""
    heads, size = cache.layers[layer]
    key = torch.tensor(tokens, dtype=cache.dtype).reshape(1, -1, 1).expand(heads, -1, size)
    cache.append(sequence, layer, key, -key)


def text(cache: PagedKVCache, sequence: int, layer: int = 0) -> list[float]:
    """Return the numbers that a layer holds, after checking all heads, and the values for the negated numbers."""
    key, value = cache.read(sequence, layer)
    assert torch.equal(value, -key)
    assert all(torch.equal(head, key[0]) for head in key)
    return [number for (number, *_) in key[0].tolist()]


def small(*, blocks: int = 4, layers: int = 1, block_size: int = 2) -> PagedKVCache:
    cache = PagedKVCache(layers=[(1, 1)] * layers, block_size=block_size, num_blocks=blocks, dtype=torch.float32)
    cache.begin(7)
    return cache


def test_the_lessons_example() -> None:
    cache = small()
    seen: list[tuple[Any, ...]] = []

    def look() -> None:
        usage = cache.usage()
        tables = [cache.block_table(sequence) for sequence in (7, 5) if sequence in cache.block_tables]
        seen.append((tables, cache.ref_counts(), usage["used"], usage["reserved"]))
        assert usage["total"] == 64

    look()
    append(cache, 7, 1, 2, 3)
    look()
    cache.fork(7, 5)
    look()
    append(cache, 5, 4)
    look()
    append(cache, 7, 5)
    look()
    append(cache, 7, 6, 7)
    look()
    with pytest.raises(CacheFullError, match="sequence 5 needs 0 blocks to copy and 1 new ones, 0 are free"):
        append(cache, 5, 8)
    look()
    assert (text(cache, 7), text(cache, 5)) == ([1, 2, 3, 5, 6, 7], [1, 2, 3, 4])
    cache.free(7)
    look()
    append(cache, 5, 8)
    look()
    assert text(cache, 5) == [1, 2, 3, 4, 8]
    assert seen == [
        ([[]], [0, 0, 0, 0], 0, 0),
        ([[3, 2]], [0, 0, 1, 1], 24, 32),
        ([[3, 2], [3, 2]], [0, 0, 2, 2], 24, 32),
        ([[3, 2], [3, 1]], [0, 1, 1, 2], 40, 48),
        ([[3, 2], [3, 1]], [0, 1, 1, 2], 48, 48),
        ([[3, 2, 0], [3, 1]], [1, 1, 1, 2], 64, 64),
        ([[3, 2, 0], [3, 1]], [1, 1, 1, 2], 64, 64),
        ([[3, 1]], [0, 1, 0, 1], 32, 32),
        ([[3, 1, 0]], [1, 1, 0, 1], 40, 48),
    ]


def test_the_papers_example_of_two_samples() -> None:
    """Kwon et al. 2023, figure 8: a prompt of 7 tokens, blocks of 4; A1 writes first and copies, A2 writes in place."""
    cache = small(blocks=9, block_size=4)
    append(cache, 7, *range(7))
    cache.fork(7, 8)
    first, last = cache.block_table(7)
    assert [cache.ref_counts()[block] for block in (first, last)] == [2, 2]
    append(cache, 7, 100)
    copy = cache.block_table(7)[1]
    assert cache.block_table(7) == [first, copy]
    assert cache.block_table(8) == [first, last]
    assert copy != last
    assert [cache.ref_counts()[block] for block in (first, last, copy)] == [2, 1, 1]
    append(cache, 8, 200)
    assert cache.block_table(8) == [first, last]
    assert sum(cache.ref_counts()) == 4
    assert (text(cache, 7), text(cache, 8)) == ([*range(7), 100], [*range(7), 200])


@pytest.mark.parametrize(
    ("layers", "heads", "size", "dtype", "block_size", "block"),
    [
        (40, 40, 128, torch.float16, 16, 16 * 819_200),  # LLaMA-13B and OPT-13B: 800 KB a token in section 3
        (32, 8, 128, torch.bfloat16, 16, 2 * 1024 * 1024),  # Llama 3.1 8B: 128 KiB a token
        (32, 1, 128, torch.float32, 1, 32 * 1024),
    ],
)
def test_a_block_of_a_known_model_takes_its_known_bytes(
    layers: int, heads: int, size: int, dtype: torch.dtype, block_size: int, block: int
) -> None:
    cache = PagedKVCache(layers=[(heads, size)] * layers, block_size=block_size, num_blocks=1, dtype=dtype)
    assert cache.usage() == {"used": 0, "reserved": 0, "total": block}
    assert sum(tensor.nbytes for tensor in (*cache.keys, *cache.values)) == block
    cache.begin(0)
    key = torch.zeros(heads, 1, size, dtype=dtype)
    cache.append(0, 0, key, key)
    assert cache.usage() == {"used": block // block_size // layers, "reserved": block, "total": block}


@pytest.mark.parametrize("block_size", [1, 2, 3, 5, 16])
def test_attention_over_blocks_is_torchs_over_one_piece(block_size: int) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(3, 11, 4, dtype=torch.float64) for _ in range(3))
    whole = scaled_dot_product_attention(query, key, value, is_causal=True)
    cache = PagedKVCache(layers=[(3, 4)], block_size=block_size, num_blocks=24, dtype=torch.float64)
    for sequence in (5, 6):
        cache.begin(sequence)
    rows = []
    for first, stop in [(0, 4), (4, 5), (5, 9), (9, 10), (10, 11)]:
        cache.append(6, 0, -key[:, first:stop], -value[:, first:stop])  # takes blocks between the other's
        cache.append(5, 0, key[:, first:stop], value[:, first:stop])
        mask = torch.ones(stop - first, stop, dtype=torch.bool).tril(first)
        rows.append(scaled_dot_product_attention(query[:, first:stop], *cache.read(5, 0), attn_mask=mask))
    torch.testing.assert_close(torch.cat(rows, dim=1), whole, rtol=1e-12, atol=1e-12)


def test_a_beam_search_keeps_every_beams_own_past() -> None:
    rng = random.Random(0)
    cache = PagedKVCache(layers=[(1, 1), (2, 3)], block_size=3, num_blocks=40, dtype=torch.float64)
    cache.begin(0)
    for layer in (0, 1):
        append(cache, 0, *range(7), layer=layer)
    beams: dict[int, list[float]] = {0: [*map(float, range(7))]}
    for step in range(7, 40):
        parents = [rng.choice(list(beams)) for _ in range(4)]
        born = {100 * step + n: [*beams[parent], float(100 * step + n)] for n, parent in enumerate(parents)}
        for child, parent in zip(born, parents, strict=True):
            cache.fork(parent, child)
        for beam in beams:
            cache.free(beam)
        for child in born:
            for layer in (0, 1):
                append(cache, child, child, layer=layer)
        beams = born
        assert all(text(cache, beam, layer) == tokens for beam, tokens in beams.items() for layer in (0, 1))
    distinct = {tuple(tokens[: place + 3]) for tokens in beams.values() for place in range(0, 40, 3)}
    assert sum(map(bool, cache.ref_counts())) == len(distinct)  # shared blocks are stored once


def test_what_was_appended_is_copied_without_its_gradient() -> None:
    cache = small()
    key = torch.ones(1, 1, 1, requires_grad=True)
    cache.append(7, 0, key, key * 2)
    with torch.no_grad():
        key.zero_()
    assert [tensor.tolist() for tensor in cache.read(7, 0)] == [[[[1.0]]], [[[2.0]]]]
    assert not any(tensor.requires_grad for tensor in (*cache.read(7, 0), *cache.keys, *cache.values))


def test_what_was_read_is_left_alone_by_later_calls() -> None:
    cache = small(blocks=2)
    append(cache, 7, 1, 2, 3)
    key, _ = cache.read(7, 0)
    table = cache.block_table(7)
    append(cache, 7, 4)
    cache.free(7)
    cache.begin(9)
    append(cache, 9, 5, 6, 7, 8)
    assert key.flatten().tolist() == [1, 2, 3]
    assert sorted(table) == sorted(cache.block_table(9))
    cache.block_table(9).clear()
    cache.ref_counts().clear()
    assert text(cache, 9) == [5, 6, 7, 8]


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
    cache = PagedKVCache(layers=[(2, 3)], block_size=2, num_blocks=2, dtype=torch.float32)
    cache.begin(0)
    with pytest.raises(ValueError, match=says):
        cache.append(0, 0, key, value)
    assert cache.ref_counts() == [0, 0]


@pytest.mark.parametrize("block_size", [1, 2, 3])
def test_a_long_random_walk_agrees_with_plain_lists(block_size: int) -> None:
    rng = random.Random(block_size)
    layers, blocks = [(2, 3), (1, 1), (3, 2)], 8
    cache = PagedKVCache(layers=layers, block_size=block_size, num_blocks=blocks, dtype=torch.float32)
    lists: dict[int, list[list[float]]] = {}
    refused = 0
    for step in range(700):
        sequence, other, layer = rng.choice(range(5)), rng.choice(range(5)), rng.choice(range(3))
        tokens = [float(step)] * rng.choice((0, 1, 1, 3))
        before = snapshot(cache)
        match rng.choice(("begin", "append", "append", "append", "fork", "free")):
            case "begin" if sequence not in lists:
                assert cache.begin(sequence) == 0
                lists[sequence] = [[], [], []]
            case "append" if sequence in lists and fits(lists, cache, sequence, layer, len(tokens), block_size):
                append(cache, sequence, *tokens, layer=layer)
                lists[sequence][layer] += tokens
            case "fork" if sequence in lists and other not in lists:
                cache.fork(sequence, other)
                lists[other] = [list(held) for held in lists[sequence]]
            case "free" if sequence in lists:
                cache.free(sequence)
                del lists[sequence]
            case name:
                call = partial(getattr(cache, name), *([sequence, other] if name == "fork" else [sequence]))
                if name == "append":
                    call = partial(append, cache, sequence, *tokens, layer=layer)
                with pytest.raises((KeyError, ValueError, CacheFullError)):
                    call()
                assert same(snapshot(cache), before)
                refused += 1
        ref_count = Counter(block for table in cache.block_tables.values() for block in table)
        assert cache.ref_counts() == [ref_count[block] for block in range(blocks)]
        assert sorted([*cache.free_block_ids, *ref_count]) == list(range(blocks))
        assert cache.block_tables.keys() == cache.seq_lens.keys() == lists.keys()
        for sequence, held in lists.items():
            assert len(cache.block_table(sequence)) == -(-max(map(len, held)) // block_size)
            for layer, expected in enumerate(held):
                assert text(cache, sequence, layer) == expected
    assert 70 < refused < 630


def fits(
    lists: dict[int, list[list[float]]], cache: PagedKVCache, sequence: int, layer: int, count: int, block_size: int
) -> bool:
    """Whether the tokens fit, simulated token by token from the cache's own tables and reference counts."""
    table, ref_counts = cache.block_table(sequence), cache.ref_counts()
    start = len(lists[sequence][layer])
    touched = {position // block_size for position in range(start, start + count)}
    return sum(place >= len(table) or ref_counts[table[place]] > 1 for place in touched) <= ref_counts.count(0)


def snapshot(cache: PagedKVCache) -> list[Any]:
    tables = {sequence: list(table) for sequence, table in cache.block_tables.items()}
    lengths = {sequence: list(length) for sequence, length in cache.seq_lens.items()}
    memory = [tensor.clone() for tensor in (*cache.keys, *cache.values)]
    return [*memory, list(cache.free_block_ids), list(cache.ref_count), tables, lengths]


def same(one: list[Any], other: list[Any]) -> bool:
    return all(torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in zip(one, other, strict=True))
