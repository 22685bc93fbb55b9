"""Decoding with fewer and fewer key/value heads: bytes in the cache, and time per token.

A small decoder generates greedily with a cache, once for each number of key/value heads: as many as query heads, half
as many, and so on down to one. Its weights come from a multi-head checkpoint with pooled key/value heads.
"""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import torch
from torch import Tensor

from groundup.core.lab import Bench, Outcome

LAYERS, HEADS, SIZE, VOCABULARY = 2, 8, 32, 97
WIDTH = HEADS * SIZE
SEQUENCES, PROMPT, LENGTH = 4, 768, 24  # a long prompt, so that reading the cache is most of a step's work
QUICK_PROMPT, QUICK_LENGTH = 128, 4
GROUPS = (8, 4, 2, 1)
CLOSE = 1e-4  # in float32, between two computations of the same logits


@torch.no_grad()
def run(bench: Bench) -> Outcome:
    """Decode with each number of key/value heads, and count the bytes in the cache."""
    torch.manual_seed(bench.seed)
    attention = bench.impl("architecture/grouped-query-attention")()
    checkpoint = Checkpoint()
    past, length = (QUICK_PROMPT, QUICK_LENGTH) if bench.quick else (PROMPT, LENGTH)
    prompt = torch.randint(VOCABULARY, (SEQUENCES, past))
    decoders: dict[int, Decoder] = {}
    tokens: dict[int, Tensor] = {}
    for groups in GROUPS:
        decoders[groups] = Decoder(checkpoint, attention, groups)
        tokens[groups] = decoders[groups].step(prompt)
    times: dict[int, list[float]] = {groups: [] for groups in GROUPS}
    for written in range(length):
        for groups, decoder in decoders.items():  # in turn, so that other load on the machine affects all alike
            began = time.perf_counter()
            tokens[groups] = decoder.step(tokens[groups])
            times[groups].append((time.perf_counter() - began) * 1000)
        bench.progress((written + 1) / length)
    kept = {
        groups: sum(held.nbytes for layer in decoder.cache for held in layer) for groups, decoder in decoders.items()
    }
    for groups in GROUPS:
        bench.point("MiB kept", groups, kept[groups] / 2**20)
        bench.point("milliseconds for a step", groups, min(times[groups]))
    agrees = all(decoder.agrees() for decoder in decoders.values())
    expected = {groups: SEQUENCES * (past + length) * bytes_of_a_token(groups) for groups in GROUPS}
    return Outcome(
        figures=(
            *(bench.figure("kept", kept[groups], groups=groups, expected=expected[groups]) for groups in GROUPS),
            bench.figure("smaller", kept[HEADS] / kept[1], factor=HEADS),
        ),
        mark=bench.mark(agrees and kept == expected),
    )


def bytes_of_a_token(groups: int) -> int:
    """Return the expected bytes of one token in float32: a key and a value for each layer and key/value head."""
    return 2 * LAYERS * groups * SIZE * 4


class Layer(NamedTuple):
    """The weights of one layer, each in the layout of torch.nn.Linear: (outputs, inputs)."""

    query: Tensor
    key: Tensor
    value: Tensor
    out: Tensor
    up: Tensor
    down: Tensor


class Checkpoint:
    """A multi-head model with random weights."""

    def __init__(self) -> None:
        def weight(outputs: int, inputs: int) -> Tensor:
            return torch.randn(outputs, inputs) / math.sqrt(inputs)

        self.embedding = torch.randn(VOCABULARY, WIDTH)
        self.position = torch.randn(PROMPT + LENGTH + 1, WIDTH)
        square = [(WIDTH, WIDTH)] * 4
        self.layers = [
            Layer(*(weight(*shape) for shape in (*square, (2 * WIDTH, WIDTH), (WIDTH, 2 * WIDTH))))
            for _ in range(LAYERS)
        ]


class Decoder:
    """The checkpoint with its key/value heads pooled to ``groups``, and a key/value cache."""

    def __init__(self, checkpoint: Checkpoint, attention: Any, groups: int) -> None:
        self.checkpoint, self.attention = checkpoint, attention
        self.layers = (
            checkpoint.layers if groups == HEADS else [self.pooled(layer, groups) for layer in checkpoint.layers]
        )
        nothing = torch.empty(SEQUENCES, groups, 0, SIZE)
        self.cache = [(nothing, nothing) for _ in range(LAYERS)]
        self.read: list[Tensor] = []
        self.logits = torch.empty(0)

    def pooled(self, layer: Layer, groups: int) -> Layer:
        """Return the layer with its key and value heads pooled to ``groups``."""
        key, value = (
            self.attention.pool(weight, num_heads=HEADS, num_kv_heads=groups) for weight in (layer.key, layer.value)
        )
        return layer._replace(key=key, value=value)

    def step(self, tokens: Tensor) -> Tensor:
        """Process ``tokens``, (B, T), and return the most likely next token of each sequence, (B, 1)."""
        self.read.append(tokens)
        self.logits = self.forward(tokens)
        return self.logits.argmax(-1, keepdim=True)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits after the last of ``tokens``, which follow the tokens in the cache."""
        start = self.cache[0][0].shape[2]
        x = self.checkpoint.embedding[tokens] + self.checkpoint.position[start : start + tokens.shape[1]]  # (B, T, W)
        for number, layer in enumerate(self.layers):
            query, key, value = (split(normed(x) @ w.T) for w in (layer.query, layer.key, layer.value))
            past = self.cache[number]
            key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
            self.cache[number] = (key, value)
            mixed = self.attention.forward(query, key, value, causal=True)  # (B, H, T, D)
            x = x + mixed.transpose(1, 2).flatten(2) @ layer.out.T
            x = x + torch.relu(normed(x) @ layer.up.T) @ layer.down.T
        logits: Tensor = normed(x[:, -1]) @ self.checkpoint.embedding.T
        return logits

    def agrees(self) -> bool:
        """Whether the last step's logits equal those of a single forward pass over the whole text."""
        fresh = Decoder(self.checkpoint, self.attention, self.cache[0][0].shape[1])
        whole = fresh.forward(torch.cat(self.read, dim=1))
        return bool((whole - self.logits).abs().max() <= CLOSE * self.logits.abs().max())


def split(x: Tensor) -> Tensor:
    """Return (B, T, heads * D) as (B, heads, T, D)."""
    return x.reshape(*x.shape[:2], -1, SIZE).transpose(1, 2)


def normed(x: Tensor) -> Tensor:
    """Return ``x`` scaled to a root mean square of 1 along the last axis."""
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6)
