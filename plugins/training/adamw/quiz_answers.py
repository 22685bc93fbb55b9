"""A second way to each computed answer of the quiz: ``torch.optim.AdamW``, or the average walked step by step."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import torch


def first_adamw_step(weight: float, lr: float, decay: float) -> float:
    """Let torch take the step."""
    return weight - _after(weight, [0.007], lr=lr, weight_decay=decay)


def average_before_correction(beta: float, steps: int) -> float:
    """Walk the moving average of a gradient of 1."""
    average = 0.0
    for _ in range(int(steps)):
        average += (1 - beta) * (1 - average)
    return 100 * average


def gradients_that_cancel(beta: float) -> float:
    """Let torch take one step and both steps; the difference is the second step."""
    return 100 * (_after(0.0, [3.0, -3.0], betas=(beta, 0.9)) - _after(0.0, [3.0], betas=(beta, 0.9)))


def how_long_a_weight_lasts(lr: float, decay: float) -> float:
    """Solve the decay in natural logarithms."""
    return -math.log(2) / math.log1p(-lr * decay)


def decay_from_another_library(share: int, lr: float) -> float:
    """Divide exact fractions."""
    return float(Fraction(int(share), 10**6) / Fraction(str(lr)))


def optimizer_memory(billions: float) -> float:
    """Let numpy say how large a float32 is; there are three for each parameter."""
    return 3 * np.dtype(np.float32).itemsize * billions


def one_gradient_and_then_zeros(beta1: float, beta2: float, t: float) -> float:
    """Let torch take t - 1 steps and t steps; the difference is the last one."""
    grads = [3.0] + [0.0] * (round(t) - 1)
    before, after = (_after(0.0, some, betas=(beta1, beta2)) for some in (grads[:-1], grads))
    return before - after


def a_steady_push(eta: float, lam: float, t: float) -> float:
    """Let torch take the steps."""
    return _after(0.0, [-0.5] * round(t), lr=eta, weight_decay=lam)


def gpus_for_the_state() -> float:
    """Let numpy say how large the numbers are: two of 2 bytes, three of 4."""
    sizes = [np.dtype(kind).itemsize for kind in (np.float16, np.float16, np.float32, np.float32, np.float32)]
    return sum(sizes) * 405e9 / 80e9


def _after(weight: float, grads: list[float], **settings: Any) -> float:
    """Return the weight after one step for each gradient; by default lr is 1, and eps and the decay are 0."""
    param = torch.tensor(float(weight), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.AdamW([param], **{"lr": 1.0, "eps": 0.0, "weight_decay": 0.0, **settings})
    for grad in grads:
        param.grad = torch.tensor(grad, dtype=torch.float64)
        optimizer.step()
    return param.item()
