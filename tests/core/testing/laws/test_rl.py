"""The laws of learning rules hold for a rule of each kind of batch, and each law fails on a wrong rule.

The rules are sketches, shorter than in a technique. They show that each batch has what its rules need, and that the
settings fit every rule.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import (
    IGNORE_INDEX,
    EpisodeBatch,
    GroupBatch,
    Loss,
    PreferenceBatch,
    RewardPairBatch,
    RolloutBatch,
    SupervisedBatch,
    TransitionBatch,
    UnpairedBatch,
)
from groundup.core.registry import Registry
from groundup.core.testing import Mismatch, tensors
from groundup.core.testing.laws import Law
from groundup.core.testing.laws import rl as laws
from groundup.core.testing.modules import module_from_source, properties_of
from groundup.grader.judging.edits import load_edits
from groundup.solutions.alignment.ppo import PPO

DTYPES = (torch.float32, torch.float64)
LAWS = [law for law in vars(laws).values() if isinstance(law, Law)]


def drawn(fields: int, *shapes: tuple[int, ...]) -> st.SearchStrategy[Tensor]:
    """Draw a tensor of ``fields`` tensors of one of these shapes, off the grid of 1/8 and without 0."""
    given = st.one_of([tensors((fields, *shape), dtype=dtype) for shape in shapes for dtype in DTYPES])
    return given.map(lambda numbers: numbers / 3 + 0.01)


def real(numbers: Tensor) -> Tensor:
    """Return a mask of the shape of ``numbers``, with at least one real token in each row."""
    mask = numbers < 0.4
    mask[:, 0] = True
    return mask


# Steps of episodes: REINFORCE with a baseline, and a one-step actor-critic.


def episodes(numbers: Tensor) -> EpisodeBatch:
    log_prob, entropy, value, next_value, reward, ends, mask = numbers
    return EpisodeBatch(log_prob - 2, entropy + 1, value, next_value, reward, ends > 0.3, ends < -0.5, real(mask))


def token_mean(term: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, term, 0).sum() / mask.sum().clamp(min=1)


class Reinforce:
    def __init__(self, *, gamma: float = 0.5) -> None:
        self.gamma = gamma

    def loss(self, batch: EpisodeBatch) -> Loss:
        returns, to_go = torch.zeros_like(batch.reward), batch.reward.new_zeros(len(batch.reward))
        for t in reversed(range(batch.reward.shape[1])):
            over = batch.terminated[:, t] | batch.truncated[:, t]
            ahead = batch.reward[:, t] + self.gamma * torch.where(over, 0, to_go)
            to_go = torch.where(batch.mask[:, t], ahead, to_go)  # padding is skipped
            returns[:, t] = to_go
        loss = -token_mean((returns - batch.value.detach()) * batch.log_prob, batch.mask)
        return Loss(loss, {"policy_loss": loss.detach()})


class ActorCritic:
    target: Callable[[Tensor], Tensor] = staticmethod(Tensor.detach)

    def loss(self, batch: EpisodeBatch) -> Loss:
        following = torch.where(batch.terminated, 0, self.target(batch.next_value))
        error = batch.reward + 0.9 * following - batch.value
        actor, critic = -token_mean(error.detach() * batch.log_prob, batch.mask), token_mean(error**2, batch.mask)
        loss = actor + 0.5 * critic - 0.1 * token_mean(batch.entropy, batch.mask)
        return Loss(loss, {"policy_loss": actor.detach(), "value_loss": critic.detach()})


class ThroughTheTarget(ActorCritic):
    target = staticmethod(lambda value: value)


STEPS = drawn(7, (1, 1), (2, 3), (3, 2)).map(episodes)
REINFORCE = laws.Setting(
    batches=STEPS, learned=("log_prob",), constants=("value", "next_value"), padded_rows=True,
    sizes={"loss": 9.0, "policy_loss": 9.0}, slope=3.0, rules=[{"gamma": 0.5}, {"gamma": 1.0}], another={"gamma": 0.1},
)  # fmt: skip
ACTOR_CRITIC = laws.Setting(
    batches=STEPS, learned=("log_prob", "entropy", "value"), constants=("next_value",), padded_rows=True,
    sizes={"loss": 12.0, "policy_loss": 9.0, "value_loss": 9.0}, slope=6.0,
)  # fmt: skip


# Groups of answers: GRPO, DAPO's dropping of groups, and weights between sampler and trainer.


def groups(numbers: Tensor) -> GroupBatch:
    log_prob, old, ref, sampler, mask = numbers[:, 0]
    reward, correct = numbers[0, 1, :, 0], numbers[1, 1, :, 0] > 0
    group = torch.arange(len(reward)) // 2 * 3 + 1
    return GroupBatch(log_prob - 2, old - 2, reward, group, real(mask), ref - 2, correct, sampler - 2)


class GRPO:
    def loss(self, batch: GroupBatch) -> Loss:
        weight, mask = self.weight(batch), batch.mask
        ratio = torch.exp(batch.log_prob - batch.old_log_prob)
        per_token = -self.advantage(batch)[:, None] * ratio * weight
        assert batch.ref_log_prob is not None
        away = batch.ref_log_prob - batch.log_prob
        kl = torch.exp(away) - away - 1
        loss = (torch.where(mask, per_token + 0.1 * kl, 0).sum(1) / mask.sum(1).clamp(min=1)).mean()
        return Loss(loss, {"kl": token_mean(kl, mask).detach()})

    def advantage(self, batch: GroupBatch) -> Tensor:
        same = batch.group[:, None] == batch.group
        members = same.sum(1)
        centred = batch.reward - torch.where(same, batch.reward, 0).sum(1) / members
        spread = (torch.where(same, centred**2, 0).sum(1) / members).sqrt()
        return torch.where(self.kept(batch, same), centred / (spread + 1e-2), 0)

    def kept(self, batch: GroupBatch, same: Tensor) -> Tensor:
        return torch.ones_like(batch.reward, dtype=torch.bool)

    def weight(self, batch: GroupBatch) -> Tensor:
        return torch.ones_like(batch.log_prob)


class DAPO(GRPO):
    def kept(self, batch: GroupBatch, same: Tensor) -> Tensor:
        assert batch.correct is not None
        right = (same & batch.correct).sum(1)
        return (right > 0) & (right < same.sum(1))


class RolloutCorrection(GRPO):
    def weight(self, batch: GroupBatch) -> Tensor:
        assert batch.sampler_log_prob is not None
        return torch.exp(batch.old_log_prob - batch.sampler_log_prob).clamp(max=2.0)


GROUPS = laws.Setting(
    batches=st.one_of([drawn(10, shape) for shape in ((2, 1), (4, 3))])
    .map(lambda numbers: groups(numbers.unflatten(0, (5, 2)))),
    learned=("log_prob",), sizes={"loss": 30.0, "kl": 4.0}, slope=30.0,
)  # fmt: skip


# Pairs of answers: DPO, and ORPO with its loss over the chosen answer.


def pairs(numbers: Tensor) -> PreferenceBatch:
    chosen, rejected = numbers[:3], numbers[3:, :, :-1]
    return PreferenceBatch(
        chosen[0] - 2, rejected[0] - 2, real(chosen[1]), real(rejected[1]), chosen[2] - 2, rejected[2] - 2
    )


class DPO:
    def __init__(self, *, beta: float = 0.1) -> None:
        self.beta = beta

    def loss(self, batch: PreferenceBatch) -> Loss:
        assert batch.ref_chosen_log_prob is not None
        assert batch.ref_rejected_log_prob is not None
        chosen = torch.where(batch.chosen_mask, batch.chosen_log_prob - batch.ref_chosen_log_prob, 0).sum(1)
        rejected = torch.where(batch.rejected_mask, batch.rejected_log_prob - batch.ref_rejected_log_prob, 0).sum(1)
        margin = self.beta * (chosen - rejected)
        return Loss(-F.logsigmoid(margin).mean(), {"accuracy": (margin > 0).to(margin.dtype).mean()})


class ORPO:
    def loss(self, batch: PreferenceBatch) -> Loss:
        chosen = torch.where(batch.chosen_mask, batch.chosen_log_prob, 0).sum(1) / batch.chosen_mask.sum(1)
        rejected = torch.where(batch.rejected_mask, batch.rejected_log_prob, 0).sum(1) / batch.rejected_mask.sum(1)
        odds = [mean - torch.log(-torch.expm1(mean)) for mean in (chosen, rejected)]
        nll = -token_mean(batch.chosen_log_prob, batch.chosen_mask)
        loss = nll - 0.1 * F.logsigmoid(odds[0] - odds[1]).mean()
        return Loss(loss, {"nll_loss": nll.detach()})


PAIRS = drawn(6, (1, 3), (2, 4)).map(pairs)
PREFERENCES = laws.Setting(
    batches=PAIRS, learned=("chosen_log_prob", "rejected_log_prob"), sizes={"loss": 4.0, "accuracy": 1.0}, slope=1.0,
    rules=[{"beta": 0.25}, {"beta": 0.5}], another={"beta": 2.0},
)  # fmt: skip
ODDS = replace(PREFERENCES, sizes={"loss": 4.0, "nll_loss": 3.0}, rules=({},), another={})


# Single answers: KTO.


def single(numbers: Tensor) -> UnpairedBatch:
    log_prob, ref, mask, desirable, other, other_ref, other_mask = numbers
    short = (other[:, :-1] - 2, other_ref[:, :-1] - 2, real(other_mask[:, :-1]))
    return UnpairedBatch(log_prob - 2, ref - 2, real(mask), desirable[:, 0] > 0, *short)


class KTO:
    point: Callable[[Tensor], Tensor] = staticmethod(Tensor.detach)

    def loss(self, batch: UnpairedBatch) -> Loss:
        away = torch.where(batch.mask, batch.log_prob - batch.ref_log_prob, 0).sum(1)
        elsewhere = batch.mismatched_log_prob - batch.mismatched_ref_log_prob
        kl = self.point(torch.where(batch.mismatched_mask, elsewhere, 0).sum(1).mean().clamp(min=0))
        value = torch.sigmoid(0.5 * torch.where(batch.desirable, away - kl, kl - away))
        weight = torch.where(batch.desirable, 1.0, 1.25).to(value.dtype)
        return Loss((weight * (1 - value)).mean(), {"kl": kl.detach()})


class PointWithGradient(KTO):
    point = staticmethod(lambda kl: kl)


UNPAIRED = laws.Setting(
    batches=drawn(7, (1, 3), (3, 3)).map(single), learned=("log_prob",), constants=("mismatched_log_prob",),
    sizes={"loss": 1.25, "kl": 6.0}, slope=1.0,
)  # fmt: skip


# Scores of pairs: a reward model that reads the last real token, or is given one score an answer.


def scores(numbers: Tensor) -> RewardPairBatch:
    chosen, rejected = numbers[:2], numbers[2:, :, :-1]
    return RewardPairBatch(chosen[0], rejected[0], numbers[0, :, 0].abs(), real(chosen[1]), real(rejected[1]))


class RewardModel:
    def loss(self, batch: RewardPairBatch) -> Loss:
        chosen, rejected = (
            last(batch.chosen_reward, batch.chosen_mask),
            last(batch.rejected_reward, batch.rejected_mask),
        )
        margin = chosen - rejected - (0 if batch.margin is None else batch.margin)
        return Loss(-F.logsigmoid(margin).mean(), {"accuracy": (chosen > rejected).to(chosen.dtype).mean()})


def last(reward: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return reward
    places = torch.arange(mask.shape[1]) * mask
    return reward.gather(1, places.argmax(1, keepdim=True)).squeeze(1)


def all_but_the_last(batch: RewardPairBatch) -> dict[str, Tensor]:
    found = {}
    for name in ("chosen", "rejected"):
        mask = getattr(batch, f"{name}_mask")
        places = (torch.arange(mask.shape[1]) * mask).argmax(1)
        found[f"{name}_reward"] = torch.arange(mask.shape[1]) != places[:, None]
    return found


REWARD_MODEL = laws.Setting(
    batches=drawn(4, (1, 3), (2, 4)).map(scores), learned=("chosen_reward", "rejected_reward"), slope=1.0,
    sizes={"loss": 4.0, "accuracy": 1.0}, padding=all_but_the_last,
)  # fmt: skip
SCORED = laws.Setting(
    batches=drawn(3, (1,), (4,)).map(lambda numbers: RewardPairBatch(*numbers)), slope=1.0,
    learned=("chosen_reward", "rejected_reward"), sizes={"loss": 4.0, "accuracy": 1.0},
)  # fmt: skip


# Transitions: CQL with double targets, and BCQ.


def transitions(numbers: Tensor) -> TransitionBatch:
    q_value, next_q_value, online, behaviour, current, other = numbers
    logs = [torch.log_softmax(field, 1) for field in (behaviour, current)]
    action = (other[:, 0] * 3).long().abs() % q_value.shape[1]
    return TransitionBatch(q_value, action, other[:, 0], next_q_value, other[:, 1] > 0.3, logs[0], online, logs[1])


class CQL:
    def loss(self, batch: TransitionBatch) -> Loss:
        taken = batch.q_value.gather(1, batch.action[:, None])[:, 0]
        best = self.best(batch)
        following = batch.next_q_value.gather(1, best[:, None])[:, 0].detach()
        error = batch.reward + 0.9 * torch.where(batch.done, 0, following) - taken
        penalty = (batch.q_value.logsumexp(1) - taken).mean()
        return Loss(error.square().mean() + self.beside(batch, penalty), {"penalty": penalty.detach()})

    def best(self, batch: TransitionBatch) -> Tensor:
        assert batch.next_online_q_value is not None
        return batch.next_online_q_value.argmax(1)

    def beside(self, batch: TransitionBatch, penalty: Tensor) -> Tensor:
        return 0.5 * penalty


class BCQ(CQL):
    def best(self, batch: TransitionBatch) -> Tensor:
        assert batch.next_online_q_value is not None
        assert batch.behaviour_log_prob is not None
        likely = batch.behaviour_log_prob - batch.behaviour_log_prob.amax(1, keepdim=True) >= math.log(0.3)
        return torch.where(likely, batch.next_online_q_value, -math.inf).argmax(1)

    def beside(self, batch: TransitionBatch, penalty: Tensor) -> Tensor:
        assert batch.current_behaviour_log_prob is not None
        return F.nll_loss(batch.current_behaviour_log_prob, batch.action)


TRANSITIONS = drawn(6, (1, 2), (4, 3)).map(transitions)
Q_VALUES = laws.Setting(
    batches=TRANSITIONS, learned=("q_value",), constants=("next_q_value", "next_online_q_value"), slope=8.0,
    sizes={"loss": 16.0, "penalty": 4.0},
)  # fmt: skip
FILTERED = replace(Q_VALUES, learned=("q_value", "current_behaviour_log_prob"))


# Texts: SFT.


def texts(numbers: Tensor) -> SupervisedBatch:
    logits, words = numbers[..., :-1], (numbers[..., -1] * 3).long().abs() % (numbers.shape[-1] - 1)
    labels = torch.where(numbers[..., -1] > 0.4, IGNORE_INDEX, words)
    labels[:, 1:2] = words[:, 1:2]
    return SupervisedBatch(logits, labels)


class SFT:
    def loss(self, batch: SupervisedBatch) -> Loss:
        logits, labels = batch.logits[:, :-1].flatten(0, 1), batch.labels[:, 1:].flatten()
        count = int((labels != IGNORE_INDEX).sum()) if batch.num_items_in_batch is None else batch.num_items_in_batch
        loss = F.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="sum") / max(count, 1)
        return Loss(loss, {"nll_loss": loss.detach()})


def not_learnt(batch: SupervisedBatch) -> dict[str, Tensor]:
    following = torch.cat([batch.labels[:, 1:], torch.full_like(batch.labels[:, :1], IGNORE_INDEX)], dim=1)
    return {"logits": (following == IGNORE_INDEX)[..., None].expand_as(batch.logits)}


TEXTS = laws.Setting(
    batches=st.one_of([tensors((*shape, 5), dtype=dtype) for shape in ((1, 2), (3, 4)) for dtype in DTYPES]).map(texts),
    learned=("logits",), sizes={"loss": 6.0, "nll_loss": 6.0}, slope=1.0, padding=not_learnt,
    fill={"labels": IGNORE_INDEX}, padded_rows=True,
)  # fmt: skip

PPO_TECHNIQUE = Registry().technique("ppo")
PPO_SETTING: laws.Setting[Any] = properties_of(PPO_TECHNIQUE).PPO
RULES: dict[str, tuple[Any, laws.Setting[Any]]] = {
    "ppo": (PPO, PPO_SETTING), "reinforce": (Reinforce, REINFORCE), "actor-critic": (ActorCritic, ACTOR_CRITIC),
    "grpo": (GRPO, GROUPS), "dapo": (DAPO, GROUPS), "rollout-correction": (RolloutCorrection, GROUPS),
    "dpo": (DPO, PREFERENCES), "orpo": (ORPO, ODDS), "kto": (KTO, UNPAIRED), "cql": (CQL, Q_VALUES),
    "reward-model": (RewardModel, REWARD_MODEL), "one score an answer": (RewardModel, SCORED), "bcq": (BCQ, FILTERED),
    "sft": (SFT, TEXTS),
}  # fmt: skip
WITHOUT_PADDING = {"one score an answer", "cql", "bcq"}
BLANKED = {"ppo", "reinforce", "actor-critic", "sft"}  # in the other rules a row counts even if it is all padding


def tried(law: Law[Any], setting: laws.Setting[Any], rule: Any, reference: Any, *, examples: int = 25) -> None:
    """Run a law on a rule. Raises what the law's property raises."""
    made: Any = settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )(law(setting))  # fmt: skip
    fixtures = {"impl": rule, "reference": reference}
    made(**{name: fixtures[name] for name in inspect.signature(made).parameters})


