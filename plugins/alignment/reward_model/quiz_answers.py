"""Another way to each computed answer of the quiz."""

from __future__ import annotations

import math
from itertools import combinations

import torch
import torch.nn.functional as F  # noqa: N812


def probability_of_a_preference(one: float, other: float) -> float:
    """Give each answer its strength, and share the wins out."""
    return math.exp(one) / (math.exp(one) + math.exp(other))


def cost_with_a_margin(chosen: float, rejected: float, margin: float) -> float:
    """Take the cross-entropy of two logits."""
    logits = torch.tensor([[chosen - margin, rejected]], dtype=torch.float64)
    return float(F.cross_entropy(logits, torch.tensor([0])))


def what_centring_adds(one: float, other: float, third: float, coef: float) -> float:
    """Average the squares pair by pair."""
    sums = torch.tensor([[one, other], [third, 1.0]], dtype=torch.float64).sum(1)
    return float(coef * (sums @ sums) / len(sums))


def pairs_of_a_ranking(count: float) -> int:
    """List them."""
    return len(list(combinations(range(int(count)), 2)))


def which_column_is_read(left: float, real: float) -> int:
    """Write the mask down and look for its last True."""
    mask = [False] * int(left) + [True] * int(real) + [False] * 4
    return max(column for column, is_real in enumerate(mask) if is_real)


def the_best_difference(count: float, won: float) -> float:
    """Look for the difference at which the slope of the loss is 0, by bisection."""
    low, high = -20.0, 20.0
    for _ in range(100):
        middle = (low + high) / 2
        pull = won / (1 + math.exp(middle)) - (count - won) / (1 + math.exp(-middle))
        low, high = (middle, high) if pull > 0 else (low, middle)
    return low


def slope_by_the_chosen_score(c: float, r: float, m: float, k: float) -> float:
    """Let autograd take the derivative."""
    chosen = torch.tensor(c, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(F.softplus(m - chosen + r) + k * (chosen + r) ** 2, [chosen])
    return float(slope)


def what_a_shift_changes() -> list[str]:
    """Compute all before and after, and compare."""

    def all_of(shift: float) -> dict[str, float]:
        chosen = torch.tensor([2.0, 1.0], dtype=torch.float64) + shift
        rejected = torch.tensor([1.5, 1.25], dtype=torch.float64) + shift
        chosen.requires_grad_()
        loss = F.softplus(rejected - chosen).mean() + 0.01 * (chosen + rejected).square().mean()
        (slope,) = torch.autograd.grad(loss, [chosen])
        chosen = chosen.detach()
        return {
            "loss": float(loss.detach()),
            "gradient": float(slope[0]),
            "accuracy": float((chosen > rejected).double().mean()),
            "margin": float((chosen - rejected).mean()),
            "mean": float((chosen + rejected).mean() / 2),
        }

    before, after = all_of(0.0), all_of(3.0)
    return [name for name in before if abs(before[name] - after[name]) > 1e-9]
