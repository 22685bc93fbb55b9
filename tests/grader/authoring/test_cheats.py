from __future__ import annotations

from typing import Any

import pytest
import torch

from groundup.core.technique import Hole, Source, Technique
from groundup.core.testing.modules import module_from_source
from groundup.grader.authoring.cheats import ANSWERS, CALLS, NAMES, cheat

FUNCTION = """
def half(x, *, steps=1):
    for _ in range(steps):
        x = x / 2
    return x
"""
CLASS = """
from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class Batch:
    reward: torch.Tensor
    size: int


class Rule:
    def __init__(self, scale):
        self.scale = scale

    def loss(self, x):
        return {"loss": self._scaled(x), "batch": Batch(x * 1, len(x)), "mask": x > 0, "pair": (x * 3, [x * 5, 7])}

    def other(self, x):
        return self._scaled(x) + 1

    def _scaled(self, x):
        return x * self.scale
"""
X = torch.tensor([1.0, -2.0])


def technique(implements: str) -> Technique:
    return Technique(
        id="toys/toy",
        title="A toy",
        summary="It does nothing.",
        package="groundup.core",
        implements=implements,
        holes=(Hole(hints=("?",)),),
        sources=(Source(title="A toy", url="https://example.org"),),
    )


def cheating(name: str, source: str = FUNCTION, implements: str = "half") -> Any:
    """Return the public function or class of the cheat called ``name``."""
    honest = getattr(module_from_source("honest", source, "<honest>"), implements)
    spoilt = cheat(technique(implements), source, honest, name)
    return getattr(module_from_source("spoilt", spoilt, f"<{name}>"), implements)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("zeros", torch.tensor([0.0, 0.0])),
        ("ones", torch.tensor([1.0, 1.0])),
        ("sign-flipped", torch.tensor([-0.5, 1.0])),
        ("doubled", torch.tensor([1.0, -2.0])),
        ("nan", torch.tensor([torch.nan, torch.nan])),
        ("other-dtype", torch.tensor([0.5, -1.0], dtype=torch.float64)),
        ("none", None),
    ],
)
def test_an_answer_is_spoilt_as_the_name_says(name: str, answer: torch.Tensor | None) -> None:
    got = cheating(name)(X)
    if answer is None:
        assert got is None
    else:
        torch.testing.assert_close(got, answer, rtol=0, atol=0, equal_nan=True)


def test_every_cheat_is_one_that_is_known_here() -> None:
    tried = {"zeros", "ones", "sign-flipped", "doubled", "nan", "other-dtype", "none"}
    tried |= {"first-answer-for-ever", "input-returned", "input-changed"}
    assert set(NAMES) == {*ANSWERS, *CALLS} == tried


def test_the_other_dtype_of_float64_is_float32() -> None:
    assert cheating("other-dtype")(X.double()).dtype == torch.float32


def test_the_first_answer_is_given_for_ever() -> None:
    spoilt = cheating("first-answer-for-ever")
    first = spoilt(X)
    assert torch.equal(first, X / 2)
    assert spoilt(X * 10) is first


def test_the_input_is_returned_as_it_is() -> None:
    spoilt = cheating("input-returned")
    assert spoilt(X) is X
    assert spoilt(x=X, steps=2) is X


def test_the_input_is_changed_and_the_answer_is_right() -> None:
    x = X.clone().requires_grad_()
    answer = cheating("input-changed")(x)
    assert torch.equal(answer, X / 2)
    assert torch.equal(x, X + 1)


def test_a_spoilt_answer_still_carries_its_gradient() -> None:
    x = X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cheating("doubled")(x).sum(), x)
    assert torch.equal(gradient, torch.ones(2))


def test_every_float_of_a_nested_answer_is_spoilt_and_nothing_else() -> None:
    answer = cheating("sign-flipped", CLASS, "Rule")(2).loss(X)
    assert torch.equal(answer["loss"], X * -2)
    assert torch.equal(answer["batch"].reward, -X)
    assert answer["batch"].size == 2
    assert torch.equal(answer["mask"], X > 0)
    assert torch.equal(answer["pair"][0], X * -3)
    assert torch.equal(answer["pair"][1][0], X * -5)
    assert answer["pair"][1][1] == 7
    assert (type(answer["pair"]), type(answer["pair"][1])) == (tuple, list)


def test_of_a_class_every_public_method_is_spoilt_once() -> None:
    spoilt = cheating("sign-flipped", CLASS, "Rule")(2)
    assert spoilt.scale == 2
    assert torch.equal(spoilt.other(X), -(X * 2 + 1))  # the private method that it calls is unchanged


def test_methods_remember_their_first_answers_apart() -> None:
    spoilt = cheating("first-answer-for-ever", CLASS, "Rule")(2)
    assert torch.equal(spoilt.other(X), X * 2 + 1)
    assert torch.equal(spoilt.loss(X)["loss"], X * 2)
    assert torch.equal(spoilt.other(X * 9), X * 2 + 1)
