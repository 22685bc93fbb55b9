"""A second way to each computed answer of the quiz."""

from __future__ import annotations

import math

import numpy as np
import torch


def cost_of_a_good_answer(ratio: float, point: float, beta: float, weight: float) -> float:
    """Take the second class of a softmax over the two rewards."""
    scores = torch.tensor([beta * ratio, beta * point], dtype=torch.float64)
    return weight * scores.softmax(0)[1].item()


def reference_point(first: float, second: float, third: float) -> float:
    """Let numpy average and clip."""
    return float(np.clip(np.mean([first, second, third]), 0, None))


def balanced_weights(count: int, good: int) -> float:
    """Let torch compute both pulls at the start, and divide them."""
    ratios = torch.zeros(int(count), dtype=torch.float64, requires_grad=True)
    marks = torch.arange(int(count)) < good
    loss = torch.where(marks, 1 - torch.sigmoid(ratios), torch.sigmoid(ratios)).mean()
    (slopes,) = torch.autograd.grad(loss, [ratios])
    return float(slopes[~marks].sum() / -slopes[marks].sum())


def operations(billions: int) -> float:
    """Add up the passes one by one."""
    passes = {"policy": 2, "backward": 4, "reference": 2, "policy, mismatched": 2, "reference, mismatched": 2}
    return float(sum(billions * each for each in passes.values()))


def slope_of_the_value(r: float, z: float, b: float, w: float) -> float:
    """Take a small difference of the cost."""

    def cost(ratio: float) -> float:
        return w * (1 - 1 / (1 + math.exp(-b * (ratio - z))))

    return (cost(r + 1e-5) - cost(r - 1e-5)) / 2e-5


def what_moves_the_point() -> list[str]:
    """Try each change on three rows."""
    policy, reference, own = np.array([[-1.0, -2.0], [-3.0, -1.0], [-2.0, -2.0]]), np.full((3, 2), -2.5), np.zeros(3)
    mask = np.array([[1, 0], [1, 1], [1, 1]])

    def point(policy: np.ndarray, mask: np.ndarray, *_: object) -> float:
        return max(float(((policy - reference) * mask).sum(1).mean()), 0.0)

    before = point(policy, mask)
    after = {
        "mismatched-policy": point(policy + 0.1, mask),
        "mismatched-mask": point(policy, np.ones_like(mask)),
        "own-answers": point(policy, mask, own + 1),
        "thumbs": point(policy, mask, own, [False, True, False]),
        "weights": point(policy, mask, own, [True, False, True], 2.0),
        "order": point(policy[::-1], mask[::-1]),
    }
    return [change for change, found in after.items() if not math.isclose(found, before)]