def applicable() -> Iterator[Any]:
    """Yield each law with each rule that it applies to."""
    for name, (rule, setting) in RULES.items():
        for law in LAWS:
            if law is laws.test_a_constant_gets_no_gradient and not setting.constants:
                continue
            if law is laws.test_padding_changes_nothing and name in WITHOUT_PADDING:
                continue
            if law is laws.test_padding_alone_gives_zero and name not in BLANKED:
                continue
            yield pytest.param(law, setting, rule, id=f"{name}: {law.name}")


@pytest.mark.parametrize(("law", "setting", "rule"), list(applicable()))
def test_every_law_holds_of_every_rule_that_it_is_about(law: Law[Any], setting: laws.Setting[Any], rule: Any) -> None:
    tried(law, setting, rule, rule, examples=10)


# What each law detects


def misconception(name: str) -> Any:
    """Return PPO with a known mistake."""
    (edit,) = (edit for edit in load_edits(PPO_TECHNIQUE) if edit.id == name)
    source = edit.apply(PPO_TECHNIQUE.files.solution.read_text("utf-8"))
    return module_from_source("edited", source, f"<{name}>").PPO


class LaterRowsWeighMore(PPO):
    def loss(self, batch: RolloutBatch) -> Loss:
        weight = torch.arange(1, 1 + len(batch.mask)).to(batch.advantage.dtype)
        return super().loss(replace(batch, advantage=batch.advantage * weight[:, None]))


