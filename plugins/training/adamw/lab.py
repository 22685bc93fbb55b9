"""A small network learns to classify digits three times: with AdamW, with Adam and an L2 term, with SGD and momentum.

At this size all three are about equally accurate. They differ in the effect of the decay: three of the 64 pixels are
blank in every image, so their weights never get a gradient, and only the decay changes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from sklearn.datasets import load_digits  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn.functional import cross_entropy

from groundup.core.lab import Bench, Outcome

TRAINING, BATCH, HIDDEN = 1200, 64, 128  # training images (the other 597 are for testing); images per step; units
STEPS, QUICK_STEPS, MEASURED_EVERY = 600, 100, 20
RATE, DECAY = 0.003, 0.3
WEAKER = 100  # the decay is divided by this in a second run with each Adam
L2, SGD_RATE = 0.003, 0.03  # the coefficient of the L2 term; SGD has no decay
READS = 0.96  # the test accuracy that AdamW must reach

Params = dict[str, Tensor]
Step = Callable[[Params, Params], Params]  # parameters and gradients to new parameters


def run(bench: Bench) -> Outcome:
    """Train from the same start on the same batches, with one optimizer after another."""
    digits = Digits(bench)
    adamw = bench.impl("training/adamw")
    strong, state = stepper(adamw, digits.start, DECAY)
    weak, _ = stepper(adamw, digits.start, DECAY / WEAKER)
    ways: dict[str, tuple[str, Step]] = {
        "adamw": ("AdamW", strong),
        "l2": ("Adam with L2", torch_step(digits.start, torch.optim.Adam, lr=RATE, weight_decay=L2)),
        "sgd": ("SGD with momentum", torch_step(digits.start, torch.optim.SGD, lr=SGD_RATE, momentum=0.9)),
        "adamw, weaker": ("", weak),
        "l2, weaker": ("", torch_step(digits.start, torch.optim.Adam, lr=RATE, weight_decay=L2 / WEAKER)),
    }
    read: dict[str, float] = {}
    left: dict[str, float] = {}
    for number, (way, (series, step)) in enumerate(ways.items()):
        params = digits.train(step, series, partial(tell, bench, number, len(ways)))
        read[way] = digits.read(params)
        left[way] = float(params["pixels"][digits.blank].norm() / digits.start["pixels"][digits.blank].norm())
    expected = (1 - RATE * DECAY) ** digits.steps
    held = sum(of_it[moment].nbytes for of_it in state().values() for moment in ("exp_avg", "exp_avg_sq"))
    return Outcome(
        figures=(
            bench.figure("read_by_adamw", 100 * read["adamw"]),
            bench.figure("read_by_l2", 100 * read["l2"]),
            bench.figure("read_by_sgd", 100 * read["sgd"]),
            bench.figure(
                "left_by_adamw",
                100 * left["adamw"],
                rate=RATE,
                decay=DECAY,
                steps=digits.steps,
                expected=100 * expected,
            ),
            bench.figure("left_by_weak_adamw", 100 * left["adamw, weaker"], times=WEAKER),
            bench.figure("left_by_l2", 100 * left["l2"]),
            bench.figure("left_by_weak_l2", 100 * left["l2, weaker"], times=WEAKER),
            bench.figure("state", held / sum(param.numel() for param in digits.start.values())),
        ),
        mark=bench.mark(read["adamw"] >= READS and math.isclose(left["adamw"], expected, rel_tol=1e-4), share=READS),
    )


def tell(bench: Bench, before: int, of: int, done: float) -> None:
    """Report progress: ``before`` of ``of`` training runs are complete, and a fraction ``done`` of the next one."""
    bench.progress((before + done) / of)


def stepper(adamw: Any, start: Params, weight_decay: float) -> tuple[Step, Callable[[], dict[str, Any]]]:
    """Return a step with the tested implementation, and a function that returns its state."""
    optimizer = adamw(lr=RATE, weight_decay=weight_decay)
    state = [optimizer.init(start)]

    def step(params: Params, grads: Params) -> Params:
        new, state[0] = optimizer.step(params, grads, state[0])
        return dict(new)

    return step, lambda: state[0]


def torch_step(start: Params, kind: Any, **settings: float) -> Step:
    """Return a step with a torch optimizer."""
    own = {name: param.clone().requires_grad_() for name, param in start.items()}
    optimizer = kind(own.values(), **settings)

    def step(_: Params, grads: Params) -> Params:
        for name, param in own.items():
            param.grad = grads[name]
        optimizer.step()
        return {name: param.detach().clone() for name, param in own.items()}

    return step


class Digits:
    """The 1797 digits of 8 by 8 pixels from scikit-learn, and a network with one hidden layer to classify them."""

    def __init__(self, bench: Bench) -> None:
        """Split the images, and draw the network's initial weights."""
        self.bench, self.steps = bench, QUICK_STEPS if bench.quick else STEPS
        data, digit = load_digits(return_X_y=True)
        self.random = torch.Generator().manual_seed(bench.seed)
        order = torch.randperm(len(data), generator=self.random)
        self.image = torch.tensor(data, dtype=torch.float32)[order] / 16  # (N, 64), 0 to 1
        self.digit = torch.tensor(digit, dtype=torch.int64)[order]  # (N,)
        self.blank = (self.image == 0).all(dim=0)  # (64,): pixels that are 0 in every image
        self.start = {
            "pixels": torch.randn(64, HIDDEN, generator=self.random) * math.sqrt(2 / 64),
            "hidden bias": torch.zeros(HIDDEN),
            "hidden": torch.randn(HIDDEN, 10, generator=self.random) * math.sqrt(2 / HIDDEN),
            "bias": torch.zeros(10),
        }
        self.batches = torch.randint(TRAINING, (self.steps, BATCH), generator=self.random)

    def train(self, step: Step, series: str, progress: Callable[[float], None]) -> Params:
        """Return the parameters after all steps; with a ``series``, plot the losses."""
        params = self.start
        for number, batch in enumerate(self.batches, start=1):
            leaves = {name: param.detach().requires_grad_() for name, param in params.items()}
            grads = torch.autograd.grad(self.loss(leaves, batch), list(leaves.values()))
            params = step(params, dict(zip(leaves, grads, strict=True)))
            if number % MEASURED_EVERY == 0:
                progress(number / self.steps)
                if series:
                    self.bench.point(f"{series}, test", number, float(self.loss(params, slice(TRAINING, None))))
                if series == "AdamW":
                    self.bench.point(f"{series}, training", number, float(self.loss(params, slice(TRAINING))))
        return params

    def loss(self, params: Params, which: Any) -> Tensor:
        """Return the mean cross-entropy over the images ``which``."""
        return cross_entropy(logits(params, self.image[which]), self.digit[which])

    def read(self, params: Params) -> float:
        """Return the test accuracy: the share of test images whose digit has the largest logit."""
        right = logits(params, self.image[TRAINING:]).argmax(dim=1) == self.digit[TRAINING:]
        return float(right.float().mean())


def logits(params: Params, image: Tensor) -> Tensor:
    """Return the network's logits, (N, 10)."""
    hidden = torch.relu(image @ params["pixels"] + params["hidden bias"])
    return hidden @ params["hidden"] + params["bias"]
