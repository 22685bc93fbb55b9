"""A tiny language model learns to reverse words of unequal length, several examples in a row.

The tested ``SFT`` packs the examples and computes the loss. Each optimizer step has eight micro-batches of their own
sizes in tokens, whose gradients are added up. The model is judged on prompts that stand alone in their rows, as they do
when it is used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from groundup.core.interfaces.rl import IGNORE_INDEX, SupervisedBatch
from groundup.core.lab import Bench, Outcome
from groundup.core.models import Decoder, Params, Reversing, Tokenizer, accuracy_of

TASK = Reversing(length=6, shortest=2)
STEPS, QUICK_STEPS, EXAMPLES, ROW = 300, 20, 128, 64
EVERY, JUDGED = 25, 500
LEARNING_RATE, WARM_UP = 3e-3, 20
MICRO_BATCHES = 8
ENOUGH, SAME = 0.85, 1e-4


def run(bench: Bench) -> Outcome:
    """Train; judge exact matches, how far neighbours matter, and two ways to accumulate a gradient."""
    generator = torch.Generator().manual_seed(bench.seed)
    words, rule = Tokenizer(), bench.impl("alignment/sft")()
    model = Decoder(words.vocab_size)
    params = {name: value.requires_grad_() for name, value in model.init(bench.seed).items()}
    optimizer = torch.optim.AdamW(params.values(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    steps, padding = (QUICK_STEPS if bench.quick else STEPS), 0.0
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, step / WARM_UP)
        batch = rule.pack(*examples(words, EXAMPLES, generator), row_length=ROW, pad_id=words.pad)
        padding = float((batch.input_ids == words.pad).double().mean())
        optimizer.zero_grad()
        rule.loss(SupervisedBatch(logits(model, params, batch), batch.labels)).loss.backward()
        torch.nn.utils.clip_grad_norm_(params.values(), 1.0)
        optimizer.step()
        if step % EVERY == 0 or step == steps:
            bench.point("exact", step, exact_matches(model, params, words, bench.seed))
        bench.progress(step / steps)
    exact = exact_matches(model, params, words, bench.seed)
    apart = largest_difference(rule, model, params, words, generator)
    accumulated, averaged = distances(rule, model, params, words, generator)
    longest = 2 * TASK.length + 2
    alone = 1 - sum(map(len, flat(examples(words, 1000, generator)))) / (1000 * longest)
    return Outcome(
        figures=(
            bench.figure("exact", exact, steps=steps, count=JUDGED),
            bench.figure("apart", apart),
            bench.figure("padding", padding),
            bench.figure("unpacked", alone),
            bench.figure("accumulated", accumulated),
            bench.figure("averaged", averaged),
        ),
        mark=bench.mark(exact >= ENOUGH and apart < SAME, enough=ENOUGH, steps=STEPS),
    )


def examples(words: Tokenizer, count: int, generator: torch.Generator) -> tuple[list[list[int]], list[list[int]]]:
    """Return prompts and answers, each answer with its end token."""
    prompts = TASK.draw(count, generator)
    return [words.encode(p) for p in prompts], [[*words.encode(TASK.answer(p)), words.end] for p in prompts]


def flat(drawn: tuple[list[list[int]], list[list[int]]]) -> list[list[int]]:
    """Return each example as one list of tokens."""
    return [prompt + answer for prompt, answer in zip(*drawn, strict=True)]


def logits(model: Decoder, params: Params, batch: Any) -> Tensor:
    """Return the model's logits for packed rows."""
    fields = {"x": batch.input_ids, "position": batch.position_ids, "attn_mask": batch.attn_mask}
    return model.forward(params, fields)


@torch.no_grad()
def exact_matches(model: Decoder, params: Params, words: Tokenizer, seed: int) -> float:
    """Return the share of greedy answers that are right, each prompt alone in its row."""
    generator = torch.Generator().manual_seed(1000 + seed)
    return accuracy_of(model, params, words, TASK, generator=generator, count=JUDGED, temperature=0)


@torch.no_grad()
def largest_difference(
    rule: Any, model: Decoder, params: Params, words: Tokenizer, generator: torch.Generator
) -> float:
    """Return how far the loss of an example in a packed row is from its loss alone, at most."""
    prompts, answers = examples(words, 16, generator)
    batch = rule.pack(prompts, answers, row_length=ROW, pad_id=words.pad)
    log_probs = logits(model, params, batch)[:, :-1].log_softmax(-1)
    labels = batch.labels[:, 1:]
    own = -log_probs.gather(2, labels.clamp(min=0).unsqueeze(2))[..., 0]
    packed = torch.split(own[labels != IGNORE_INDEX], [len(answer) for answer in answers])
    differences = []
    for prompt, answer, losses in zip(prompts, answers, packed, strict=True):
        alone = model.forward(params, {"x": torch.tensor([prompt + answer])})[0, len(prompt) - 1 : -1].log_softmax(-1)
        differences.append(float((losses + alone.gather(1, torch.tensor(answer).unsqueeze(1))[:, 0]).mean().abs()))
    return max(differences)


def distances(
    rule: Any, model: Decoder, params: Params, words: Tokenizer, generator: torch.Generator
) -> tuple[float, float]:
    """Return how far two ways to accumulate a gradient are from the large batch's: by items, and by means."""
    drawn = sorted(zip(*examples(words, EXAMPLES, generator), strict=True), key=lambda example: len(example[1]))
    size = EXAMPLES // MICRO_BATCHES
    parts = [drawn[at : at + size] for at in range(0, EXAMPLES, size)]  # the first has the shortest answers

    def slope(chosen: list[tuple[list[int], list[int]]], items: int | None) -> Tensor:
        prompts, answers = ([example[side] for example in chosen] for side in (0, 1))
        batch = rule.pack(prompts, answers, row_length=ROW, pad_id=words.pad)
        loss = rule.loss(SupervisedBatch(logits(model, params, batch), batch.labels, items)).loss
        return torch.cat([grad.flatten() for grad in torch.autograd.grad(loss, list(params.values()))])

    whole = slope(drawn, None)
    items = sum(len(answer) for _, answer in drawn)
    added = torch.stack([slope(part, items) for part in parts]).sum(0)
    averaged = torch.stack([slope(part, None) for part in parts]).mean(0)
    return float((added - whole).norm() / whole.norm()), float((averaged - whole).norm() / whole.norm())
