"""Properties of every right implementation of SFT: its loss, its rows and its packing."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import IGNORE_INDEX, SupervisedBatch
from groundup.core.messages import Message
from groundup.core.testing import (
    Tolerance,
    about,
    after,
    assert_close,
    assert_equal,
    assert_form,
    claim,
    gradient,
    hole,
    points,
    sum_tolerance,
)
from groundup.core.testing.laws import rl as laws
from groundup.plugins.alignment.sft.cases import (
    CUTTING,
    EXAMPLES,
    LENGTHS,
    LONG,
    PADS,
    PLAIN,
    ROOM,
    SFT,
    SINGLE,
    SMOOTHINGS,
    SURE,
    TOKENS,
    WIDE,
    Case,
    Example,
    check_packed,
    check_slopes,
    learnt,
    model,
    packed,
    parameters,
    slow_apart,
    slow_loss,
    slow_packing,
    slow_rows,
    slow_slopes,
)

SLOPE = Tolerance(rtol=0.01, atol=0.01)  # of a finite-difference slope; float32 would lose a tiny step, or double it


# The loss


@claim(
    "Each token is asked of the logits one place before it: sure of it there, the loss is 0, whatever the other places "
    "say; sure of another word by 40, the loss is 40.",
    zh="每个词元由它前一个位置的 logits 来预测：那里对它有把握时损失为 0，其他位置说什么都不影响；"
    "那里以 40 的差距押在别的词上时，损失为 40。",
)
@hole(1)
@given(case=SINGLE.cases(), said=st.integers(0, 3))
def test_a_token_is_predicted_one_place_before_it(impl: Any, case: Case, said: int) -> None:
    batch = case.batch
    ((_, label, place),) = learnt(batch)
    said %= batch.logits.shape[2]
    logits = torch.zeros_like(batch.logits)
    logits[..., label if said != label else label - 1] = SURE  # everywhere else it is sure of what would be wrong here
    logits[place] = 0.0
    logits[place][said] = SURE
    exact = torch.tensor(0.0 if said == label else SURE, dtype=torch.float64)
    limit = sum_tolerance(logits.dtype, 1, SURE)
    got = impl().loss(replace(batch, logits=logits)).loss
    assert_close(got, exact, dtype=logits.dtype, tolerance=limit, what=Message("the loss"))


test_padding_changes_nothing = laws.test_padding_changes_nothing(
    SFT,
    hole=1,
    claim={
        "en": "Ignored tokens matter neither in value nor in gradient: prompts, padding, and rows of padding alone.",
        "zh": "被忽略的词元既不影响损失的值，也不影响梯度：提示词、填充，以及整行填充都是如此。",
    },
)
test_padding_alone_gives_zero = laws.test_padding_alone_gives_zero(
    SFT,
    hole=1,
    claim={
        "en": "A batch with nothing to learn has a loss of 0 and gradients of 0, not NaN.",
        "zh": "没有任何词元要学的批，损失为 0，梯度也为 0，而不是 NaN。",
    },
)


@claim(
    "Logits in bfloat16 or float16 are first converted to float32: the loss is float32, and that of converted logits.",
    zh="bfloat16 或 float16 的 logits 会先转换成 float32：损失是 float32，并且与先转换再计算的结果相同。",
)
@about("dtype")
@hole(1)
@given(case=SINGLE.cases(), times=st.sampled_from((1, 60)), scale=st.sampled_from((1.0, 2.0**15)), half=st.booleans())
def test_narrow_logits_are_converted_first(impl: Any, case: Case, times: int, scale: float, half: bool) -> None:
    scale = 1.0 if half else scale  # 2^15 times some overflow in float16
    narrow = (scale * case.batch.logits).to(torch.float16 if half else torch.bfloat16).repeat(1, times, 1)
    batch = replace(case.batch, logits=narrow, labels=case.batch.labels.repeat(1, times))
    got, expected = impl().loss(batch).loss, impl().loss(replace(batch, logits=narrow.float())).loss
    assert_form(got, (), torch.float32, what=Message("the loss"))
    limit = sum_tolerance(torch.float32, batch.labels.numel(), 6.0 * scale)
    assert_close(got, expected, dtype=torch.float32, tolerance=limit, what=Message("the loss"))


@claim(
    "In float64 nothing is rounded to float32: a change too small for a float32 moves the loss as much, for its size, "
    "as a larger one does.",
    zh="float64 时，任何数都不会被舍入成 float32：小到 float32 装不下的改动，按大小折算，对损失的影响与大的改动相同。",
)
@about("dtype")
@hole(1)
@given(tiny=st.sampled_from((2.0**-27, 2.0**-28)), smoothing=st.sampled_from((0.0, *SMOOTHINGS)))
def test_float64_is_carried_through(impl: Any, tiny: float, smoothing: float) -> None:
    logits = torch.tensor([[[1.5, -0.75, 0.25], [0.5, 1.25, -1.0], [0.75, 0.5, -0.25]]]).double()
    labels = torch.tensor([[IGNORE_INDEX, 1, 0]])

    def slope(step: float) -> Tensor:
        there, back = (
            impl(label_smoothing=smoothing).loss(SupervisedBatch(logits * (1 + way * step), labels)).loss
            for way in (1, -1)
        )
        result: Tensor = (there - back) / (2 * step)
        return result

    got, expected = slope(tiny), slope(2.0**-10)
    assert_close(got, expected, dtype=torch.float64, tolerance=SLOPE, what=Message("the slope of the loss"))


@claim(
    "If all words are equally likely, a token costs log V, and its gradient is 1/V for each word, less 1 for its own.",
    zh="所有词同样可能时，一个词元的损失是 log V；每个词的梯度是 1/V，它自己的词再减 1。",
)
@hole(2)
@given(case=SINGLE.cases(), level=st.sampled_from((0.0, 1.5, -2.0)))
def test_equally_likely_words_cost_log_v(impl: Any, case: Case, level: float) -> None:
    batch = replace(case.batch, logits=torch.full_like(case.batch.logits, level))
    words = batch.logits.shape[2]
    PLAIN.check(impl().loss(batch), "loss", torch.tensor(math.log(words), dtype=torch.float64), batch)
    check_slopes(impl, batch, slow_slopes(batch, 1)["logits"])


@claim(
    "A token's loss is the log of the sum of exp over all words, minus its own logit; the gradient is the "
    "probabilities, less 1 at its own word.",
    zh="一个词元的损失是对全部词的 exp 求和再取对数，减去它自己的 logit；梯度是各词的概率，它自己的词再减 1。",
)
@hole(2)
@given(case=SINGLE.cases())
def test_a_token_costs_minus_its_log_probability(impl: Any, case: Case) -> None:
    (token,) = learnt(case.batch)
    PLAIN.check(impl().loss(case.batch), "loss", torch.tensor(slow_loss(token), dtype=torch.float64), case.batch)
    check_slopes(impl, case.batch, slow_slopes(case.batch, 1)["logits"])


@claim(
    "With label_smoothing e the target has 1 - e on the token's own word, and e / V more on every word.",
    zh="label_smoothing 为 e 时，目标分布在词元自己的词上有 1 - e，另外每个词都再加 e / V。",
)
@hole(2)
@given(case=SINGLE.cases(), smoothing=st.sampled_from(SMOOTHINGS))
def test_label_smoothing_spreads_over_all_words(impl: Any, case: Case, smoothing: float) -> None:
    (token,) = learnt(case.batch)
    exact = torch.tensor(slow_loss(token, smoothing), dtype=torch.float64)
    PLAIN.check(impl(label_smoothing=smoothing).loss(case.batch), "loss", exact, case.batch)
    check_slopes(impl, case.batch, slow_slopes(case.batch, 1, smoothing)["logits"], label_smoothing=smoothing)


@claim(
    "Only differences of logits count, however large they are: a word that is 1,000 above the right one costs 1,000, "
    "and a thousand added to all logits of a place costs nothing.",
    zh="只有 logits 之差起作用，无论多大：别的词比正确的词高 1000，损失就是 1000；"
    "一个位置的 logits 都加上一千则毫无影响。",
)
@hole(2)
@given(case=SINGLE.cases(), level=st.sampled_from((-1000.0, 0.0, 1000.0)), apart=st.sampled_from((0.0, 200.0, 1000.0)))
def test_logits_may_be_large(impl: Any, case: Case, level: float, apart: float) -> None:
    batch = case.batch
    ((_, label, place),) = learnt(batch)
    logits = torch.full_like(batch.logits, 1000.0)  # at the other places
    logits[place] = level
    logits[place][label] = level - apart
    words = logits.shape[2]
    exact = math.log(words) if apart == 0 else apart + math.log(words - 1)
    got = impl().loss(replace(batch, logits=logits)).loss
    limit = sum_tolerance(logits.dtype, words, 1000.0)
    assert_close(got, torch.tensor(exact, dtype=torch.float64), dtype=logits.dtype, tolerance=limit, what="the loss")


@claim(
    "A word whose logit is -inf changes nothing, neither where a token is learnt nor where it is ignored.",
    zh="logit 为 -inf 的词不改变任何东西，无论所在位置的词元要学还是被忽略。",
)
@hole(2)
@given(case=PLAIN.cases())
def test_an_impossible_word_changes_nothing(impl: Any, case: Case) -> None:
    batch = case.batch
    never = torch.full_like(batch.logits[..., :1], -math.inf)  # as the first word: an ignored label is often read as 0
    labels = torch.where(batch.labels == IGNORE_INDEX, IGNORE_INDEX, batch.labels + 1)
    more = PLAIN.trained(replace(batch, logits=torch.cat([never, batch.logits], dim=-1), labels=labels))
    batch = PLAIN.trained(batch)
    got, expected = impl().loss(more), impl().loss(batch)
    PLAIN.check_same(got, expected, batch)
    exact = PLAIN.gradients(expected, batch)["logits"]
    wider = torch.cat([torch.zeros_like(exact[..., :1]), exact], dim=-1)
    PLAIN.check_same_gradients(PLAIN.gradients(got, more), {"logits": wider}, batch)


@claim(
    "The loss is the mean over all learnt tokens of the batch; in every row each weighs the same.",
    zh="损失是整个批中全部要学的词元的平均；无论在哪一行，每个词元的权重都相同。",
)
@hole(3)
@given(case=SFT.cases())
def test_every_learnt_token_weighs_the_same(impl: Any, case: Case) -> None:
    smoothing = case.rule["label_smoothing"]
    losses = [slow_loss(token, smoothing) for token in learnt(case.batch)]
    exact = torch.tensor(laws.mean(losses), dtype=torch.float64)
    SFT.check(impl(**case.rule).loss(case.batch), "loss", exact, case.batch)
    check_slopes(impl, case.batch, slow_slopes(case.batch, max(len(losses), 1), smoothing)["logits"], **case.rule)


@claim(
    "In a row of a thousand tokens every learnt one counts, in loss and gradient, in float32 as well.",
    zh="一行有上千个词元时，每个要学的词元照样算数，损失和梯度都是，float32 下也一样。",
)
@hole(3)
@after(test_every_learnt_token_weighs_the_same)
@given(batch=LONG)
def test_long_rows_are_learnt_to_their_end(impl: Any, batch: SupervisedBatch) -> None:
    losses = [slow_loss(token) for token in learnt(batch)]
    limit = sum_tolerance(batch.logits.dtype, batch.labels.numel(), 6.0)
    exact = torch.tensor(laws.mean(losses), dtype=torch.float64)
    assert_close(impl().loss(batch).loss, exact, dtype=batch.logits.dtype, tolerance=limit, what=Message("the loss"))
    check_slopes(impl, batch, slow_slopes(batch, len(losses))["logits"])


@claim(
    "With num_items_in_batch the sum is divided by that number, and by nothing else.",
    zh="给出 num_items_in_batch 时，总和只除以这个数，不再除以别的。",
)
@hole(3)
@given(case=PLAIN.cases(), items=st.sampled_from((1, 3, 16)))
def test_the_number_of_items_is_the_divisor(impl: Any, case: Case, items: int) -> None:
    batch = replace(case.batch, num_items_in_batch=items)
    exact = torch.tensor(math.fsum(map(slow_loss, learnt(batch))) / items, dtype=torch.float64)
    limit = sum_tolerance(batch.logits.dtype, batch.logits.numel(), 6.0)
    got = impl().loss(batch).loss
    assert_close(got, exact, dtype=batch.logits.dtype, tolerance=limit, what=Message("the loss"))


@claim(
    "The number belongs to its own batch: the next one, given without it, is a mean over its own tokens again.",
    zh="这个数只属于它自己的批：下一个批没有给出时，又是对自己的词元取平均。",
)
@hole(3)
@after(test_every_learnt_token_weighs_the_same, test_the_number_of_items_is_the_divisor)
@given(case=PLAIN.cases(), items=st.sampled_from((5, 16)))
def test_the_number_is_not_kept(impl: Any, case: Case, items: int) -> None:
    rule = impl()
    rule.loss(replace(case.batch, num_items_in_batch=items))
    PLAIN.check_same(rule.loss(case.batch), impl().loss(case.batch), case.batch)


@claim(
    "Micro-batches with answers of unequal length add up to the large batch, in loss and gradient.",
    zh="回答长短不一的各个微批，损失和梯度加起来都等于整个大批。",
)
@hole(3)
@after(test_every_learnt_token_weighs_the_same)
@given(case=replace(PLAIN, batches=SFT.batches.filter(lambda batch: len(batch.labels) > 1)).cases())
def test_micro_batches_add_up_to_the_large_batch(impl: Any, case: Case) -> None:
    whole = PLAIN.trained(case.batch)
    items = int((whole.labels[:, 1:] != IGNORE_INDEX).sum())
    total, slopes = torch.zeros((), dtype=torch.float64), []
    for row in range(len(whole.labels)):
        own = SupervisedBatch(case.batch.logits[row : row + 1], case.batch.labels[row : row + 1], max(items, 1))
        own = PLAIN.trained(own)
        got = impl().loss(own)
        total = total + got.loss.detach()
        slopes.append(PLAIN.gradients(got, own)["logits"])
    expected = impl().loss(whole)
    PLAIN.check(expected, "loss", total, whole)
    PLAIN.check_same_gradients({"logits": torch.cat(slopes)}, PLAIN.gradients(expected, whole), whole)


test_loss_equals_the_reference_whatever_came_before = laws.test_loss_equals_the_reference_whatever_came_before(
    SFT, hole=3
)


# Rows


@claim(
    "Each example with tokens is in exactly one row, in the order of the examples; one without tokens is in none.",
    zh="每个有词元的样本恰好在一行里，次序与样本相同；没有词元的样本不在任何一行。",
)
@hole(4)
@given(lengths=LENGTHS, room=ROOM)
def test_each_example_is_in_one_row(impl: Any, lengths: list[int], room: int) -> None:
    rows = impl().rows(lengths, row_length=room)
    members = [number for row in rows for number in row]
    assert_equal(members, [n for n, length in enumerate(lengths) if length], what=Message("the examples, row by row"))
    assert_equal([row for row in rows if not row], [], what=Message("the rows without examples"))


@claim(
    "A row ends where the next example does not fit, and not before: an example that fills it exactly still fits.",
    zh="只有下一个样本放不下时才换行，不会提前：恰好填满一行的样本仍然放得下。",
)
@hole(4)
@given(lengths=LENGTHS, room=ROOM)
def test_a_row_ends_where_the_next_example_does_not_fit(impl: Any, lengths: list[int], room: int) -> None:
    rows = impl().rows(lengths, row_length=room)
    firsts = [[row[0] for row in each if row] for each in (rows, slow_rows(lengths, room))]
    assert_equal(firsts[0], firsts[1], what=Message("the examples that begin a row"))


# Packing


@claim(
    "A row holds the tokens of its examples, one after the other, and then the padding.",
    zh="一行里依次是各个样本的词元，后面是填充。",
)
@hole(5)
@given(examples=EXAMPLES, room=WIDE, pad=PADS)
def test_rows_hold_the_examples_tokens(impl: Any, examples: list[Example], room: int, pad: int) -> None:
    expected = slow_packing(examples, room).filled("token", pad)
    assert_equal(packed(impl, examples, room, pad).input_ids, expected, what=Message("input_ids"))


@claim("Positions count from 0 in each example.", zh="每个样本里的位置都从 0 开始数。")
@hole(5)
@given(examples=EXAMPLES, room=WIDE, pad=PADS)
def test_positions_begin_anew_in_each_example(impl: Any, examples: list[Example], room: int, pad: int) -> None:
    expected = slow_packing(examples, room).filled("position", 0)
    assert_equal(packed(impl, examples, room, pad).position_ids, expected, what=Message("position_ids"))


@claim(
    "Exactly the answers' tokens are learnt, those that equal the padding too; never an example's first token.",
    zh="要学的恰好是回答的词元，与填充相同的词元也要学；样本的第一个词元从不学。",
)
@hole(5)
@given(examples=EXAMPLES, room=WIDE, pad=PADS)
def test_exactly_the_answers_are_learnt(impl: Any, examples: list[Example], room: int, pad: int) -> None:
    expected = slow_packing(examples, room).filled("label", IGNORE_INDEX)
    assert_equal(packed(impl, examples, room, pad).labels, expected, what=Message("labels"))


@claim(
    "An example longer than a row keeps the first tokens that fit, with their labels and positions.",
    zh="比一行还长的样本保留放得下的前几个词元，连同它们的标签和位置。",
)
@hole(5)
@given(examples=EXAMPLES, room=CUTTING, pad=PADS)
def test_a_long_example_is_cut_at_the_rows_end(impl: Any, examples: list[Example], room: int, pad: int) -> None:
    check_packed(impl, examples, room, pad)


@claim(
    "Words of a large vocabulary and examples of hundreds of tokens are kept as they are.",
    zh="大词表里的词，以及有几百个词元的样本，都原样保留。",
)
@hole(5)
@after(test_rows_hold_the_examples_tokens)
@given(length=st.sampled_from((300, 700)), word=st.sampled_from((300, 40_000, 150_000)))
def test_large_numbers_are_kept(impl: Any, length: int, word: int) -> None:
    check_packed(impl, [([word] * 3, [word + n for n in range(length)]), ([1], [word])], length + 5, 0)


@claim(
    "A token attends to itself and to the tokens before it in its own example, and to nothing else.",
    zh="一个词元只关注它自己，以及同一样本中在它之前的词元。",
)
@hole(6)
@given(examples=EXAMPLES, room=st.one_of(CUTTING, WIDE), pad=PADS)
def test_attention_stays_within_the_example(impl: Any, examples: list[Example], room: int, pad: int) -> None:
    slow = slow_packing(examples, room)
    expected = slow.seen()
    got = packed(impl, examples, room, pad).attn_mask
    assert_form(got, expected.shape, torch.bool, what=Message("attn_mask"))
    assert_equal(got & (slow.filled("example", -1).unsqueeze(2) >= 0), expected, what=Message("attn_mask, from tokens"))


@claim(
    "A row may hold hundreds of examples, or one of hundreds of tokens: each token sees its own example up to itself.",
    zh="一行可以有几百个样本，也可以是一个有几百个词元的样本：每个词元看到的都是自己的样本里到它为止的部分。",
)
@hole(6)
@after(test_attention_stays_within_the_example)
@given(count=st.sampled_from((257, 300)), pad=PADS, together=st.booleans())
def test_hundreds_of_tokens_see_their_own_example(impl: Any, count: int, pad: int, together: bool) -> None:
    examples, reach = ([([2] * 9, [1] * (count - 9))], count) if together else ([([], [1])] * count, 1)
    expected = torch.ones(count, count, dtype=torch.bool).tril().triu(1 - reach)
    assert_equal(packed(impl, examples, count, pad).attn_mask, expected.unsqueeze(0), what=Message("attn_mask"))


@claim(
    "A padded position attends to itself alone, so that no softmax runs over nothing.",
    zh="填充位置只关注它自己，这样就不会有对空集做的 softmax。",
)
@hole(6)
@given(examples=EXAMPLES, room=WIDE, pad=PADS)
def test_padding_attends_to_itself_alone(impl: Any, examples: list[Example], room: int, pad: int) -> None:
    padded = slow_packing(examples, room).filled("example", -1) == -1
    got = packed(impl, examples, room, pad).attn_mask
    assert_form(got, (*padded.shape, room), torch.bool, what=Message("attn_mask"))
    alone = torch.eye(room, dtype=torch.bool).expand(len(padded), -1, -1)
    assert_equal(got[padded], alone[padded], what=Message("attn_mask, from padding"))


@claim(
    "Packed examples give the loss and the gradients that each would give alone.",
    zh="打包在一起的样本，得到的损失和梯度与各自单独计算时相同。",
)
@points(2)
@hole(6)
@after(test_attention_stays_within_the_example, test_exactly_the_answers_are_learnt)
@given(examples=st.lists(st.tuples(TOKENS, TOKENS), min_size=2, max_size=4), room=st.sampled_from((3, 8, 12)))
def test_packed_examples_are_as_if_apart(impl: Any, examples: list[Example], room: int) -> None:
    params = parameters()
    expected = slow_apart(params, examples, room)
    exact = gradient(expected, params)
    batch = packed(impl, examples, room, 1)
    logits = model(params, batch.input_ids, batch.position_ids, batch.attn_mask)
    got = impl().loss(SupervisedBatch(logits, batch.labels)).loss
    limit = sum_tolerance(torch.float64, 100, 100.0)
    assert_close(got, expected, dtype=torch.float64, tolerance=limit, what=Message("the loss of the packed rows"))
    for found, right in zip(gradient(got, params), exact, strict=True):
        what = Message("a gradient of the packed rows")
        assert_close(found, right, dtype=torch.float64, tolerance=limit, what=what)