class SixteenRowsAtMost(PPO):
    def loss(self, batch: RolloutBatch) -> Loss:
        return super().loss(laws.changed(batch, lambda _, t: t[:16]))


class WritesIntoTheBatch(PPO):
    def loss(self, batch: RolloutBatch) -> Loss:
        batch.advantage.mul_(2.0)
        return super().loss(batch)


class GradientInThePadding(PPO):
    def loss(self, batch: RolloutBatch) -> Loss:
        got = super().loss(batch)
        beside = torch.where(batch.mask, 0, batch.value).sum()
        return Loss(got.loss + beside - beside.detach(), got.metrics)


class RemembersTheFirstReference(PPO):
    ref_log_prob: Tensor | None = None

    def loss(self, batch: RolloutBatch) -> Loss:
        if self.ref_log_prob is None:
            self.ref_log_prob = batch.ref_log_prob
        return super().loss(replace(batch, ref_log_prob=self.ref_log_prob))


class CoefficientsOfTheLatest(PPO):
    latest: list[PPO] = []  # noqa: RUF012

    def __init__(self, **coefficients: Any) -> None:
        super().__init__(**coefficients)
        self.latest.append(PPO(**coefficients))

    def loss(self, batch: RolloutBatch) -> Loss:
        return self.latest[-1].loss(batch)


