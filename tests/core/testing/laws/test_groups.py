"""The laws of rules over groups hold for a right rule with and without a reference, and each fails on a wrong one."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, settings
from torch import Tensor

from groundup.core.interfaces.rl import GroupBatch, Loss
from groundup.core.testing import Mismatch
from groundup.core.testing.laws import Law
from groundup.core.testing.laws import groups as laws

LAWS = [law for law in vars(laws).values() if isinstance(law, Law)]


class Centred:
    """The clipped surrogate with rewards less their group's mean, and k3, averaged over all tokens."""

    def __init__(self, *, clip: float = 0.2, kl_coef: float = 0.5) -> None:
        self.clip, self.kl_coef = clip, kl_coef

    def wide(self, tensor: Tensor) -> Tensor:
        return tensor.to(torch.promote_types(tensor.dtype, torch.float32))

    def same(self, group: Tensor) -> Tensor:
        return group[:, None] == group

    def advantages(self, batch: GroupBatch) -> Tensor:
        reward, same = self.wide(batch.reward.detach()), self.same(batch.group)
        return reward - torch.where(same, reward, 0).sum(1) / same.sum(1)

    def log_ratio(self, batch: GroupBatch, other: Tensor) -> Tensor:
        return torch.where(batch.mask, self.wide(batch.log_prob) - self.wide(other.detach()), 0)

    def mean(self, term: Tensor, mask: Tensor) -> Tensor:
        return torch.where(mask, term, 0).sum() / mask.sum().clamp(min=1)

    def loss(self, batch: GroupBatch) -> Loss:
        advantage, ratio = self.advantages(batch)[:, None], self.log_ratio(batch, batch.old_log_prob).exp()
        losses = torch.maximum(-advantage * ratio, -advantage * ratio.clamp(1 - self.clip, 1 + self.clip))
        kl = torch.zeros_like(losses)
        if batch.ref_log_prob is not None:
            away = -self.log_ratio(batch, batch.ref_log_prob)
            kl = away.exp() - away - 1
        policy_loss, mean_kl = self.mean(losses, batch.mask), self.mean(kl, batch.mask)
        metrics = {
            "policy_loss": policy_loss, "kl": mean_kl,
            "clip_fraction": self.mean(((ratio - 1).abs() > self.clip).to(ratio.dtype), batch.mask),
        }  # fmt: skip
        return Loss(policy_loss + self.kl_coef * mean_kl, {name: metric.detach() for name, metric in metrics.items()})


def setting(reference: bool) -> laws.Setting:
    def advantages(rule: Any, answers: Any) -> list[float]:
        middle = math.fsum(answer.reward for answer in answers) / len(answers)
        return [answer.reward - middle for answer in answers]

    def terms(rule: Any, answer: laws.Answer, advantage: float) -> list[laws.Term]:
        found = []
        for t, (now, old) in enumerate(zip(answer.log_prob, answer.old, strict=True)):
            ratio = math.exp(now - old)
            policy, slope = laws.clipped(advantage, ratio, 1 - rule["clip"], 1 + rule["clip"])
            kl, pull = laws.k3(answer.ref[t] - now) if reference else (0.0, 0.0)
            found.append(laws.Term(policy, slope + rule["kl_coef"] * pull, kl, abs(ratio - 1) > rule["clip"]))
        return found

    return laws.Setting(
        batches=laws.groups(reference=reference),
        sizes={"loss": 20.0, "policy_loss": 20.0, "kl": 2.0, "clip_fraction": 1.0},
        slope=20.0,
        rules=[{"clip": 0.2, "kl_coef": 0.5}, {"clip": 0.27, "kl_coef": 0.25}],
        constants=laws.CONSTANTS if reference else laws.CONSTANTS[:2],
        advantages=advantages,
        terms=terms,
        weights=lambda rule, lengths: [1 / max(sum(lengths), 1)] * len(lengths),
    )


WITH, WITHOUT = setting(True), setting(False)


def tried(law: Law[Any], chosen: laws.Setting, rule: Any, examples: int = 25) -> None:
    made: Any = settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )(law(chosen))  # fmt: skip
    made(**dict.fromkeys(inspect.signature(made).parameters, rule))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
@pytest.mark.parametrize("chosen", [WITH, WITHOUT], ids=["with a reference", "without one"])
def test_every_law_holds(law: Law[Any], chosen: laws.Setting) -> None:
    tried(law, chosen, Centred)


class WholeBatch(Centred):
    """Takes the mean over all groups."""

    def same(self, group: Tensor) -> Tensor:
        return torch.ones(len(group), len(group), dtype=torch.bool)


class Neighbours(Centred):
    """Takes every three rows for a group."""

    def same(self, group: Tensor) -> Tensor:
        place = torch.arange(len(group)) // 3
        return place[:, None] == place


class CastToHalf(Centred):
    """Compares group numbers in 32 bits."""

    def same(self, group: Tensor) -> Tensor:
        return super().same(group.to(torch.int32))


class NoBaseline(Centred):
    def advantages(self, batch: GroupBatch) -> Tensor:
        return self.wide(batch.reward.detach())


class OnlyNeighbours(Centred):
    """Divides by the spread of the whole batch."""

    def advantages(self, batch: GroupBatch) -> Tensor:
        return super().advantages(batch) / (1 + self.wide(batch.reward).abs().max())


