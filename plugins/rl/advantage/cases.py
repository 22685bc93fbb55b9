"""Cases for the properties of advantages, and slow, obvious ways to the answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.messages import Message
from groundup.core.testing import Tolerance, assert_close, assert_form, booleans, sum_tolerance, tensors

NUMBERS = st.sampled_from((0.5, -3.0))
LARGEST = 4.0  # of what is drawn
RESULT = Message("the result")
GAMMAS = (0.5, 0.75)  # neither 0 nor 1, which would hide a missing or doubled factor


def numbers(shape: tuple[int, ...], dtype: torch.dtype) -> st.SearchStrategy[Tensor]:
    """Draw multiples of 1/8 up to ``LARGEST``."""
    return tensors(shape, dtype=dtype, low=-LARGEST, high=LARGEST)


def close(got: Tensor, expected: Tensor, x: Tensor, *, size: float = LARGEST, what: str = RESULT) -> None:
    """Compare what is computed from a sum over some of the numbers of ``x``, in the dtype of ``x``."""
    tolerance = sum_tolerance(x.dtype, max(x.numel(), 4), size)
    assert_close(got, expected, dtype=x.dtype, tolerance=tolerance, what=what)


class Choice(NamedTuple):
    """Q of each action in each state, and the policy's probabilities."""

    q: Tensor
    policy: Tensor


def choices(shapes: Sequence[tuple[int, ...]] = ((2,), (3,), (2, 3), (3, 2), (2, 2, 3))) -> st.SearchStrategy[Choice]:
    """Draw probabilities, which are often 0, and Q of a few actions."""

    def choice(drawn: tuple[Tensor, Tensor]) -> Choice:
        q, weight = drawn
        weight = torch.where(weight.sum(-1, keepdim=True) == 0, 1.0, weight)
        return Choice(q, weight / weight.sum(-1, keepdim=True))

    return st.one_of(
        [
            st.tuples(numbers(shape, dtype), tensors(shape, dtype=dtype, low=0, high=2)).map(choice)
            for shape in shapes
            for dtype in (torch.float32, torch.float64)
        ]
    )


class Rows(NamedTuple):
    """The arguments of one call of ``n_step``, gamma included."""

    reward: Tensor
    value: Tensor
    done: Tensor
    gamma: float
    n: int


def rows(
    places: Sequence[tuple[int, int]] = ((1, 2), (1, 3), (2, 2), (2, 3), (1, 5)),
    *,
    lengths: Sequence[int] = (1, 2, 3, 4),
    gammas: Sequence[float] = GAMMAS,
) -> st.SearchStrategy[Rows]:
    """Draw rewards, values and ends; every second step ends its episode, on average."""
    return st.one_of(
        [
            st.builds(
                Rows,
                numbers((batch, steps), dtype),
                numbers((batch, steps + 1), dtype),
                booleans((batch, steps)),
                st.sampled_from(gammas),
                st.sampled_from(lengths),
            )
            for batch, steps in places
            for dtype in (torch.float32, torch.float64)
        ]
    )


def by_definition(case: Rows) -> Tensor:
    """Return the advantages as the text says it, step by step in Python's floats."""

    def one(reward: list[float], value: list[float], done: list[bool], t: int) -> float:
        total, weight = -value[t], 1.0
        for k in range(t, min(t + case.n, len(reward))):
            total, weight = total + weight * reward[k], weight * case.gamma
            if done[k]:
                return total
        return total + weight * value[min(t + case.n, len(reward))]

    each = zip(case.reward.tolist(), case.value.tolist(), case.done.tolist(), strict=True)
    slow = [[one(r, v, d, t) for t in range(len(r))] for r, v, d in each]
    return torch.tensor(slow, dtype=torch.float64).reshape(case.reward.shape)


# Steps of a row, the one that is rewarded, n, and gamma.
SHORT = st.sampled_from([(5, at, n, gamma) for at in (0, 2, 3, 4) for n in (1, 2, 3, 5) for gamma in GAMMAS])
LONG = st.sampled_from([(160, 150, 140, 1.0), (160, 30, 140, 1.0)])


def groups(*shapes: tuple[int, ...]) -> st.SearchStrategy[Tensor]:
    """Draw returns in one of ``shapes``; a group is the last axis."""
    return st.one_of([numbers(shape, dtype) for shape in shapes for dtype in (torch.float32, torch.float64)])


class Masked(NamedTuple):
    """Numbers, and which of them count."""

    x: Tensor
    mask: Tensor

    def counted(self) -> Tensor:
        """Return the numbers that count, in a row, in float64."""
        return self.x.double()[self.mask]

    def padded(self, filling: float) -> Tensor:
        """Return the numbers with ``filling`` in the place of each that does not count."""
        return torch.where(self.mask, self.x, filling)


