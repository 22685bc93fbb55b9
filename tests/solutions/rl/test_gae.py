"""The solution of rl/gae against hand-worked numbers, closed forms and slow float64 loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from groundup.solutions.rl.gae import gae

COEFFICIENTS = [(0.0, 0.7), (0.9, 0.0), (0.9, 1.0), (1.0, 1.0), (0.99, 0.95), (0.5, 0.25)]


def test_the_lessons_example() -> None:
    reward, value = torch.tensor([[1.0, 0.0, 2.0]]), torch.tensor([[1.0, 2.0, 1.0, 4.0]])
    going_on = torch.tensor([[False, False, False]])
    got = gae(reward, value, going_on, gamma=0.5, lam=0.5)
    assert got.tolist() == [[0.8125, -0.75, 3.0]]
    assert (got + value[:, :-1]).tolist() == [[1.8125, 1.25, 4.0]]
    assert gae(reward, value, torch.tensor([[False, True, False]]), gamma=0.5, lam=0.5).tolist() == [[0.5, -2.0, 3.0]]


def test_a_truncated_step_that_was_paid_its_final_value_is_the_lessons_example() -> None:
    reward, value = torch.tensor([[1.0, 0.0 + 0.5 * 6.0, 2.0]]), torch.tensor([[1.0, 2.0, 1.0, 4.0]])
    got = gae(reward, value, torch.tensor([[False, True, False]]), gamma=0.5, lam=0.5)
    assert got.tolist() == [[1.25, 1.0, 3.0]]


@pytest.mark.parametrize(("gamma", "lam"), COEFFICIENTS)
def test_it_is_the_faded_sum_of_the_errors_up_to_the_episodes_end(gamma: float, lam: float) -> None:
    reward, value, done = rollout(4, 30)
    expected = torch.zeros(4, 30, dtype=torch.float64)
    for b in range(4):
        for t in range(30):
            for later in range(t, 30):
                ended = bool(done[b, later])
                following = 0.0 if ended else float(value[b, later + 1])
                error = float(reward[b, later]) + gamma * following - float(value[b, later])
                expected[b, t] += (gamma * lam) ** (later - t) * error
                if ended:
                    break
    torch.testing.assert_close(gae(reward, value, done, gamma=gamma, lam=lam), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("gamma", "lam"), COEFFICIENTS)
def test_advantage_plus_value_is_the_td_lambda_return(gamma: float, lam: float) -> None:
    reward, value, done = rollout(3, 20)
    returns = gae(reward, value, done, gamma=gamma, lam=lam) + value[:, :-1]
    after = torch.cat([returns[:, 1:], value[:, -1:]], dim=1)
    mixed = (1 - lam) * value[:, 1:] + lam * after
    expected = torch.where(done, reward, reward + gamma * mixed)
    torch.testing.assert_close(returns, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("lam", [0.0, 0.5, 0.95, 1.0])
def test_a_critic_that_knows_what_comes_leaves_no_advantage(lam: float) -> None:
    reward, value, done = rollout(3, 20)
    for t in reversed(range(20)):
        value[:, t] = torch.where(done[:, t], reward[:, t], reward[:, t] + 0.9 * value[:, t + 1])
    assert gae(reward, value, done, gamma=0.9, lam=lam).abs().max() < 1e-12


@pytest.mark.parametrize(("gamma", "lam"), [(0.5, 0.5), (0.99, 0.95)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
def test_a_thousand_equal_errors_are_a_geometric_series(
    gamma: float, lam: float, dtype: torch.dtype, tolerance: float
) -> None:
    done = torch.zeros(1, 1000, dtype=torch.bool)
    done[0, 399] = True
    got = gae(torch.ones(1, 1000, dtype=dtype), torch.zeros(1, 1001, dtype=dtype), done, gamma=gamma, lam=lam)
    assert got.dtype == dtype
    fade = gamma * lam
    for step, left in ((0, 400), (398, 2), (399, 1), (400, 600), (999, 1)):
        assert math.isclose(float(got[0, step]), (1 - fade**left) / (1 - fade), rel_tol=tolerance), step


def test_it_computes_in_the_dtype_it_was_given() -> None:
    value = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    got = gae(torch.zeros(1, 1, dtype=torch.float64), value, torch.zeros(1, 1, dtype=torch.bool), gamma=0.1, lam=0.3)
    assert got.item() == 0.1  # through float32 it would be 0.10000000149


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (1, 0), (4, 0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_empty_rollout_has_an_empty_result(shape: tuple[int, int], dtype: torch.dtype) -> None:
    value = torch.zeros(shape[0], shape[1] + 1, dtype=dtype)
    got = gae(torch.zeros(shape, dtype=dtype), value, torch.zeros(shape, dtype=torch.bool), gamma=0.9, lam=0.9)
    assert (tuple(got.shape), got.dtype) == (shape, dtype)


def test_inputs_in_any_layout_are_left_as_they_were() -> None:
    reward, value, done = (t.mT.contiguous().mT for t in rollout(3, 5))
    before = [t.clone() for t in (reward, value, done)]
    got = gae(reward, value, done, gamma=0.9, lam=0.8)
    assert all(torch.equal(now, then) for now, then in zip((reward, value, done), before, strict=True))
    assert torch.equal(got, gae(*(t.contiguous() for t in before), gamma=0.9, lam=0.8))


def rollout(batch: int, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return rewards, values and done flags from a fixed seed, in float64; about one step in five ends its episode."""
    generator = torch.Generator().manual_seed(0)
    reward = torch.randn(batch, steps, generator=generator, dtype=torch.float64)
    value = torch.randn(batch, steps + 1, generator=generator, dtype=torch.float64)
    done = torch.rand(batch, steps, generator=generator) < 0.2
    assert done.any()
    assert not done[:, -1].all()
    return reward, value, done
