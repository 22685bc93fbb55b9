"""A head on a tiny language model learns which of two answers is right, and is asked about answers one at a time.

The model was trained to sort letters, from 2 to 8 of them, until half of its answers were right. A program made pairs
of a right and a wrong answer to one prompt. Prompts and answers differ in length, so a batch is padded on the right;
at test time each answer comes alone, without padding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from groundup.core.interfaces.rl import RewardPairBatch
from groundup.core.lab import Bench, Outcome
from groundup.core.models import Answers, Base, Sorting, base, pairs

TASK = Sorting(length=8, shortest=2)
ACCURACY = 0.5  # of the base
PAIRS, HELD_OUT, BATCH, STEPS = 4096, 1024, 64, 200
QUICK_PAIRS, QUICK_HELD_OUT, QUICK_STEPS = 256, 128, 25
LEARNING_RATE, CENTER = 1e-3, 0.01
EVERY = 25
SHARE = 0.85


class Texts:
    """Prompts with their answers, one row of tokens each, padded on the right."""

    def __init__(self, answers: Answers, pad: int) -> None:
        parts = zip(answers.prompt, answers.prompt_mask, answers.answer, answers.mask, strict=True)
        rows = [torch.cat([prompt[real], answer[mask]]) for prompt, real, answer, mask in parts]
        self.tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad)
        self.length = torch.tensor([len(row) for row in rows])

    def rows(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens and mask of these rows, as wide as the longest of them."""
        length = self.length[index]
        columns = torch.arange(int(length.max()))
        return self.tokens[index, : len(columns)], columns < length.unsqueeze(1)


class Scorer:
    """The base's body and a new head: a score at each token."""

    def __init__(self, start: Base, rule: Any) -> None:
        self.model, self.rule = start.model, rule
        self.params = {name: value.clone().requires_grad_() for name, value in start.params.items()}
        self.head = torch.zeros(start.model.hidden_size, requires_grad=True)
        trained = [self.head, *self.params.values()]
        self.optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE, weight_decay=0.0)

    def by_token(self, tokens: Tensor) -> Tensor:
        """Return a score at each token, (B, N); carries gradient."""
        return self.model.trunk(self.params, {"x": tokens}) @ self.head

    def improve(self, chosen: Texts, rejected: Texts, rows: Tensor, *, left: float) -> None:
        """Take one step on these pairs. The learning rate falls with the share of steps that are left."""
        self.optimizer.param_groups[0]["lr"] = LEARNING_RATE * left
        (better, real), (worse, also_real) = chosen.rows(rows), rejected.rows(rows)
        batch = RewardPairBatch(self.by_token(better), self.by_token(worse), None, real, also_real)
        self.optimizer.zero_grad()
        self.rule.loss(batch).loss.backward()
        self.optimizer.step()

    @torch.no_grad()
    def batched(self, texts: Texts, rows: Tensor) -> Tensor:
        """Return the scores of these rows, in one batch."""
        tokens, mask = texts.rows(rows)
        scores: Tensor = self.rule.score(self.by_token(tokens), mask)
        return scores

    @torch.no_grad()
    def alone(self, texts: Texts, rows: Tensor) -> Tensor:
        """Return the scores without any padding: answers of one length at a time."""
        scores = torch.empty(len(rows))
        for length in sorted(set(texts.length[rows].tolist())):
            same = texts.length[rows] == length
            scores[same] = self.batched(texts, rows[same])
        return scores


def run(bench: Bench) -> Outcome:
    """Train on pairs in batches; order held-out pairs by the scores of their answers alone."""
    steps = QUICK_STEPS if bench.quick else STEPS
    count, held_out = (QUICK_PAIRS, QUICK_HELD_OUT) if bench.quick else (PAIRS, HELD_OUT)
    start = base(TASK, accuracy=ACCURACY, seed=bench.seed)
    generator = torch.Generator().manual_seed(bench.seed)
    data = pairs(start, TASK, count + held_out, generator=generator)
    chosen, rejected = (Texts(answers, start.tokenizer.pad) for answers in (data.chosen, data.rejected))
    scorer = Scorer(start, bench.impl("alignment/reward-model")(center_coef=CENTER))
    test = torch.arange(count, count + held_out)
    for step in range(1, steps + 1):
        rows = torch.randint(0, count, (BATCH,), generator=generator)
        scorer.improve(chosen, rejected, rows, left=1 - (step - 1) / steps)
        if step % EVERY == 0:
            alone = [scorer.alone(texts, test) for texts in (chosen, rejected)]
            bench.point("alone", step, ordered(*alone))
        bench.progress(step / steps)
    batched = [scorer.batched(texts, test) for texts in (chosen, rejected)]
    one, other = torch.cat(alone), torch.cat(batched)
    return Outcome(
        figures=(
            bench.figure("alone", 100 * ordered(*alone), count=held_out),
            bench.figure("batched", 100 * ordered(*batched)),
            bench.figure("moved", float((one - other).abs().max() / one.std())),
            bench.figure("mean", float(one.mean() / one.std())),
        ),
        mark=bench.mark(ordered(*alone) >= SHARE, share=SHARE),
    )


def ordered(chosen: Tensor, rejected: Tensor) -> float:
    """Return the share of pairs whose chosen answer has the larger score."""
    return float((chosen > rejected).double().mean())