class WithoutMetrics(PPO):
    def loss(self, batch: RolloutBatch) -> Loss:
        return Loss(super().loss(batch).loss)


class InFloat32(Reinforce):
    def loss(self, batch: EpisodeBatch) -> Loss:
        got = super().loss(laws.changed(batch, lambda _, t: t.float() if t.dtype == torch.float64 else t))
        dtype = batch.log_prob.dtype
        return Loss(got.loss.to(dtype), {name: metric.to(dtype) for name, metric in got.metrics.items()})


class WithoutTheShift(SFT):
    def loss(self, batch: SupervisedBatch) -> Loss:
        labels = torch.cat([torch.full_like(batch.labels[:, :1], IGNORE_INDEX), batch.labels[:, :-1]], dim=1)
        return super().loss(replace(batch, labels=labels))


SAME = laws.test_loss_equals_the_reference_whatever_came_before
WRONG = [
    (laws.test_padding_changes_nothing, "ppo", misconception("mask-ignored"), "differs"),
    (laws.test_padding_changes_nothing, "ppo", misconception("divides-by-padding-too"), "differs"),
    (laws.test_padding_changes_nothing, "ppo", GradientInThePadding, "the gradient to value on padding differs"),
    (laws.test_padding_changes_nothing, "sft", WithoutTheShift, "differs"),
    (laws.test_padding_alone_gives_zero, "ppo", misconception("nan-without-tokens"), "the loss differs"),
    (laws.test_the_order_of_rows_does_not_matter, "ppo", LaterRowsWeighMore, "differs"),
    (laws.test_a_constant_gets_no_gradient, "actor-critic", ThroughTheTarget, "the gradient to next_value differs"),
    (laws.test_a_constant_gets_no_gradient, "kto", PointWithGradient, "the gradient to mismatched_log_prob differs"),
    (laws.test_metrics_are_detached_scalars, "ppo", misconception("metrics-with-gradient"), "carries gradient"),
    (laws.test_metrics_are_detached_scalars, "ppo", WithoutMetrics, "the list of metrics differs"),
    (laws.test_the_batch_is_left_as_it_was, "ppo", WritesIntoTheBatch, "advantage after the call differs"),
    (laws.test_float64_is_carried_through, "ppo", misconception("weights-in-float32"), "differs"),
    (laws.test_float64_is_carried_through, "reinforce", InFloat32, "differs"),
    (SAME, "ppo", misconception("ratio-upside-down"), "differs"),
    (SAME, "ppo", misconception("clip-shrinks-with-every-call"), "differs"),
    (SAME, "ppo", RemembersTheFirstReference, "differs"),
    (SAME, "ppo", CoefficientsOfTheLatest, "differs"),
    (SAME, "ppo", SixteenRowsAtMost, "differs"),
    (SAME, "dpo", functools.partial(DPO, beta=0.2), "differs"),
]


