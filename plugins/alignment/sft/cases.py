"""What the properties of SFT are tried on, and the slow way to what is right: one token at a time, in Python floats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import IGNORE_INDEX, SupervisedBatch, TokenBatch
from groundup.core.messages import Message
from groundup.core.testing import assert_close, assert_equal, booleans, gradient
from groundup.core.testing.laws import rl as laws

SIZES = [{"B": 1, "T": 2, "V": 3}, {"B": 1, "T": 5, "V": 3}, {"B": 3, "T": 3, "V": 4}, {"B": 2, "T": 4, "V": 2}]
SMOOTHINGS = (0.125, 0.25)  # not 1/2, which is its own complement
SURE = 40.0  # a logit so far above the others that exp(-SURE) is lost beside 1, in float64 too
Case = laws.Case[SupervisedBatch]


# The loss


def with_prompts(batch: SupervisedBatch, ignored: Tensor) -> SupervisedBatch:
    """Ignore some labels."""
    return replace(batch, labels=torch.where(ignored, IGNORE_INDEX, batch.labels))


def alone(batch: SupervisedBatch, which: int) -> SupervisedBatch:
    """Leave one token to be learnt, so that sum and mean are the same."""
    rows, columns = batch.labels.shape
    row, column = which % rows, 1 + which // rows % (columns - 1)
    labels = torch.full_like(batch.labels, IGNORE_INDEX)
    labels[row, column] = batch.labels[row, column]
    return replace(batch, labels=labels)


def drawn(size: dict[str, int]) -> st.SearchStrategy[SupervisedBatch]:
    """Draw a batch in which every token is learnt but the first of each row."""
    return laws.batches(SupervisedBatch, [size], below={"labels": "V"})


def not_learnt(batch: SupervisedBatch) -> dict[str, Tensor]:
    """Return where a logit predicts nothing that is learnt: before an ignored label, and at the end of a row."""
    following = torch.cat([batch.labels[:, 1:], torch.full_like(batch.labels[:, :1], IGNORE_INDEX)], dim=1)
    return {"logits": (following == IGNORE_INDEX).unsqueeze(-1).expand_as(batch.logits)}


SFT = laws.Setting(
    batches=st.one_of([st.builds(with_prompts, drawn(s), booleans((s["B"], s["T"]), simplest=False)) for s in SIZES]),
    learned=("logits",),
    sizes={"loss": 6.0},  # logits up to 4 apart, and log 4
    slope=1.0,
    rules=[{"label_smoothing": smoothing} for smoothing in (0.0, *SMOOTHINGS)],
    another={"label_smoothing": 0.375},
    padding=not_learnt,
    fill={"labels": IGNORE_INDEX},
    padded_rows=True,
)
PLAIN = replace(SFT, rules=[{}])
SINGLE = replace(PLAIN, batches=st.one_of([st.builds(alone, drawn(size), st.integers(0, 11)) for size in SIZES]))


def long(seed: int, dtype: torch.dtype) -> SupervisedBatch:
    """Return a row of a thousand tokens, of which about half are learnt, the last one in any case."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(-16, 17, (1, 1000, 3), generator=generator).to(dtype) / 8
    labels = torch.randint(0, 3, (1, 1000), generator=generator)
    ignored = torch.randint(0, 2, (1, 1000), generator=generator) == 1
    ignored[0, -1] = False
    return with_prompts(SupervisedBatch(logits, labels), ignored)


LONG = st.builds(long, st.integers(0, 3), st.sampled_from((torch.float32, torch.float64)))


class Learnt(NamedTuple):
    """The logits before a learnt token, its label, and the place of these logits."""

    logits: list[float]
    label: int
    place: tuple[int, int]


def learnt(batch: SupervisedBatch) -> list[Learnt]:
    """Return the learnt tokens of a batch."""
    logits, labels = batch.logits.double().tolist(), batch.labels.tolist()
    return [
        Learnt(logits[row][t - 1], label, (row, t - 1))
        for row, own in enumerate(labels)
        for t, label in enumerate(own)
        if t > 0 and label != IGNORE_INDEX
    ]


def log_sum(logits: Sequence[float]) -> float:
    """Return the logarithm of the sum of exp."""
    top = max(logits)
    return top + math.log(math.fsum(math.exp(logit - top) for logit in logits))


def slow_loss(token: Learnt, smoothing: float = 0.0) -> float:
    """Return -log p of the label, and a share ``smoothing`` of the mean of -log p over all words."""
    right, every = token.logits[token.label], math.fsum(token.logits) / len(token.logits)
    return log_sum(token.logits) - (1 - smoothing) * right - smoothing * every


def slow_slopes(batch: SupervisedBatch, divisor: float, smoothing: float = 0.0) -> dict[str, Tensor]:
    """Return the gradient: the probabilities minus the target, at the logits before each learnt token."""
    slopes = torch.zeros(batch.logits.shape, dtype=torch.float64)
    for token in learnt(batch):
        words = len(token.logits)
        for word, logit in enumerate(token.logits):
            target = smoothing / words + (1 - smoothing) * (word == token.label)
            slopes[token.place][word] += (math.exp(logit - log_sum(token.logits)) - target) / divisor
    return {"logits": slopes}


