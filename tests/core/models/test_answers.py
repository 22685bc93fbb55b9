from __future__ import annotations

import math

import pytest
import torch

from groundup.core.models import Answers, Decoder, Params, Tokenizer, joined, log_probs, sample, written

WORDS = Tokenizer("01+=ab")
MODEL = Decoder(WORDS.vocab_size, hidden_size=8, num_layers=2, num_heads=4, num_kv_heads=2, intermediate_size=6)
PROMPTS = ["0+1=", "a=", "1", "ab01+=", "bb="]


def params(seed: int = 0, scale: float = 8.0) -> Params:
    """Return parameters that make some words likely and others not."""
    return {
        name: value * scale if value.dim() > 1 else value for name, value in MODEL.init(seed, torch.float64).items()
    }


def sampled(**options: float) -> Answers:
    generator = torch.Generator().manual_seed(int(options.pop("seed", 0)))
    return sample(MODEL, params(), WORDS, PROMPTS, max_tokens=7, generator=generator, **options)


def test_greedy_answers_are_those_without_a_cache_one_prompt_at_a_time() -> None:
    got = sampled(temperature=0)
    ended = 0
    for row, prompt in enumerate(PROMPTS):
        ids = WORDS.encode(prompt)
        first = len(ids)
        while len(ids) < first + 7 and (len(ids) == first or ids[-1] != WORDS.end):
            ids.append(int(MODEL.forward(params(), {"x": torch.tensor([ids])})[0, -1].argmax()))
        assert got.answer[row][got.mask[row]].tolist() == ids[first:]
        assert set(got.answer[row][~got.mask[row]].tolist()) <= {WORDS.pad}
        ended += ids[-1] == WORDS.end
    assert len({tuple(row.tolist()) for row in got.answer}) > 2


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_sampled_log_probs_are_those_of_a_forward_pass_at_that_temperature(temperature: float) -> None:
    got = sampled(temperature=temperature)
    assert got.log_prob is not None
    for row, prompt in enumerate(PROMPTS):
        start, answer = WORDS.encode(prompt), got.answer[row][got.mask[row]]
        logits = MODEL.forward(params(), {"x": torch.tensor([[*start, *answer.tolist()]])})[0, len(start) - 1 : -1]
        expected = (logits / temperature).log_softmax(-1)[torch.arange(len(answer)), answer]
        torch.testing.assert_close(got.log_prob[row][got.mask[row]], expected)
    assert not got.log_prob[~got.mask].any()


def test_log_probs_of_given_answers_are_those_of_each_alone_and_carry_gradient() -> None:
    texts = ["1", "", "ba", "0", "a+b"]
    leaves = {name: value.requires_grad_() for name, value in params().items()}
    answers = written(WORDS, PROMPTS, texts)
    got = log_probs(MODEL, leaves, answers)
    assert answers.mask.sum(1).tolist() == [len(text) + 1 for text in texts]
    for row, (prompt, text) in enumerate(zip(PROMPTS, texts, strict=True)):
        ids = [*WORDS.encode(prompt + text), WORDS.end]
        alone = MODEL.forward(params(), {"x": torch.tensor([ids])})[0].log_softmax(-1)
        expected = [float(alone[at - 1, ids[at]]) for at in range(len(prompt), len(ids))]
        assert got[row][answers.mask[row]].tolist() == pytest.approx(expected, abs=1e-10)
    together = torch.autograd.grad((got * answers.mask).sum(), list(leaves.values()))
    apart = [torch.zeros_like(grad) for grad in together]
    for row in range(len(PROMPTS)):
        one = log_probs(MODEL, leaves, written(WORDS, PROMPTS[row : row + 1], texts[row : row + 1]))
        apart = [a + b for a, b in zip(apart, torch.autograd.grad(one.sum(), list(leaves.values())), strict=True)]
    for one_grad, other in zip(together, apart, strict=True):
        torch.testing.assert_close(one_grad, other)


def test_padding_changes_nothing() -> None:
    answers = written(WORDS, PROMPTS, ["1", "", "ba", "0", "a+b"])
    noisy = Answers(
        torch.where(answers.prompt_mask, answers.prompt, 9), answers.prompt_mask,
        torch.where(answers.mask, answers.answer, 8), answers.mask,
    )  # fmt: skip
    got, expected = log_probs(MODEL, params(), noisy), log_probs(MODEL, params(), answers)
    torch.testing.assert_close(got[answers.mask], expected[answers.mask])
    assert got.isfinite().all()


