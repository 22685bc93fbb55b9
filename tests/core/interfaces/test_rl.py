"""The batches of learning rules: plain data that can be sent to an attempt, and sufficient for every rule."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from groundup.core.interfaces import rl
from groundup.core.interfaces.rl import (
    IGNORE_INDEX,
    GroupBatch,
    Loss,
    RewardPairBatch,
    RLAlgorithm,
    SupervisedBatch,
    TokenBatch,
    TransitionBatch,
)
from groundup.core.plain import is_plain
from groundup.core.tensors import tensors_in
from groundup.grader.process.worker import wire

BATCHES = [value for name, value in vars(rl).items() if name.endswith("Batch") and isinstance(value, type)]
SIZES = {"B": 2, "T": 3, "U": 4, "A": 5, "V": 6}


def made(batch: type[Any]) -> Any:
    """Return a batch with numbers in every field; each tensor has the shape that its annotation gives."""
    values: dict[str, Any] = {}
    for number, (name, hint) in enumerate(typing.get_type_hints(batch).items()):
        shaped = [h for h in (hint, *typing.get_args(hint)) if hasattr(h, "dim_str")]
        if not shaped:
            values[name] = number
            continue
        shape = [SIZES[axis] for axis in shaped[0].dim_str.replace("*", "").split()]
        dtype = {"Bool": torch.bool, "Int": torch.int64, "Float": torch.float32}[shaped[0].__name__.partition("[")[0]]
        values[name] = (torch.arange(torch.Size(shape).numel()).reshape(shape) % (number + 2)).to(dtype)
    return batch(**values)


@pytest.mark.parametrize("batch", BATCHES)
def test_a_batch_crosses_to_an_attempt_field_by_field(batch: type[Any]) -> None:
    assert is_plain(batch)
    sent = made(batch)
    frame = b"".join(bytes(part) for part in wire.encode({"id": 1}, sent))
    header, payload = wire.lengths(frame[: wire.HEAD.size])
    start = wire.HEAD.size + header
    _, came = wire.decode(frame[wire.HEAD.size : start], bytearray(frame[start : start + payload]))
    assert type(came) is batch
    assert len(tensors_in(came)) >= 2
    for name in (f.name for f in dataclasses.fields(batch)):
        one, other = getattr(sent, name), getattr(came, name)
        same = torch.equal(one, other) and one.dtype == other.dtype if isinstance(one, Tensor) else one == other
        assert same, name


@pytest.mark.parametrize("batch", BATCHES)
def test_every_tensor_of_a_batch_has_a_shape_of_known_axes(batch: type[Any]) -> None:
    shapes = [t.shape for t in tensors_in(made(batch))]
    assert all(shape[0] == SIZES["B"] for shape in shapes)


def test_what_a_plugin_of_contract_1_constructs_is_what_it_was() -> None:
    rows, square, mask = torch.zeros(2), torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bool)
    group, ends = torch.tensor([0, 0]), torch.tensor([True, False])
    assert GroupBatch(square, square, rows, group, mask, square).sampler_log_prob is None
    assert RewardPairBatch(rows, rows, rows).chosen_mask is None
    assert TransitionBatch(square, group, rows, square, ends, square).next_online_q_value is None


# Packing: mistakes of a rule's packing change the loss or the gradients.

HEADS = torch.Generator().manual_seed(0)
WORDS, WIDTH, LONGEST = 7, 6, 8
PARAMS = {
    name: torch.randn(*shape, generator=HEADS, dtype=torch.float64)
    for name, shape in {
        "words": (WORDS, WIDTH), "places": (LONGEST, WIDTH), "query": (WIDTH, WIDTH), "key": (WIDTH, WIDTH),
        "head": (WIDTH, WORDS),
    }.items()
}  # fmt: skip


def model(params: dict[str, Tensor], rows: TokenBatch) -> Tensor:
    """Return the logits of one attention layer over token and position embeddings."""
    x = params["words"][rows.input_ids] + params["places"][rows.position_ids]
    score = (x @ params["query"]) @ (x @ params["key"]).mT
    weight = torch.softmax(score.masked_fill(~rows.attn_mask, -torch.inf), -1).nan_to_num()
    return (x + weight @ x) @ params["head"]


class SFT(RLAlgorithm[SupervisedBatch]):
    apart, restarts, parted = True, True, True

    def pack(self, examples: Sequence[tuple[Tensor, int]], length: int) -> TokenBatch:
        """Pack the examples, pairs of (tokens, prompt length), into rows of ``length``."""
        rows: list[list[tuple[Tensor, int]]] = [[]]
        for ids, prompt in examples:
            if sum(len(other) for other, _ in rows[-1]) + len(ids) > length:
                rows.append([])
            rows[-1].append((ids, prompt))
        input_ids = torch.zeros(len(rows), length, dtype=torch.int64)
        labels, position_ids = torch.full_like(input_ids, IGNORE_INDEX), torch.zeros_like(input_ids)
        example = torch.full_like(input_ids, -1)
        for row, packed in enumerate(rows):
            start = 0
            for number, (ids, prompt) in enumerate(packed):
                stop = start + len(ids)
                input_ids[row, start:stop], example[row, start:stop] = ids, number if self.apart else 0
                labels[row, start + max(prompt, int(self.parted)) : stop] = ids[max(prompt, int(self.parted)) :]
                position_ids[row, start:stop] = torch.arange(len(ids)) + (0 if self.restarts else start)
                start = stop
        seen = (example[:, :, None] == example[:, None, :]) & (example >= 0)[:, :, None]
        return TokenBatch(input_ids, labels, position_ids, seen & torch.ones(length, length).tril().bool())

    def loss(self, batch: SupervisedBatch) -> Loss:
        logits, labels = batch.logits[:, :-1].flatten(0, 1), batch.labels[:, 1:].flatten()
        count = int((labels != IGNORE_INDEX).sum()) if batch.num_items_in_batch is None else batch.num_items_in_batch
        return Loss(F.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="sum") / max(count, 1))


EXAMPLES = [(torch.tensor([1, 2, 3, 4]), 2), (torch.tensor([5, 6]), 0), (torch.tensor([2, 4, 6]), 1)]
LEARNT = 5  # tokens with a label: two, one and two


def packed(rule: SFT, length: int, examples: Sequence[tuple[Tensor, int]] = EXAMPLES) -> tuple[Tensor, Tensor]:
    """Return the loss of the examples, packed into rows of ``length``, and its gradients, concatenated."""
    params = {name: tensor.clone().requires_grad_() for name, tensor in PARAMS.items()}
    rows = rule.pack(examples, length)
    loss = rule.loss(SupervisedBatch(model(params, rows), rows.labels, LEARNT)).loss
    return loss.detach(), torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(params.values()))])


def separate(rule: SFT) -> tuple[Tensor, Tensor]:
    """Return the same for each example in a row and a step of its own, summed over the examples."""
    found = [packed(rule, len(example[0]), [example]) for example in EXAMPLES]
    return sum(loss for loss, _ in found), sum(grad for _, grad in found)  # type: ignore[return-value]


@pytest.mark.parametrize("length", [4, 6, 8, 9])
def test_packed_examples_have_the_loss_and_the_gradients_of_separate_ones(length: int) -> None:
    for got, expected in zip(packed(SFT(), length), separate(SFT()), strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("mistake", ["apart", "restarts", "parted"])
def test_what_packing_gets_wrong_shows_in_the_loss(mistake: str) -> None:
    rule = SFT()
    setattr(rule, mistake, False)
    assert not torch.allclose(packed(rule, 8)[0], separate(SFT())[0])


def test_uniform_logits_cost_the_logarithm_of_the_vocabulary() -> None:
    rows = SFT().pack(EXAMPLES, 8)
    logits = torch.zeros(*rows.labels.shape, WORDS, dtype=torch.float64)
    torch.testing.assert_close(SFT().loss(SupervisedBatch(logits, rows.labels)).loss.exp().item(), float(WORDS))
