"""Decoding with and without the cache: the same tokens, linear instead of quadratic work.

A small decoder with random weights generates greedily. Without a cache every step runs the whole text through the
model again; with the cache, only one token.
"""

from __future__ import annotations

import math
import statistics
import time
from typing import Any

import torch
from torch import Tensor

from groundup.core.lab import Bench, Outcome

LAYERS, HEADS, SIZE, VOCABULARY = 2, 4, 16, 97
WIDTH = HEADS * SIZE
PROMPT, LENGTH, QUICK_LENGTH = 8, 384, 64
MEASURED_EVERY = 8


@torch.no_grad()
def run(bench: Bench) -> Outcome:
    """Generate the same text both ways, time every token, and count the tokens run through the model."""
    torch.manual_seed(bench.seed)
    model = Decoder()
    prompt = torch.randint(VOCABULARY, (PROMPT,)).tolist()
    length = QUICK_LENGTH if bench.quick else LENGTH
    cache = bench.impl("inference/kv-cache")(
        layers=[(HEADS, SIZE)] * LAYERS, max_seq_len=PROMPT + length, max_batch_size=1, dtype=torch.float32
    )
    cached, plain = Writer(model, prompt, cache), Writer(model, prompt, None)
    times: list[tuple[float, float]] = []
    for written in range(1, length + 1):
        times.append((cached.write(), plain.write()))
        if written % MEASURED_EVERY == 0:  # a median, because other load on the machine causes outliers
            with_it, without = zip(*times[-MEASURED_EVERY:], strict=True)
            bench.point("with the cache", written, statistics.median(with_it))
            bench.point("without", written, statistics.median(without))
            bench.progress(written / length)
    ratio = plain.pushed / cached.pushed
    return Outcome(
        figures=(
            bench.figure("without", plain.pushed, expected=without_cache(length)),
            bench.figure("with", cached.pushed),
            bench.figure("saved", ratio),
            bench.figure("kept", cache.usage()["used"], expected=kept_bytes(cached)),
        ),
        mark=bench.mark(cached.tokens == plain.tokens and cache.usage()["used"] == kept_bytes(cached)),
    )


def without_cache(length: int) -> int:
    """Return how many tokens go through the model if every step processes the whole text."""
    return length * PROMPT + length * (length - 1) // 2


def kept_bytes(writer: Writer) -> int:
    """Return the expected bytes in the cache; the last generated token has not been through the model yet."""
    return 2 * LAYERS * HEADS * SIZE * 4 * (len(writer.tokens) - 1)


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
        """Return the logits after the last of T ``tokens``, which are at the positions from ``start`` on."""
        x = self.embedding[tokens] + self.position[start : start + len(tokens)]  # (T, W)
        for layer in range(LAYERS):
            split = (normed(x) @ self.query_key_value[layer]).reshape(len(tokens), 3, HEADS, SIZE)
            query, key, value = split.permute(1, 2, 0, 3)  # (H, T, D) each
            if cache is not None:
                cache.append(0, layer, key, value)
                key, value = cache.read(0, layer)  # (H, S, D)
            x = x + attend(query, key, value).transpose(0, 1).reshape(len(tokens), WIDTH) @ self.out[layer]
            x = x + torch.relu(normed(x) @ self.up[layer]) @ self.down[layer]
        logits: Tensor = normed(x[-1]) @ self.embedding.T  # (V,)
        return logits


def normed(x: Tensor) -> Tensor:
    """Return ``x`` scaled to a root mean square of 1 along the last axis."""
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6)


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return causal attention, with the last query aligned with the last key."""
    queries, keys = query.shape[1], key.shape[1]
    seen = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)
    score = (query @ key.mT) * SIZE**-0.5
    return torch.softmax(score.masked_fill(~seen, float("-inf")), -1) @ value


class Writer:
    """Generates one text, and counts the tokens that it runs through the model."""

    def __init__(self, model: Decoder, prompt: list[int], cache: Any) -> None:
        self.model, self.tokens, self.cache = model, list(prompt), cache
        self.done = self.pushed = 0
        if cache is not None:
            cache.begin(0, prompt)

    def write(self) -> float:
        """Generate one token; return the time that it took, in milliseconds."""
        began = time.perf_counter()
        start = self.done if self.cache is not None else 0
        logits = self.model.forward(torch.tensor(self.tokens[start:]), start, self.cache)
        self.done = len(self.tokens)
        self.pushed += self.done - start
        self.tokens.append(int(logits.argmax()))
        return (time.perf_counter() - began) * 1000