def masked(
    *shapes: tuple[int, ...], least: int = 0, dtypes: Sequence[torch.dtype] = (torch.float32, torch.float64)
) -> st.SearchStrategy[Masked]:
    """Draw numbers and a mask that counts every second one, and at least the first ``least``."""

    def build(drawn: tuple[Tensor, Tensor]) -> Masked:
        x, mask = drawn
        first = torch.arange(mask.numel()).reshape(mask.shape) < least
        return Masked(x, mask | first)

    return st.one_of([st.tuples(numbers(s, dtype), booleans(s)).map(build) for s in shapes for dtype in dtypes])


def few() -> st.SearchStrategy[Masked]:
    """Draw one of a few cases in which one number counts, or none; its neighbour, which does not, is large."""

    def case(shape: tuple[int, ...], dtype: torch.dtype, number: float, place: int) -> Masked:
        x = torch.full(shape, 3 * LARGEST, dtype=dtype)
        mask = torch.arange(x.numel()).reshape(shape) == place  # nowhere if there is no such place
        return Masked(x.masked_fill(mask, number), mask)

    shapes, dtypes = st.sampled_from(((2,), (2, 2))), st.sampled_from((torch.float32, torch.float64))
    return st.builds(case, shapes, dtypes, NUMBERS, st.sampled_from((0, 1, 9)))


def alone() -> st.SearchStrategy[Tensor]:
    """Draw one of a few groups that have a single sample each."""
    shapes, dtypes = st.sampled_from(((1,), (2, 1))), st.sampled_from((torch.float32, torch.float64))
    return st.builds(lambda shape, dtype, number: torch.full(shape, number, dtype=dtype), shapes, dtypes, NUMBERS)


def plainly(case: Masked, eps: float) -> Tensor:
    """Return the whitened numbers in float64, from the counted ones alone; differentiable."""
    counted = case.counted()
    scaled = (counted - counted.mean()) / torch.sqrt(counted.var(correction=1) + eps)
    return torch.zeros(case.x.shape, dtype=torch.float64).masked_scatter(case.mask, scaled)


X = torch.tensor([[1.5, -1.25], [0.75, 2.0]]).double()
VALUE = torch.tensor([[1.75, -1.125, 1.625], [0.5, 0.25, -1.0]]).double()
ALL, END = torch.tensor([[True, True], [True, False]]), torch.tensor([[False, False], [False, True]])
PROBABILITY = torch.tensor([[0.25, 0.75], [0.5, 0.5]]).double()


def formed(answer: Any, like: Tensor) -> Tensor:
    """Return ``answer``, a tensor with the shape and dtype of ``like``; its numbers may be any."""
    assert_form(answer, like.shape, like.dtype)
    result: Tensor = answer
    return result


SLOPE = Tolerance(rtol=0.01, atol=0.01)  # of a finite-difference slope; float32 would lose a tiny step, or double it

# For each part, its result after a small step of its input, from a place without kinks.
MOVED: dict[str, Callable[[Any, float], Tensor]] = {
    "from_q": lambda impl, step: impl().from_q(X + step * VALUE[:, 1:], PROBABILITY),
    "n_step": lambda impl, step: impl(gamma=0.75).n_step(X + step, VALUE - step, END, n=2),
    "n_step, gamma": lambda impl, step: impl(gamma=0.75 + step).n_step(X, VALUE, END, n=2),
    "minus_mean": lambda impl, step: impl().minus_mean(X + step * VALUE[:, 1:]),
    "leave_one_out": lambda impl, step: impl().leave_one_out(X + step * VALUE[:, 1:]),
    "masked_moments": lambda impl, step: sum(impl().masked_moments(X + step * VALUE[:, 1:], ALL)),
    "whiten": lambda impl, step: impl(eps=0.25).whiten(X + step * VALUE[:, 1:], ALL),
    "whiten, eps": lambda impl, step: impl(eps=0.25 + step).whiten(X, ALL),
}


def same_slopes(impl: Any, of: str, tiny: float) -> None:
    """Check that a step of ``tiny`` moves a result of ``MOVED`` as much, for its size, as a larger one does."""
    small, large = ((MOVED[of](impl, step) - MOVED[of](impl, -step)) / (2 * step) for step in (tiny, 2.0**-10))
    assert_close(small, large, dtype=torch.float64, tolerance=SLOPE, what=Message("the slope of {of}", of=of))
