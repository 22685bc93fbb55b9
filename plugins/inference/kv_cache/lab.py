"""Decoding from the cache: how much of each step is new work, counted while it is done.

A small decoder with random weights generates greedily. Before each step it asks the cache how many tokens are kept, and
runs all others through the model: with a cache that works that is one token, with one that keeps nothing the whole
text. torch counts the floating-point operations. Then the same text goes through the model in one pass, without any
cache, and each position must get the logits that decoding gave it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from groundup.core.lab import Bench, Outcome

LAYERS, HEADS, SIZE, VOCABULARY = 2, 4, 16, 97
WIDTH = HEADS * SIZE
PROMPT, LENGTH, QUICK_LENGTH = 8, 256, 32
SEQUENCE = 0  # the number by which the cache knows the text
CLOSE = 1e-3  # in float32, of logits around 10


class Pass(NamedTuple):
    """One pass through the model: the tokens that went through it, and the operations counted."""

    tokens: int
    operations: int


@torch.no_grad()
def run(bench: Bench) -> Outcome:
    """Generate a text with the cache, and count what each token cost."""
    torch.manual_seed(bench.seed)
    model = Decoder()
    text = torch.randint(VOCABULARY, (PROMPT,)).tolist()
    length = QUICK_LENGTH if bench.quick else LENGTH
    cache = bench.impl("inference/kv-cache")(
        layers=[(HEADS, SIZE)] * LAYERS, max_seq_len=PROMPT + length, max_batch_size=1, dtype=torch.float32
    )
    cache.begin(SEQUENCE, text)
    passes: list[Pass] = []
    logits: list[Tensor] = []
    for written in range(1, length + 1):
        kept = cache.read(SEQUENCE, 0)[0].shape[1]
        with FlopCounterMode(display=False) as counter:
            logits.append(model.forward(torch.tensor(text[kept:]), kept, cache)[-1])
        passes.append(Pass(len(text) - kept, counter.get_total_flops()))
        text.append(int(logits[-1].argmax()))
        bench.point("operations", written, passes[-1].operations)
        bench.progress(written / length)
    whole = model.forward(torch.tensor(text[:-1]), 0, None)[PROMPT - 1 :]  # one pass, no cache
    apart = float((torch.stack(logits) - whole).abs().max())
    kept_bytes = sum(t.nbytes for layer in range(LAYERS) for t in cache.read(SEQUENCE, layer))
    tokens, expected = sum(p.tokens for p in passes), PROMPT + length - 1
    quarter = length // 4
    growth = operations(passes[-quarter:]) / operations(passes[1 : 1 + quarter])
    return Outcome(
        figures=(
            bench.figure("tokens", tokens, expected=expected),
            bench.figure("operations", operations(passes)),
            bench.figure("growth", growth),
            bench.figure("apart", apart),
            bench.figure("kept", kept_bytes, expected=2 * LAYERS * HEADS * SIZE * 4 * expected),
        ),
        mark=bench.mark(tokens == expected and apart <= CLOSE, close=CLOSE),
    )


def operations(passes: list[Pass]) -> int:
    """Return the operations of several passes together."""
    return sum(p.operations for p in passes)


class Decoder:
    """A transformer decoder: embeddings, pre-norm attention and MLP blocks, tied output."""

    def __init__(self) -> None:
        def weights(*shape: int) -> Tensor:
            return torch.randn(shape) / math.sqrt(shape[-2])

        self.embedding = torch.randn(VOCABULARY, WIDTH)
        self.position = torch.randn(PROMPT + LENGTH, WIDTH)
        self.query_key_value = [weights(WIDTH, 3 * WIDTH) for _ in range(LAYERS)]
        self.out = [weights(WIDTH, WIDTH) for _ in range(LAYERS)]
        self.up = [weights(WIDTH, 4 * WIDTH) for _ in range(LAYERS)]
        self.down = [weights(4 * WIDTH, WIDTH) for _ in range(LAYERS)]

    def forward(self, tokens: Tensor, start: int, cache: Any) -> Tensor:
        """Return the logits after each of T ``tokens``, (T, V). The first is at position ``start``."""
        x = self.embedding[tokens] + self.position[start : start + len(tokens)]  # (T, W)
        for layer in range(LAYERS):
            split = (normed(x) @ self.query_key_value[layer]).reshape(len(tokens), 3, HEADS, SIZE)
            query, key, value = split.permute(1, 2, 0, 3)  # (H, T, D) each
            if cache is not None:
                cache.append(SEQUENCE, layer, key, value)
                key, value = cache.read(SEQUENCE, layer)  # (H, S, D)
            x = x + attend(query, key, value).transpose(0, 1).reshape(len(tokens), WIDTH) @ self.out[layer]
            x = x + torch.relu(normed(x) @ self.up[layer]) @ self.down[layer]
        return normed(x) @ self.embedding.T


def normed(x: Tensor) -> Tensor:
    """Return ``x`` scaled to a root mean square of 1 along the last axis."""
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6)


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return causal attention, with the last query aligned with the last key."""
    queries, keys = query.shape[1], key.shape[1]
    seen = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)
    score = (query @ key.mT) * SIZE**-0.5
    return torch.softmax(score.masked_fill(~seen, float("-inf")), -1) @ value