def check_slopes(impl: Any, batch: SupervisedBatch, expected: Tensor, **rule: float) -> None:
    """Compare the gradient to the logits with ``expected``."""
    trained = PLAIN.trained(batch)
    (grad,) = gradient(impl(**rule).loss(trained).loss, [trained.logits])
    limit = PLAIN.tolerance("gradient", batch)
    assert_close(grad, expected, dtype=batch.logits.dtype, tolerance=limit, what=Message("the gradient to the logits"))


# Rows of examples

LENGTHS = st.lists(st.integers(0, 5), max_size=6)
ROOM = st.integers(1, 6)
Example = tuple[list[int], list[int]]
TOKENS = st.lists(st.integers(0, 4), max_size=3)  # 0 to 2 are padding elsewhere, and may be tokens
EXAMPLES = st.lists(st.tuples(TOKENS, TOKENS), max_size=5)
PADS = st.integers(0, 2)
CUTTING, WIDE = st.integers(1, 4), st.integers(6, 9)


def slow_rows(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Return the examples of each row: the next row begins where an example does not fit behind the others."""
    rows: list[list[int]] = []
    for number, length in enumerate(lengths):
        if not length:
            continue
        if not rows or sum(min(lengths[other], room) for other in rows[-1]) + min(length, room) > room:
            rows.append([])
        rows[-1].append(number)
    return rows


class Place(NamedTuple):
    """A token of an example in its row: where it is, and what is there."""

    row: int
    column: int
    example: int
    token: int
    label: int
    position: int


class Packed(NamedTuple):
    """Where every token of the examples has to be, and the shape of the rows."""

    places: list[Place]
    shape: tuple[int, int]

    def filled(self, field: str, otherwise: int) -> Tensor:
        """Return the rows with a field of each place, and ``otherwise`` at padding."""
        full = torch.full(self.shape, otherwise)
        for place in self.places:
            full[place.row, place.column] = getattr(place, field)
        return full

    def seen(self) -> Tensor:
        """Return which column each token attends to, (rows, columns, columns), without the padding's."""
        mask = torch.zeros((*self.shape, self.shape[1]), dtype=torch.bool)
        for one in self.places:
            for other in self.places:
                if one.example == other.example and other.position <= one.position:
                    mask[one.row, one.column, other.column] = True
        return mask


def slow_packing(examples: Sequence[Example], room: int) -> Packed:
    """Return where each token of the examples has to be."""
    rows = slow_rows([len(prompt) + len(answer) for prompt, answer in examples], room)
    found = []
    for row, members in enumerate(rows):
        column = 0
        for number in members:
            prompt, answer = examples[number]
            for position, token in enumerate([*prompt, *answer][:room]):
                is_learnt = position >= len(prompt) and position > 0
                label = token if is_learnt else IGNORE_INDEX
                found.append(Place(row, column, number, token, label, position))
                column += 1
    return Packed(found, (len(rows), room))


def packed(impl: Any, examples: Sequence[Example], room: int, pad: int) -> TokenBatch:
    """Pack the examples with the implementation."""
    prompts, answers = [prompt for prompt, _ in examples], [answer for _, answer in examples]
    batch: TokenBatch = impl().pack(prompts, answers, row_length=room, pad_id=pad)
    return batch


def check_packed(impl: Any, examples: Sequence[Example], room: int, pad: int) -> None:
    """Compare tokens, labels and positions of packed rows with the slow way's."""
    batch, expected = packed(impl, examples, room, pad), slow_packing(examples, room)
    assert_equal(batch.input_ids, expected.filled("token", pad), what=Message("input_ids"))
    assert_equal(batch.labels, expected.filled("label", IGNORE_INDEX), what=Message("labels"))
    assert_equal(batch.position_ids, expected.filled("position", 0), what=Message("position_ids"))


WORDS, WIDTH, LONGEST = 5, 4, 16


def parameters() -> list[Tensor]:
    """Return embeddings of words and positions, and the weights of queries, keys, values and output."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(WORDS, WIDTH), (LONGEST, WIDTH), *[(WIDTH, WIDTH)] * 3, (WIDTH, WORDS)]
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


def model(params: list[Tensor], tokens: Tensor, position: Tensor, attn_mask: Tensor) -> Tensor:
    """Return the logits (B, T, V) of one layer of attention."""
    words, positions, query, key, value, output = params
    hidden = words[tokens] + positions[position]
    scores = (hidden @ query) @ (hidden @ key).mT
    return (hidden + scores.masked_fill(~attn_mask, -math.inf).softmax(-1) @ (hidden @ value)) @ output


def slow_apart(params: list[Tensor], examples: Sequence[Example], room: int) -> Tensor:
    """Return the mean loss of the examples' learnt tokens, each example read alone."""
    terms = []
    for prompt, answer in examples:
        tokens = torch.tensor([(prompt + answer)[:room]], dtype=torch.long)
        causal = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).tril()
        log_probs = model(params, tokens, torch.arange(tokens.shape[1]), causal).log_softmax(-1)[0]
        terms += [-log_probs[t - 1, tokens[0, t]] for t in range(max(len(prompt), 1), tokens.shape[1])]
    return torch.stack(terms).mean() if terms else 0 * params[0].sum()
