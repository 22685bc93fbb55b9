"""Converting a trained multi-head model: what its cache shrinks to, and what a short further training repairs.

A tiny decoder with 4 heads learns to sort six digits. The implementation pools its key and value heads to 2 and to 1,
and the model is trained on for 5% of its steps. As in the ablation of Ainslie et al. 2023, that is repeated from the
first head of each group. At last each model answers from a cache, with the implementation's attention.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, gelu, scaled_dot_product_attention

from groundup.core.lab import Bench, Outcome

LAYERS, HEADS, SIZE = 2, 4, 16
WIDTH = HEADS * SIZE
DIGITS, BEGIN, VOCABULARY = 6, 10, 11  # digits are tokens 0 to 9; BEGIN separates them from the sorted ones
PROMPT, LENGTH = DIGITS + 1, 2 * DIGITS + 1
BATCH, HELD_OUT, ANSWERED = 64, 512, 256  # texts
MEASURED_EVERY = 4  # steps of uptraining
STEPS, QUICK_STEPS = 400, 20
UPTRAINED = 0.05  # of the steps: the share of the paper's main results
RATE, UPTRAINING_RATE = 3e-3, 1e-3
POOLED = (2, 1)  # key/value heads
BETTER = 0.85  # of the mean loss from first heads: what the pooled heads have to reach
CLOSE = 1e-3  # in float32, of logits around 10

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


class Layer(NamedTuple):
    """The weights of one layer, each in the layout of torch.nn.Linear: (outputs, inputs)."""

    query: Tensor
    key: Tensor
    value: Tensor
    out: Tensor
    up: Tensor
    down: Tensor


class Model(NamedTuple):
    """A decoder's weights."""

    embedding: Tensor
    position: Tensor
    layers: list[Layer]

    def parameters(self) -> list[Tensor]:
        """Return all weights."""
        return [self.embedding, self.position, *(weight for layer in self.layers for weight in layer)]

    def logits(self, tokens: Tensor, attend: Attend, cache: list[tuple[Tensor, Tensor]] | None = None) -> Tensor:
        """Return the logits after each of ``tokens``, (B, T), which follow the tokens in the cache if there is one."""
        start = cache[0][0].shape[2] if cache else 0
        x = self.embedding[tokens] + self.position[start : start + tokens.shape[1]]  # (B, T, W)
        for number, layer in enumerate(self.layers):
            query, key, value = (split(normed(x) @ w.T) for w in (layer.query, layer.key, layer.value))
            if cache is not None:
                past = cache[number]
                key, value = torch.cat([past[0], key], dim=2), torch.cat([past[1], value], dim=2)
                cache[number] = (key, value)
            x = x + attend(query, key, value).transpose(1, 2).flatten(2) @ layer.out.T
            x = x + gelu(normed(x) @ layer.up.T) @ layer.down.T
        return normed(x) @ self.embedding.T


def run(bench: Bench) -> Outcome:
    """Train, pool and train on; then let each model answer from its cache."""
    chance = torch.Generator().manual_seed(bench.seed)
    attention = bench.impl("architecture/grouped-query-attention")()
    steps = QUICK_STEPS if bench.quick else STEPS
    short = round(UPTRAINED * steps)
    held_out = texts(chance, HELD_OUT)
    checkpoint = initial(chance)
    step = training(checkpoint)
    for done in range(steps):
        step(texts(chance, BATCH), RATE * min(1.0, (done + 1) / 20) * (1 - done / steps))
        bench.progress(0.8 * (done + 1) / steps)
    batches = [texts(chance, BATCH) for _ in range(short)]
    models, losses = {HEADS: checkpoint}, {}
    for groups in POOLED:
        models[groups] = with_heads(checkpoint, partial(attention.pool, num_heads=HEADS, num_kv_heads=groups))
        losses[groups] = uptrain(models[groups], batches, held_out)
        for done, loss in losses[groups].items():
            bench.point(f"G = {groups}", done, loss)
    first = uptrain(with_heads(checkpoint, partial(first_heads, groups=POOLED[0])), batches, held_out)
    ratio = during(losses[POOLED[0]]) / during(first)
    bench.progress(0.95)
    answers = {groups: answer(model, held_out[:ANSWERED], attention) for groups, model in models.items()}
    apart = max(a.apart for a in answers.values())
    return Outcome(
        figures=(
            *(bench.figure("kept", a.kept, groups=g, expected=kept_bytes(g)) for g, a in answers.items()),
            bench.figure("checkpoint", loss_of(checkpoint, held_out)),
            *(bench.figure("converted", losses[g][0], groups=g) for g in POOLED),
            *(bench.figure("uptrained", losses[g][short], groups=g, steps=short) for g in POOLED),
            bench.figure("ratio", ratio, groups=POOLED[0]),
            *(bench.figure("right", 100 * a.right, groups=g) for g, a in answers.items()),
            bench.figure("apart", apart),
        ),
        mark=bench.mark(ratio <= BETTER and apart <= CLOSE, groups=POOLED[0], better=BETTER, close=CLOSE),
    )


