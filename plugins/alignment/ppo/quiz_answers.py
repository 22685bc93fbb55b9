"""A second way to each computed answer of the quiz.

The clipped objective is written as in Spinning Up, without a clamp: min(ratio * A, g(clip, A)), where g is
(1 + clip) * A for A >= 0 and (1 - clip) * A below.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn.functional import mse_loss


def ratio(old: float, new: float) -> float:
    """Divide the probabilities themselves."""
    return math.exp(new) / math.exp(old)


def good_token(advantage: float, ratio: float, clip: float) -> float:
    """Return the loss in Spinning Up's form."""
    return _loss(advantage, ratio, clip)


def bad_token(h: float, r: float, eps: float) -> float:
    """Return the loss in Spinning Up's form."""
    return _loss(-h, r, eps)


def where_the_clip_binds() -> list[str]:
    """Return the corners in which a small change of the ratio does not change the loss."""
    corners = {
        "good-high": (1, 1.5),
        "good-low": (1, 0.5),
        "bad-low": (-1, 0.5),
        "bad-high": (-1, 1.5),
        "good-within": (1, 1.1),
    }
    return [key for key, (a, r) in corners.items() if _loss(a, r - 0.01, 0.2) == _loss(a, r + 0.01, 0.2)]


def clip_fraction() -> float:
    """Count the ratios that are further than 0.2 from 1."""
    return 100 * float(np.mean(np.abs(np.array([0.75, 0.95, 1.15, 1.5]) - 1) > 0.2))


def value_loss(old: float, value: float, target: float) -> float:
    """Clip the change of the value, as baselines does, and let torch square the errors."""
    moved = float(np.clip(value - old, -0.2, 0.2))
    wanted = torch.tensor(target, dtype=torch.float64)
    errors = [mse_loss(torch.tensor(v, dtype=torch.float64), wanted) for v in (value, old + moved)]
    return 0.5 * max(error.item() for error in errors)


def token_mean(long: int, short: int, first: float, second: float) -> float:
    """Put all tokens into one row and average it."""
    losses = [first] * int(long) + [second] * int(short)
    return math.fsum(losses) / len(losses)


def k_three(policy: float, reference: float) -> float:
    """Add the power series of exp from its third term on: exp(d) - d - 1 is what is left without the first two."""
    d = reference - policy
    return math.fsum(d**n / math.factorial(n) for n in range(2, 40))


def slope_of_k_three(p: float, q: float) -> float:
    """Let torch differentiate the estimator of the ratio pi_ref / pi: ratio - log(ratio) - 1."""
    log_prob = torch.tensor(p, dtype=torch.float64, requires_grad=True)
    ratio = math.exp(q) / log_prob.exp()
    (slope,) = torch.autograd.grad(ratio - ratio.log() - 1, log_prob)
    return slope.item()


def whole_loss(policy: float, value: float, entropy: float, entropy_coef: float, kl_coef: float) -> float:
    """Multiply a row of terms by the row of their coefficients."""
    return float(np.dot([policy, value, entropy, 0.1], [1, 0.5, -entropy_coef, kl_coef]))


def memory_of_four_models(policy: int, critic: int) -> float:
    """Add up the tensors: weights and gradients in 16 bits, weights and averages in 32, and what is frozen."""
    trained = [np.float16, np.float16, np.float32, np.float32, np.float32]
    count = (policy + critic) * 10**9
    return sum(count * np.dtype(kind).itemsize for kind in [*trained, np.float16]) / 10**9


def _loss(advantage: float, ratio: float, clip: float) -> float:
    most = (1 + clip) * advantage if advantage >= 0 else (1 - clip) * advantage
    return -min(ratio * advantage, most)
