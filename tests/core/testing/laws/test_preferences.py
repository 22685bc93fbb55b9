"""The laws of rules over pairs hold for a right rule with and without a reference, and each fails on a wrong one."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import HealthCheck, Phase, settings
from torch import Tensor

from groundup.core.interfaces.rl import Loss, PreferenceBatch
from groundup.core.testing import Mismatch
from groundup.core.testing.laws import Law
from groundup.core.testing.laws import preferences as laws

LAWS = [law for law in vars(laws).values() if isinstance(law, Law)]


class Summed:
    """The logistic loss of the difference of summed log-ratios."""

    def __init__(self, *, beta: float = 0.5) -> None:
        self.beta = beta

    def of(self, log_prob: Tensor, ref: Tensor | None, mask: Tensor) -> Tensor:
        wide = torch.promote_types(log_prob.dtype, torch.float32)
        ratio = log_prob.to(wide) if ref is None else log_prob.to(wide) - ref.detach().to(wide)
        return torch.where(mask, ratio, 0).sum(1)

    def cost(self, margin: Tensor) -> Tensor:
        return -F.logsigmoid(margin)

    def sides(self, batch: PreferenceBatch) -> tuple[Tensor, Tensor]:
        chosen = self.of(batch.chosen_log_prob, batch.ref_chosen_log_prob, batch.chosen_mask)
        rejected = self.of(batch.rejected_log_prob, batch.ref_rejected_log_prob, batch.rejected_mask)
        return self.beta * chosen, self.beta * rejected

    def loss(self, batch: PreferenceBatch) -> Loss:
        chosen, rejected = self.sides(batch)
        margin = chosen - rejected
        parts = {
            "chosen_reward": chosen, "rejected_reward": rejected, "margin": margin,
            "accuracy": self.right(margin).to(margin.dtype),
        }  # fmt: skip
        return Loss(self.cost(margin).mean(), {name: part.detach().mean() for name, part in parts.items()})

    def right(self, margin: Tensor) -> Tensor:
        return margin > 0


class Averaged(Summed):
    """The same over mean log-probabilities."""

    def of(self, log_prob: Tensor, ref: Tensor | None, mask: Tensor) -> Tensor:
        return super().of(log_prob, ref, mask) / mask.sum(1).clamp(min=1)


def setting(reference: bool) -> laws.Setting:
    def rewards(rule: Any, pair: laws.Pair) -> tuple[float, float]:
        if reference:
            return rule["beta"] * (sum(pair.chosen) - sum(pair.ref_chosen)), rule["beta"] * (
                sum(pair.rejected) - sum(pair.ref_rejected)
            )
        return tuple(rule["beta"] * sum(side) / max(len(side), 1) for side in pair[:2])

    def cost(rule: Any, pair: laws.Pair) -> float:
        chosen, rejected = rewards(rule, pair)
        return laws.softplus(rejected - chosen)

    def slopes(rule: Any, pair: laws.Pair) -> tuple[float, float]:
        chosen, rejected = rewards(rule, pair)
        weight = rule["beta"] * laws.sigmoid(rejected - chosen)
        lengths = [1 if reference else max(len(side), 1) for side in pair[:2]]
        return -weight / lengths[0], weight / lengths[1]

    return laws.Setting(
        batches=laws.pairs(reference=reference),
        sizes={"loss": 8.0, "chosen_reward": 4.0, "rejected_reward": 4.0, "margin": 8.0, "accuracy": 1.0},
        slope=0.5,
        rules=[{"beta": 0.125}, {"beta": 0.5}],
        constants=laws.REFERENCE if reference else (),
        cost=cost,
        slopes=slopes,
        rewards=rewards,
        swap_costs=lambda rule, margin: margin,
    )


SUMMED, AVERAGED = setting(True), setting(False)


def tried(law: Law[Any], chosen: laws.Setting, rule: Any, examples: int = 25) -> None:
    made: Any = settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )(law(chosen))  # fmt: skip
    made(**dict.fromkeys(inspect.signature(made).parameters, rule))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_every_law_holds_with_a_reference_and_summed(law: Law[Any]) -> None:
    tried(law, SUMMED, Summed)


@pytest.mark.parametrize("law", [one for one in LAWS if "common_shift" not in one.name], ids=lambda law: law.name)
def test_every_law_but_that_of_the_shift_holds_without_one_and_averaged(law: Law[Any]) -> None:
    tried(law, AVERAGED, Averaged)


class TwicePerPair(Summed):
    def cost(self, margin: Tensor) -> Tensor:
        return 2 * super().cost(margin)


class RejectedDetached(Summed):
    def sides(self, batch: PreferenceBatch) -> tuple[Tensor, Tensor]:
        chosen, rejected = super().sides(batch)
        return chosen, rejected.detach()


class TiesAreRight(Summed):
    def right(self, margin: Tensor) -> Tensor:
        return margin >= 0


class AccuracyOfTheLoss(Summed):
    def right(self, margin: Tensor) -> Tensor:
        return margin.abs() > 0


class WithoutReference(Summed):
    def of(self, log_prob: Tensor, ref: Tensor | None, mask: Tensor) -> Tensor:
        return super().of(log_prob, None, mask)


class FirstTokensOnly(Summed):
    def of(self, log_prob: Tensor, ref: Tensor | None, mask: Tensor) -> Tensor:
        return super().of(log_prob, ref, mask & (mask.cumsum(1) < 2) & (torch.arange(mask.shape[1]) < 2))


class DividesByNothing(Summed):
    def of(self, log_prob: Tensor, ref: Tensor | None, mask: Tensor) -> Tensor:
        return super().of(log_prob, ref, mask) * (mask.sum(1) / mask.sum(1))


class Probabilities(Summed):
    def of(self, log_prob: Tensor, ref: Tensor | None, mask: Tensor) -> Tensor:
        assert ref is not None
        return (super().of(log_prob, None, mask).exp() / super().of(ref.detach(), None, mask).exp()).log()


class LogOfSigmoid(Summed):
    def cost(self, margin: Tensor) -> Tensor:
        return -torch.log(torch.sigmoid(margin))


class Narrow(Summed):
    def of(self, log_prob: Tensor, ref: Tensor | None, mask: Tensor) -> Tensor:
        return super().of(log_prob, ref, mask).to(log_prob.dtype)


WRONG = [
    (laws.test_loss_is_the_mean_over_pairs, TwicePerPair),
    (laws.test_each_token_gets_the_slope_of_its_pair, RejectedDetached),
    (laws.test_rewards_are_reported, TiesAreRight),
    (laws.test_swapping_the_answers_swaps_what_is_reported, AccuracyOfTheLoss),
    (laws.test_a_common_shift_changes_nothing, WithoutReference),
    (laws.test_the_place_of_a_token_does_not_matter, FirstTokensOnly),
    (laws.test_an_empty_answer_has_log_probability_zero, DividesByNothing),
    (laws.test_long_answers_do_not_underflow, Probabilities),
    (laws.test_extreme_pairs_stay_finite, LogOfSigmoid),
    (laws.test_bfloat16_is_cast_up, Narrow),
]


@pytest.mark.parametrize(("law", "wrong"), WRONG, ids=lambda one: getattr(one, "name", None))
def test_a_law_finds_out_what_breaks_it(law: Law[Any], wrong: Any) -> None:
    with pytest.raises(Mismatch):
        tried(law, SUMMED, wrong)


def test_every_law_finds_something_out() -> None:
    assert {law.name for law, _ in WRONG} == {law.name for law in LAWS}