class NanAlone(Centred):
    def advantages(self, batch: GroupBatch) -> Tensor:
        return super().advantages(batch) * torch.where(self.same(batch.group).sum(1) == 1, torch.nan, 1.0)


class RewardAlone(Centred):
    """An answer alone keeps its reward, as in verl."""

    def advantages(self, batch: GroupBatch) -> Tensor:
        alone = self.same(batch.group).sum(1) == 1
        return torch.where(alone, self.wide(batch.reward), super().advantages(batch))


class LeavesOneOut(Centred):
    def advantages(self, batch: GroupBatch) -> Tensor:
        return super().advantages(batch) * 2


class ByAnswer(Centred):
    def mean(self, term: Tensor, mask: Tensor) -> Tensor:
        return (torch.where(mask, term, 0).sum(1) / mask.sum(1).clamp(min=1)).mean()


class NeverDetached(Centred):
    def loss(self, batch: GroupBatch) -> Loss:
        got = super().loss(batch)
        return Loss(got.loss + 0 * got.loss.detach() + 0.5 * self.mean(batch.log_prob.float(), batch.mask), got.metrics)


class Unmasked(Centred):
    def log_ratio(self, batch: GroupBatch, other: Tensor) -> Tensor:
        return self.wide(batch.log_prob) - self.wide(other.detach())


class FirstTokens(Centred):
    def mean(self, term: Tensor, mask: Tensor) -> Tensor:
        return super().mean(term[:, :200], mask[:, :200])


class ClipsCounted(Centred):
    def loss(self, batch: GroupBatch) -> Loss:
        got = super().loss(batch)
        return Loss(got.loss, {**got.metrics, "clip_fraction": got.metrics["clip_fraction"] / 2})


class Narrow(Centred):
    def wide(self, tensor: Tensor) -> Tensor:
        return tensor


class ByRow(Centred):
    """Weighs a row by its place."""

    def mean(self, term: Tensor, mask: Tensor) -> Tensor:
        return super().mean(term * torch.linspace(0.5, 1.5, len(term), dtype=term.dtype)[:, None], mask)


class Held(Centred):
    """Holds advantages within -10 and 10."""

    def advantages(self, batch: GroupBatch) -> Tensor:
        return super().advantages(batch).clamp(-10, 10)


class ShiftedByTheBest(Centred):
    def advantages(self, batch: GroupBatch) -> Tensor:
        reward = self.wide(batch.reward.detach())
        return reward - torch.where(self.same(batch.group), reward, -torch.inf).max(1).values


class CappedInTheLoss(Centred):
    """Holds the distance of a token within 10, as verl does."""

    def mean(self, term: Tensor, mask: Tensor) -> Tensor:
        return super().mean(term.clamp(-10, 10), mask)


class CappedLogRatio(Centred):
    """Holds a log-ratio within 20, as verl does."""

    def log_ratio(self, batch: GroupBatch, other: Tensor) -> Tensor:
        return super().log_ratio(batch, other).clamp(-20, 20)


class TwoGroups(Centred):
    """Knows the two groups with the lowest numbers."""

    def advantages(self, batch: GroupBatch) -> Tensor:
        known = torch.tensor(sorted(set(batch.group.tolist()))[:2])
        return torch.where(torch.isin(batch.group, known), super().advantages(batch), 0)


WRONG = [
    (laws.test_advantages_are_those_of_the_group, LeavesOneOut),
    (laws.test_advantages_of_a_group_sum_to_zero, ShiftedByTheBest),
    (laws.test_equal_rewards_teach_nothing, WholeBatch),
    (laws.test_shifting_a_groups_rewards_changes_nothing, NoBaseline),
    (laws.test_a_lone_answer_teaches_nothing, NanAlone),
    (laws.test_a_lone_answer_teaches_nothing, RewardAlone),
    (laws.test_groups_do_not_touch_each_other, OnlyNeighbours),
    (laws.test_group_numbers_are_names, CastToHalf),
    (laws.test_advantages_are_those_of_the_group, Neighbours),
    (laws.test_loss_is_the_weighted_sum_over_tokens, ByAnswer),
    (laws.test_each_token_gets_its_slope, ByAnswer),
    (laws.test_at_the_old_policy_it_is_the_policy_gradient, NeverDetached),
    (laws.test_metrics_are_those_of_the_tokens, ClipsCounted),
    (laws.test_answers_may_stand_in_any_order, ByRow),
    (laws.test_padding_may_hold_any_finite_number, Unmasked),
    (laws.test_long_answers_are_counted_in_full, FirstTokens),
    (laws.test_a_large_group_has_the_same_formula, Held),
    (laws.test_a_large_group_has_the_same_formula, TwoGroups),
    (laws.test_what_moved_far_counts_in_full, CappedInTheLoss),
    (laws.test_what_moved_far_counts_in_full, CappedLogRatio),
    (laws.test_bfloat16_is_cast_up, Narrow),
    (laws.test_advantages_are_wide_constants, Narrow),
]


@pytest.mark.parametrize(("law", "wrong"), WRONG, ids=lambda one: getattr(one, "name", None))
def test_a_law_finds_out_what_breaks_it(law: Law[Any], wrong: Any) -> None:
    with pytest.raises(Mismatch):
        tried(law, WITH, wrong)


def test_every_law_finds_something_out() -> None:
    assert {law.name for law, _ in WRONG} == {law.name for law in LAWS}
