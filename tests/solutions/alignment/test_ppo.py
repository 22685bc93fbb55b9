"""The PPO solution against numbers worked by hand, closed forms and a slow loop."""

import math
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from groundup.core.interfaces.rl import RolloutBatch
from groundup.solutions.alignment.ppo import PPO

POLICY_ALONE = {"value_coef": 0.0, "entropy_coef": 0.0}


def doubles(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def lesson_batch() -> RolloutBatch:
    """The worked example of the lesson: two answers of three tokens and of one, then padding."""
    return RolloutBatch(
        log_prob=doubles([0.55, 0.6, 0.6], [0.3, 0.5, 0.5]).log().requires_grad_(),
        old_log_prob=doubles([0.5, 0.4, 0.4], [0.5, 0.5, 0.5]).log(),
        advantage=doubles([1, 2, -1], [-1, 7, 7]),
        value=doubles([1.1, 1.5, 1.5], [0.6, 7, 7]).requires_grad_(),
        old_value=doubles([1, 1, 1], [1, 0, 0]),
        returns=doubles([2, 2, 1], [0, 0, 0]),
        entropy=doubles([0.9, 0.7, 0.7], [1.1, 7, 7]).requires_grad_(),
        mask=torch.tensor([[True, True, True], [True, False, False]]),
        ref_log_prob=doubles([0.5, 0.6, 0.3], [0.6, 0.5, 0.5]).log(),
    )


def real_tokens(**given: Tensor) -> RolloutBatch:
    """Return a batch without padding; fields that are not given are 0."""
    zeros = torch.zeros_like(next(iter(given.values())))
    numbers = {f.name: given.get(f.name, zeros).clone() for f in fields(RolloutBatch) if f.name != "mask"}
    for name in ("log_prob", "value", "entropy"):
        numbers[name].requires_grad_()
    return RolloutBatch(mask=torch.ones_like(zeros, dtype=torch.bool), **numbers)


def random_batch(seed: int, rows: int = 6, columns: int = 11) -> RolloutBatch:
    generator = torch.Generator().manual_seed(seed)

    def normal(scale: float = 1.0) -> Tensor:
        return scale * torch.randn(rows, columns, generator=generator, dtype=torch.float64)

    log_prob = -1 - normal().abs()
    return RolloutBatch(
        log_prob=log_prob.requires_grad_(),
        old_log_prob=log_prob.detach() + normal(0.4),
        advantage=normal(),
        value=normal().requires_grad_(),
        old_value=normal(),
        returns=normal(),
        entropy=normal().abs().requires_grad_(),
        mask=torch.rand(rows, columns, generator=generator) < 0.7,
        ref_log_prob=log_prob.detach() + normal(0.6),
    )


def test_the_lessons_numbers_come_out() -> None:
    batch = lesson_batch()
    got = PPO(kl_coef=0.1).loss(batch)
    expected = {"policy_loss": -0.3, "value_loss": 0.2925, "entropy": 0.85, "kl": 0.1261, "clip_fraction": 0.75}
    assert {name: round(float(metric), 4) for name, metric in got.metrics.items()} == expected
    assert float(got.loss.detach()) == pytest.approx(-0.1496, abs=5e-5)
    (grad,) = torch.autograd.grad(PPO(**POLICY_ALONE).loss(batch).loss, batch.log_prob)
    torch.testing.assert_close(grad, doubles([-1.1 / 4, 0, 1.5 / 4], [0, 0, 0]))


@pytest.mark.parametrize(
    ("advantage", "probability", "loss", "slope"),
    [
        (2.0, 1.1, -2.2, -2.2),  # within the clip
        (2.0, 1.5, -2.4, 0.0),  # beyond the clip, in the right direction: no gradient
        (2.0, 0.5, -1.0, -1.0),  # beyond the clip, in the wrong direction: full gradient
        (-2.0, 0.9, 1.8, 1.8),
        (-2.0, 0.5, 1.6, 0.0),
        (-2.0, 1.5, 3.0, 3.0),
        (0.0, 1.5, 0.0, 0.0),
    ],
)
def test_each_corner_of_the_clipped_surrogate(advantage: float, probability: float, loss: float, slope: float) -> None:
    batch = real_tokens(log_prob=doubles([math.log(probability)]), advantage=doubles([advantage]))
    got = PPO(clip=0.2, **POLICY_ALONE).loss(batch)
    (grad,) = torch.autograd.grad(got.loss, batch.log_prob)
    torch.testing.assert_close(got.metrics["policy_loss"], doubles([loss])[0, 0])
    torch.testing.assert_close(grad, doubles([slope]))


@pytest.mark.parametrize(
    ("value", "returns", "value_clip", "loss", "slope"),
    [
        (1.1, 2.0, 0.2, 0.405, -0.9),  # within the clip
        (1.5, 2.0, 0.2, 0.32, 0.0),  # beyond the clip, towards the return: no gradient
        (0.5, 2.0, 0.2, 1.125, -1.5),  # beyond the clip, away from the return: full gradient
        (1.5, 2.0, None, 0.125, -0.5),
    ],
)
def test_each_case_of_the_clipped_value(
    value: float, returns: float, value_clip: float | None, loss: float, slope: float
) -> None:
    batch = real_tokens(value=doubles([value]), old_value=doubles([1.0]), returns=doubles([returns]))
    got = PPO(value_clip=value_clip, value_coef=1.0).loss(batch)
    (grad,) = torch.autograd.grad(got.loss, batch.value)
    torch.testing.assert_close(got.metrics["value_loss"], doubles([loss])[0, 0])
    torch.testing.assert_close(grad, doubles([slope]))


@pytest.mark.parametrize("seed", range(5))
def test_all_terms_and_gradients_equal_a_loop_over_tokens(seed: int) -> None:
    batch = random_batch(seed)
    rule = {"clip": 0.25, "value_clip": 0.4, "value_coef": 0.7, "entropy_coef": 0.03, "kl_coef": 0.2}
    total = torch.zeros((), dtype=torch.float64)
    places = batch.mask.nonzero().tolist()
    for b, t in places:
        ratio = torch.exp(batch.log_prob[b, t]) / torch.exp(batch.old_log_prob[b, t])
        advantage = batch.advantage[b, t]
        total = total - (min(ratio, 1.25 + 0 * ratio) if advantage > 0 else max(ratio, 0.75 + 0 * ratio)) * advantage
        value, old, returns = batch.value[b, t], batch.old_value[b, t], batch.returns[b, t]
        kept = min(max(value, old - 0.4), old + 0.4)
        total = total + 0.7 * max((value - returns) ** 2, (kept - returns) ** 2) / 2
        total = total - 0.03 * batch.entropy[b, t]
        gap = batch.log_prob[b, t] - batch.ref_log_prob[b, t]
        total = total + 0.2 * (1 / torch.exp(gap) + gap - 1)
    learned = [batch.log_prob, batch.value, batch.entropy]
    got = PPO(**rule).loss(batch).loss
    torch.testing.assert_close(got, total / len(places))
    expected = torch.autograd.grad(total / len(places), learned)
    for grad, exact in zip(torch.autograd.grad(got, learned), expected, strict=True):
        torch.testing.assert_close(grad, exact)


def test_gradient_is_what_finite_differences_say() -> None:
    batch = random_batch(seed=7, rows=2, columns=3)

    def loss(log_prob: Tensor, value: Tensor, entropy: Tensor) -> Tensor:
        return PPO(kl_coef=0.3).loss(replace(batch, log_prob=log_prob, value=value, entropy=entropy)).loss

    assert torch.autograd.gradcheck(loss, (batch.log_prob, batch.value, batch.entropy))


def test_penalty_is_the_divergence_of_two_distributions_in_expectation() -> None:
    policy, reference = doubles([0.5, 0.25, 0.25]), doubles([0.125, 0.25, 0.625])
    taken = [0, 0, 1, 2]  # each action as often as the policy takes it
    batch = real_tokens(log_prob=policy[:, taken].log(), ref_log_prob=reference[:, taken].log())
    exact = torch.distributions.kl_divergence(
        torch.distributions.Categorical(probs=policy[0]), torch.distributions.Categorical(probs=reference[0])
    )
    torch.testing.assert_close(PPO().loss(batch).metrics["kl"], exact)


def test_padding_alone_gives_zero_and_gradients_of_zero() -> None:
    batch = replace(lesson_batch(), mask=torch.zeros(2, 3, dtype=torch.bool))
    got = PPO(kl_coef=1.0).loss(batch)
    grads = torch.autograd.grad(got.loss, [batch.log_prob, batch.value, batch.entropy])
    assert float(got.loss.detach()) == 0
    assert {float(metric) for metric in got.metrics.values()} == {0.0}
    assert all(not grad.any() for grad in grads)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_loss_and_metrics_keep_the_dtype_and_metrics_carry_no_gradient(dtype: torch.dtype) -> None:
    batch = lesson_batch()
    numbers = {f.name: getattr(batch, f.name).detach().to(dtype) for f in fields(batch) if f.name != "mask"}
    got = PPO().loss(replace(batch, **numbers | {"log_prob": numbers["log_prob"].requires_grad_()}))
    assert {got.loss.dtype, *(m.dtype for m in got.metrics.values())} == {dtype}
    assert got.loss.requires_grad
    assert not any(m.requires_grad for m in got.metrics.values())


def test_batch_is_left_as_it_was() -> None:
    batch, before = random_batch(seed=3), random_batch(seed=3)
    PPO(kl_coef=0.5).loss(batch).loss.backward()
    for f in fields(batch):
        assert torch.equal(getattr(batch, f.name), getattr(before, f.name)), f.name


def test_several_steps_on_one_rollout_stop_near_the_clip() -> None:
    def probabilities(clip: float) -> Tensor:
        logits = torch.zeros(3, dtype=torch.float64, requires_grad=True)
        rollout = real_tokens(log_prob=doubles([1 / 3] * 3).log(), advantage=doubles([1, 0, -1]))
        rollout = replace(rollout, old_log_prob=rollout.log_prob.detach())
        for _ in range(300):
            batch = replace(rollout, log_prob=torch.log_softmax(logits, 0).unsqueeze(0))
            (slope,) = torch.autograd.grad(PPO(clip=clip).loss(batch).loss, logits)
            with torch.no_grad():
                logits -= 0.5 * slope
        return torch.softmax(logits.detach(), 0)

    assert probabilities(clip=1e9)[0] > 0.99
    assert 0.4 < probabilities(clip=0.2)[0] < 0.46  # the last step overshoots 1.2 / 3; after it there is no gradient