@pytest.mark.parametrize(("law", "kind", "wrong", "says"), WRONG)
def test_a_law_finds_out_what_breaks_it(law: Law[Any], kind: str, wrong: Any, says: str) -> None:
    right, setting = RULES[kind]
    with pytest.raises(Mismatch, match=says):
        tried(law, setting, wrong, right)


def test_every_law_finds_something_out() -> None:
    assert {law.name for law, *_ in WRONG} == {law.name for law in LAWS}


# What a setting infers from a batch


def test_the_axes_are_those_of_the_annotations() -> None:
    assert laws.layout(PreferenceBatch)["rejected_mask"] == ("B", "U")
    assert laws.layout(SupervisedBatch) == {"logits": ("B", "T", "V"), "labels": ("B", "T")}
    assert laws.layout(RewardPairBatch)["chosen_reward"] == ("B", "T")


def test_each_mask_covers_the_fields_along_its_axes() -> None:
    mask, other = torch.tensor([[True, False]]), torch.tensor([[True, True, False]])
    batch = PreferenceBatch(torch.zeros(1, 2), torch.zeros(1, 3), mask, other)
    found = laws.padding_by_masks(batch)
    assert {name: where.tolist() for name, where in found.items()} == {
        "chosen_log_prob": [[False, True]], "rejected_log_prob": [[False, False, True]],
    }  # fmt: skip