def test_the_seed_decides_and_words_come_as_often_as_they_are_likely() -> None:
    assert torch.equal(sampled(seed=1).answer, sampled(seed=1).answer)
    assert not torch.equal(sampled(seed=1).answer, sampled(seed=2).answer)
    count = 20_000
    drawn = sample(
        MODEL, params(scale=4.0), WORDS, ["a="] * count, max_tokens=1, generator=torch.Generator().manual_seed(0)
    )
    likely = MODEL.forward(params(scale=4.0), {"x": torch.tensor([WORDS.encode("a=")])})[0, -1].softmax(-1)
    often = drawn.answer[:, 0].bincount(minlength=WORDS.vocab_size) / count
    spread = (likely * (1 - likely) / count).sqrt()
    assert ((often - likely).abs() < 5 * spread + 1 / count).all()
    assert likely.max() < 0.9


def test_answers_stop_at_the_end_token_and_rows_after_it_are_padding() -> None:
    generator = torch.Generator().manual_seed(3)
    got = sample(MODEL, params(scale=2.0), WORDS, ["a="] * 200, max_tokens=9, generator=generator)
    for row, mask in zip(got.answer.tolist(), got.mask.tolist(), strict=True):
        length = row.index(WORDS.end) + 1 if WORDS.end in row else 9
        assert mask == [True] * length + [False] * (9 - length)
    assert 20 < int((got.answer == WORDS.end).any(1).sum()) < 190
    assert sample(MODEL, params(), WORDS, ["0"], max_tokens=1).answer.shape == (1, 1)


def test_texts_are_those_of_answers_that_ended() -> None:
    answers = written(WORDS, ["0+1=", "a="], ["1", ""])
    assert answers.texts(WORDS) == [("0+1=", "1"), ("a=", "")]
    cut = Answers(answers.prompt, answers.prompt_mask, torch.tensor([[7, 8], [5, 2]]), torch.ones(2, 2).bool())
    assert cut.texts(WORDS) == [("0+1=", None), ("a=", None)]  # not ended; a special token inside


def test_labels_are_the_answers_tokens_alone() -> None:
    answers = written(WORDS, ["0+1=", "a="], ["1", "ba"])
    labels = answers.labels()
    x = answers.batch()["x"]
    assert isinstance(x, torch.Tensor)
    assert labels.shape == x.shape
    assert [[n for n in row if n != -100] for row in labels.tolist()] == [
        [*WORDS.encode("1"), WORDS.end], [*WORDS.encode("ba"), WORDS.end],
    ]  # fmt: skip
    assert torch.equal(labels[labels != -100], x[labels != -100])
    assert (labels != -100).tolist() == [[False] * 4 + [True, True, False], [False] * 4 + [True] * 3]


def test_joined_answers_keep_their_rows() -> None:
    one, two = written(WORDS, ["0"], ["ab0"]), written(WORDS, ["a+b=", "1"], ["", "1"])
    both = joined([one, two], WORDS.pad)
    assert both.texts(WORDS) == [*one.texts(WORDS), *two.texts(WORDS)]
    got, expected = log_probs(MODEL, params(), both)[1:, :2], log_probs(MODEL, params(), two)
    torch.testing.assert_close(got[two.mask], expected[two.mask])
    assert both.rows(torch.tensor([2, 0])).texts(WORDS) == [("1", "1"), ("0", "ab0")]
    assert [text for _, text in both.mismatched().texts(WORDS)] == ["1", "ab0", ""]


def test_scores_of_bfloat16_are_computed_in_float32() -> None:
    narrow = {name: value.bfloat16() for name, value in params(scale=4.0).items()}
    answers = written(WORDS, ["a="], ["b"])
    got = log_probs(MODEL, narrow, answers)
    logits = MODEL.forward(narrow, answers.batch())[:, 1:-1].double()
    expected = logits.log_softmax(-1).gather(2, answers.answer[..., None])[..., 0]
    assert got.dtype == torch.float32
    assert float((got - expected).abs().max()) < 1e-5
    assert math.isfinite(float(got.sum()))
