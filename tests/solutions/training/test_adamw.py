"""The solution of training/adamw against torch's own, hand-worked numbers, exact fractions and its papers' claims."""

from __future__ import annotations

import io
import math
from decimal import Decimal, getcontext
from typing import Any

import pytest
import torch
from torch import Tensor

from groundup.solutions.training.adamw import AdamW


def test_the_lessons_example() -> None:
    optimizer = AdamW(lr=0.5, betas=(0.5, 0.75), eps=0.0, weight_decay=0.25)
    params = {"w": torch.tensor([8.0, 8.0], dtype=torch.float64)}
    state = optimizer.init(params)
    seen = []
    for grad in ([4.0, 0.04], [4.0, 0.04]):
        params, state = optimizer.step(params, {"w": torch.tensor(grad, dtype=torch.float64)}, state)
        seen.append((state["w"]["exp_avg"][0].item(), state["w"]["exp_avg_sq"][0].item(), *params["w"].tolist()))
    assert seen == [(2.0, 4.0, 6.5, 6.5), (3.0, 7.0, 5.1875, pytest.approx(5.1875, rel=1e-15))]
    assert state["w"]["step"] == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"lr": 0.1, "weight_decay": 0.5},
        {"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-2, "weight_decay": 0.1},
        {"lr": 0.01, "betas": (0.0, 0.0), "eps": 1e-3, "weight_decay": 0.0},
        {"lr": 0.01, "betas": (0.95, 0.5), "eps": 1.0, "weight_decay": 2.0},
    ],
)
def test_two_hundred_steps_are_torchs(settings: dict[str, Any], dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    shapes = {"matrix": (5, 3), "bias": (7,), "number": (), "nothing": (0,)}
    params = {name: torch.randn(shape, dtype=dtype) for name, shape in shapes.items()}
    theirs = {name: param.clone().requires_grad_() for name, param in params.items()}
    torchs = torch.optim.AdamW(theirs.values(), foreach=False, fused=False, **settings)
    ours = AdamW(**settings)
    state = ours.init(params)
    for t in range(200):
        absent = {"bias"} if t % 3 == 1 else {"matrix"} if t in (0, 50) else set()
        grads = {
            name: torch.randn(shape, dtype=dtype) * 10.0 ** (t % 5 - 2) * (t % 7 != 6)  # of all sizes; zeros sometimes
            for name, shape in shapes.items()
            if name not in absent
        }
        for name, param in theirs.items():
            param.grad = grads.get(name)
        torchs.step()
        params, state = ours.step(params, grads, state)
    tolerance = {torch.float32: 2e-5, torch.float64: 1e-12}[dtype]
    for name, param in theirs.items():
        torch.testing.assert_close(params[name], param.detach(), rtol=tolerance, atol=tolerance)
        assert state[name]["step"] == torchs.state[param]["step"].item()
        for moment in ("exp_avg", "exp_avg_sq"):
            torch.testing.assert_close(state[name][moment], torchs.state[param][moment], rtol=tolerance, atol=tolerance)


def test_its_state_goes_on_in_torch() -> None:
    """torch.optim.AdamW loads the saved state: it has the same names, with one entry for each parameter."""
    params, grads = {"w": torch.tensor([1.0, -2.0])}, {"w": torch.tensor([0.5, 3.0])}
    ours = AdamW()
    params, state = ours.step(params, grads, ours.init(params))
    theirs = params["w"].clone().requires_grad_()
    torchs = torch.optim.AdamW([theirs], foreach=False)
    loaded = {0: {"step": torch.tensor(float(state["w"]["step"])), **{m: state["w"][m].clone() for m in MOMENTS}}}
    torchs.load_state_dict({"state": loaded, "param_groups": torchs.state_dict()["param_groups"]})
    theirs.grad = torch.tensor([-1.0, 0.25])
    torchs.step()
    params, _ = ours.step(params, {"w": theirs.grad}, state)
    torch.testing.assert_close(params["w"], theirs.detach(), rtol=1e-6, atol=0)


MOMENTS = ("exp_avg", "exp_avg_sq")


def test_thirty_steps_against_fifty_digits() -> None:
    getcontext().prec = 50
    lr, beta1, beta2, eps, decay = map(Decimal, ("0.001", "0.9", "0.999", "1e-8", "0.01"))
    grads = [math.sin(1.7 * t) * 10.0 ** -(t % 4) for t in range(30)]
    theta, m, v = Decimal("1.5"), Decimal(0), Decimal(0)
    for t, g in enumerate(map(Decimal, grads), start=1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        root = (v / (1 - beta2**t)).sqrt()
        theta -= lr * m / (1 - beta1**t) / (root + eps) + lr * decay * theta
    optimizer, params = AdamW(), {"w": torch.tensor([1.5], dtype=torch.float64)}
    state = optimizer.init(params)
    for grad in grads:
        params, state = optimizer.step(params, {"w": torch.tensor([grad], dtype=torch.float64)}, state)
    assert params["w"].item() - 1.5 == pytest.approx(float(theta - Decimal("1.5")), rel=1e-12)
    assert [state["w"][moment].item() for moment in MOMENTS] == pytest.approx([float(m), float(v)], rel=1e-13)


def test_the_first_step_of_the_defaults_is_a_thousandth_whatever_the_gradient() -> None:
    for grad in (1e-4, 1.0, 1e6, -1.0):
        params, _ = one_step(AdamW(weight_decay=0.0), 0.0, grad)
        assert params == pytest.approx(-math.copysign(0.001, grad), rel=1.1e-4)  # eps is 1e-8 of 1e-4


def test_without_corrections_the_first_step_would_be_3_2_times_as_large() -> None:
    """0.1 / sqrt(0.001), the factor in the misconception and the lesson."""
    m, v = 0.1 * 5.0, 0.001 * 25.0
    assert m / math.sqrt(v) == pytest.approx(3.162, rel=1e-3)
    assert one_step(AdamW(lr=1.0, weight_decay=0.0), 0.0, 5.0)[0] == pytest.approx(-1.0)


def test_l2_through_adam_hardly_depends_on_its_strength_and_the_decay_does() -> None:
    """100 steps of a weight without gradients: the lesson's claim about L2 and decay."""
    for weight_decay, left in ((0.1, 0.3660), (0.001, 0.9900)):
        weight = torch.ones(1, dtype=torch.float64)
        optimizer, params = AdamW(lr=0.1, weight_decay=weight_decay), {"w": weight}
        state = optimizer.init(params)
        for _ in range(100):
            params, state = optimizer.step(params, {"w": torch.zeros(1, dtype=torch.float64)}, state)
        assert params["w"].item() == pytest.approx(left, abs=5e-5)
    after = [l2_adam(weight_decay, steps=5) for weight_decay in (0.1, 0.001)]
    assert after == pytest.approx([0.508, 0.508], abs=5e-5)


def l2_adam(weight_decay: float, steps: int) -> float:
    weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([weight], lr=0.1, weight_decay=weight_decay)
    for _ in range(steps):
        weight.grad = torch.zeros(1, dtype=torch.float64)
        optimizer.step()
    return weight.item()


def test_with_sgd_the_two_are_the_same() -> None:
    """Proposition 1 of Loshchilov and Hutter: an L2 term of decay / lr is a decay, for SGD without momentum."""
    weight, grad, lr, decay = 3.0, 0.7, 0.1, 0.02
    assert weight - lr * (grad + decay / lr * weight) == pytest.approx((1 - decay) * weight - lr * grad)


def test_a_checkpoint_goes_on_bit_for_bit() -> None:
    torch.manual_seed(1)
    grads = [{"w": torch.randn(4)} for _ in range(6)]
    optimizer, params = AdamW(lr=0.1), {"w": torch.randn(4)}
    state = optimizer.init(params)
    saved = io.BytesIO()
    for t, grad in enumerate(grads):
        if t == 3:
            torch.save({"params": params, "state": state}, saved)
        params, state = optimizer.step(params, grad, state)
    saved.seek(0)
    checkpoint = torch.load(saved, weights_only=True)  # plain data: no code is needed to read it
    params_again, state_again = checkpoint["params"], checkpoint["state"]
    for grad in grads[3:]:
        params_again, state_again = AdamW(lr=0.1).step(params_again, grad, state_again)
    assert torch.equal(params["w"], params_again["w"])
    assert state["w"]["step"] == state_again["w"]["step"] == 6
    assert all(torch.equal(state["w"][moment], state_again["w"][moment]) for moment in MOMENTS)


def test_nothing_passed_in_is_changed() -> None:
    params = {"w": torch.ones(2, 3).mT, "v": torch.ones(2)}
    optimizer = AdamW()
    state = optimizer.init(params)
    for grads in ({"w": torch.ones(3, 2)}, {"w": torch.ones(3, 2), "v": torch.ones(2)}):
        before = [t.clone() for t in tensors(params, grads, state)]
        names = (list(params), list(grads), {name: of_it["step"] for name, of_it in state.items()})
        new_params, new_state = optimizer.step(params, grads, state)
        assert all(torch.equal(a, b) for a, b in zip(tensors(params, grads, state), before, strict=True))
        assert names == (list(params), list(grads), {name: of_it["step"] for name, of_it in state.items()})
        params, state = new_params, new_state


def tensors(*values: dict[str, Any]) -> list[Tensor]:
    return [
        t
        for value in values
        for v in value.values()
        for t in (tensors(v) if isinstance(v, dict) else [v])
        if isinstance(t, Tensor)
    ]


def test_the_averages_of_all_parameters_are_eight_bytes_a_parameter() -> None:
    params = {"w": torch.zeros(30, 20), "b": torch.zeros(20)}
    state = AdamW().init(params)
    held = sum(of_it[moment].nbytes for of_it in state.values() for moment in MOMENTS)
    assert held == 8 * 620
    pointers = {of_it[moment].data_ptr() for of_it in state.values() for moment in MOMENTS}
    assert len(pointers) == 4


def test_bfloat16_parameters_lose_small_updates() -> None:
    """The reason for a float32 copy: below 1.0 the next bfloat16 is 2^-8 away, and half of that is 0.00195."""
    for dtype, expected in ((torch.bfloat16, 1.0), (torch.float32, 0.9)):
        optimizer, params = AdamW(lr=0.001, weight_decay=0.0), {"w": torch.ones(1, dtype=dtype)}
        state = optimizer.init(params)
        for _ in range(100):
            params, state = optimizer.step(params, {"w": torch.ones(1, dtype=dtype)}, state)
        assert params["w"].dtype == dtype
        assert params["w"].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("grads", "error", "says"),
    [
        ({"x": torch.ones(2)}, KeyError, "a gradient for 'x', but the parameters are 'w'"),
        ({"w": torch.ones(1)}, ValueError, r"'w' is \(2,\), its gradient \(1,\)"),
    ],
)
def test_a_gradient_that_fits_nothing_is_told(grads: dict[str, Tensor], error: type[Exception], says: str) -> None:
    optimizer, params = AdamW(), {"w": torch.ones(2)}
    with pytest.raises(error, match=says):
        optimizer.step(params, grads, optimizer.init(params))


def one_step(optimizer: AdamW, param: float, grad: float) -> tuple[float, dict[str, Any]]:
    params = {"w": torch.tensor(param, dtype=torch.float64)}
    new, state = optimizer.step(params, {"w": torch.tensor(grad, dtype=torch.float64)}, optimizer.init(params))
    return new["w"].item(), state