def texts(chance: torch.Generator, count: int) -> Tensor:
    """Return ``count`` texts: six digits, BEGIN, and the digits sorted."""
    digits = torch.randint(BEGIN, (count, DIGITS), generator=chance)
    return torch.cat([digits, torch.full((count, 1), BEGIN), digits.sort(dim=1).values], dim=1)


def initial(chance: torch.Generator) -> Model:
    """Return a multi-head model with random weights."""

    def weight(outputs: int, inputs: int) -> Tensor:
        return (torch.randn(outputs, inputs, generator=chance) * 0.05).requires_grad_()

    square = [(WIDTH, WIDTH)] * 4
    shapes = (*square, (4 * WIDTH, WIDTH), (WIDTH, 4 * WIDTH))
    layers = [Layer(*(weight(*shape) for shape in shapes)) for _ in range(LAYERS)]
    return Model(weight(VOCABULARY, WIDTH), weight(LENGTH, WIDTH), layers)


def with_heads(model: Model, convert: Callable[[Tensor], Tensor]) -> Model:
    """Return a copy of the model whose key and value projections went through ``convert``."""

    def copied(weight: Tensor) -> Tensor:
        return weight.detach().clone().requires_grad_()

    layers = [
        Layer(*map(copied, layer._replace(key=convert(layer.key.detach()), value=convert(layer.value.detach()))))
        for layer in model.layers
    ]
    return Model(copied(model.embedding), copied(model.position), layers)


def first_heads(weight: Tensor, groups: int) -> Tensor:
    """Return the first head of each group, in place of their mean."""
    return weight.reshape(groups, HEADS // groups, SIZE, WIDTH)[:, 0].flatten(0, 1)


def training(model: Model) -> Callable[[Tensor, float], None]:
    """Return a function that trains the model on one batch, at a learning rate."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01, fused=True)

    def step(batch: Tensor, rate: float) -> None:
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss(model, batch).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def uptrain(model: Model, batches: list[Tensor], held_out: Tensor) -> dict[int, float]:
    """Train the model on each batch once; return the loss on other texts by the number of steps done."""
    step, losses = training(model), {0: loss_of(model, held_out)}
    for done, batch in enumerate(batches, start=1):
        step(batch, UPTRAINING_RATE)
        if done % MEASURED_EVERY == 0 or done == len(batches):
            losses[done] = loss_of(model, held_out)
    return losses


def during(losses: dict[int, float]) -> float:
    """Return the mean loss during the uptraining, the one before it left out."""
    return statistics.mean(loss for done, loss in losses.items() if done)


def loss(model: Model, batch: Tensor) -> Tensor:
    """Return the mean cross-entropy of the sorted digits."""
    logits = model.logits(batch[:, :-1], torchs)[:, PROMPT - 1 :]
    return cross_entropy(logits.flatten(0, 1), batch[:, PROMPT:].flatten())


@torch.no_grad()
def loss_of(model: Model, batch: Tensor) -> float:
    """Return the loss as a number."""
    return float(loss(model, batch))


class Answer(NamedTuple):
    """What a model answered from its cache."""

    kept: int
    """Bytes in the cache's tensors at the end."""
    right: float
    """The share of texts whose six digits are all right."""
    apart: float
    """The largest difference of a logit from one pass over the whole text by torch's attention."""


@torch.no_grad()
def answer(model: Model, batch: Tensor, attention: Any) -> Answer:
    """Generate the sorted digits greedily, one token a step, from a cache."""

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return attention.forward(query, key, value, causal=True)  # type: ignore[no-any-return]

    groups = model.layers[0].key.shape[0] // SIZE
    nothing = torch.empty(len(batch), groups, 0, SIZE)
    cache = [(nothing, nothing)] * LAYERS
    text, new, logits = batch[:, :PROMPT], batch[:, :PROMPT], []
    for _ in range(DIGITS):
        logits.append(model.logits(new, attend, cache)[:, -1])
        new = logits[-1].argmax(-1, keepdim=True)
        text = torch.cat([text, new], dim=1)
    whole = model.logits(text[:, :-1], torchs)[:, PROMPT - 1 :]
    return Answer(
        kept=sum(tensor.nbytes for layer in cache for tensor in layer),
        right=float((text == batch).all(dim=1).float().mean()),
        apart=float((torch.stack(logits, dim=1) - whole).abs().max()),
    )


def kept_bytes(groups: int) -> int:
    """Return the expected bytes in float32: a key and a value of each token but the last, in each layer and head."""
    return ANSWERED * (LENGTH - 1) * 2 * LAYERS * groups * SIZE * 4


def torchs(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return causal attention over a whole text, by torch."""
    share = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(share, dim=1), value.repeat_interleave(share, dim=1)
    return scaled_dot_product_attention(query, key, value, is_causal=True)


def split(x: Tensor) -> Tensor:
    """Return (B, T, heads * D) as (B, heads, T, D)."""
    return x.reshape(*x.shape[:2], -1, SIZE).transpose(1, 2)


def normed(x: Tensor) -> Tensor:
    """Return ``x`` scaled to a root mean square of 1 along the last axis."""
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6)
