"""A regression whose features have very different units: what the best decay gains, and a weight without any data.

Each of 64 features matters equally, but their units differ by a factor of 300, and so do weights and gradients. That
is the case for which the paper's Proposition 3 says that decoupled decay and an L2 term differ: the problem was chosen
to show it. 80 noisy examples are too few for 64 weights, so that a good regularisation has something to gain.

``yours`` takes the place of AdamW. Adam with an L2 term is ``torch.optim.Adam``, on the same batches in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from groundup.core.lab import Bench, Outcome

FEATURES, EXAMPLES, TESTED, BATCH = 64, 80, 2000, 32
UNITS = 1.25  # the features' sizes go from 10^-UNITS to 10^UNITS
NOISE = 0.7  # standard deviation; that of what the features explain is about 1
RATE, STEPS, QUICK_STEPS = 0.03, 400, 60
DECAYS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
L2_TERMS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
WATCHED = 0.1  # the decay at which the weight without data is looked at
BETTER = 0.95  # the mark: at most this part of the lowest error of Adam with L2


def run(bench: Bench) -> Outcome:
    """Train with each decay, and with each L2 term; compare the lowest test errors."""
    problem = Problem(bench)
    adamw = bench.impl("training/adamw")
    runs = len(DECAYS) + len(L2_TERMS)
    errors: dict[float, float] = {}
    left = 0.0
    for number, decay in enumerate(DECAYS, start=1):
        weight = problem.train(stepper(adamw, decay))
        errors[decay] = problem.error(weight)
        if decay:
            bench.point("AdamW", math.log10(decay), errors[decay])
        if decay == WATCHED:
            left = float(weight[-1])
        bench.progress(number / runs)
    l2: dict[float, float] = {}
    for number, term in enumerate(L2_TERMS, start=len(DECAYS) + 1):
        l2[term] = problem.error(problem.train(torch_step(term)))
        if term:
            bench.point("Adam with L2", math.log10(term), l2[term])
        bench.progress(number / runs)
    lowest, expected = min(errors.values()), (1 - RATE * WATCHED) ** problem.steps
    return Outcome(
        figures=(
            bench.figure("without", errors[0.0]),
            bench.figure("lowest", lowest),
            bench.figure("lowest_l2", min(l2.values())),
            bench.figure("ratio", lowest / min(l2.values())),
            bench.figure("left", 100 * left, rate=RATE, decay=WATCHED, steps=problem.steps, expected=100 * expected),
        ),
        mark=bench.mark(
            lowest <= BETTER * min(l2.values()) and math.isclose(left, expected, rel_tol=1e-4), better=1 - BETTER
        ),
    )


class Problem:
    """Examples, and one weight for each feature. The last feature is 0 in all of them, and its weight begins at 1."""

    def __init__(self, bench: Bench) -> None:
        """Draw what the features contribute, then the examples; the order of the batches is the same for every run."""
        self.steps = QUICK_STEPS if bench.quick else STEPS
        chance = torch.Generator().manual_seed(bench.seed)
        size = 10 ** torch.linspace(-UNITS, UNITS, FEATURES)
        contribution = torch.randn(FEATURES, generator=chance) / FEATURES**0.5
        true = torch.cat([contribution / size, torch.zeros(1)])
        size = torch.cat([size, torch.zeros(1)])
        self.example = torch.randn(EXAMPLES, FEATURES + 1, generator=chance) * size
        self.tested = torch.randn(TESTED, FEATURES + 1, generator=chance) * size
        self.value = self.example @ true + NOISE * torch.randn(EXAMPLES, generator=chance)
        self.truth = self.tested @ true  # without noise: 0 would be perfect
        self.batches = torch.randint(EXAMPLES, (self.steps, BATCH), generator=chance)

    def train(self, step: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Return the weights after all steps; they begin at 0, and the last at 1."""
        weight = torch.zeros(FEATURES + 1)
        weight[-1] = 1.0
        for batch in self.batches:
            example = self.example[batch]
            error = example @ weight - self.value[batch]
            weight = step(weight, 2 * example.T @ error / BATCH)  # the gradient of the mean squared error
        return weight

    def error(self, weight: Tensor) -> float:
        """Return the mean squared test error, as a part of that of predicting 0."""
        return float(((self.tested @ weight - self.truth) ** 2).mean() / (self.truth**2).mean())


def stepper(adamw: Any, decay: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a step with the tested implementation."""
    optimizer = adamw(lr=RATE, weight_decay=decay)
    state: list[Any] = []

    def step(weight: Tensor, grad: Tensor) -> Tensor:
        if not state:
            state.append(optimizer.init({"weight": weight}))
        new, state[0] = optimizer.step({"weight": weight}, {"weight": grad}, state[0])
        return new["weight"]  # type: ignore[no-any-return]

    return step


def torch_step(term: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a step with ``torch.optim.Adam``, which adds ``term`` times the weight to the gradient."""
    own = torch.zeros(FEATURES + 1, requires_grad=True)
    optimizer = torch.optim.Adam([own], lr=RATE, weight_decay=term, foreach=False)

    def step(weight: Tensor, grad: Tensor) -> Tensor:
        with torch.no_grad():
            own.copy_(weight)
        own.grad = grad
        optimizer.step()
        return own.detach().clone()

    return step
