"""Laws of learning rules (``RLAlgorithm``), for every kind of batch.

A ``Setting`` specifies how to draw batches, which of their fields are trained, and how large numbers get. The axes and
masks of fields are derived from the batch's annotations: ``mask`` of shape "B T" covers every field of shape "B T ...",
``rejected_mask`` of shape "B U" every field of shape "B U"::

    from groundup.core.testing.laws import rl as laws

    DPO = laws.Setting(
        batches=pairs(), learned=("chosen_log_prob", "rejected_log_prob"), sizes={"loss": 8.0, "accuracy": 1.0},
        slope=1.0, rules=[{"beta": 0.125}, {"beta": 0.5}],
    )
    test_padding_changes_nothing = laws.test_padding_changes_nothing(DPO, hole=1)
    test_the_order_of_rows_does_not_matter = laws.test_the_order_of_rows_does_not_matter(DPO)

``batches(PreferenceBatch, [{"B": 2, "T": 3, "U": 2}])`` draws batches of any class; map them where a rule needs other
numbers. A technique's own properties use the setting, too: ``@given(case=DPO.cases(beta=0.0))``.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import Loss
from groundup.core.messages import Message
from groundup.core.testing.compare import assert_equal, gradient
from groundup.core.testing.laws import Property, law
from groundup.core.testing.laws.rl_drawing import batches
from groundup.core.testing.laws.rl_setting import (
    Case,
    Setting,
    Token,
    changed,
    layout,
    masks_of,
    mean,
    padding_by_masks,
    tensors_of,
    tokens,
)
from groundup.core.testing.marks import about
from groundup.core.testing.strategies import tensors

__all__ = [
    "Case",
    "Setting",
    "Token",
    "batches",
    "changed",
    "check_metrics",
    "layout",
    "masks_of",
    "mean",
    "padding_by_masks",
    "tensors_of",
    "test_a_constant_gets_no_gradient",
    "test_float64_is_carried_through",
    "test_loss_equals_the_reference_whatever_came_before",
    "test_metrics_are_detached_scalars",
    "test_padding_alone_gives_zero",
    "test_padding_changes_nothing",
    "test_the_batch_is_left_as_it_was",
    "test_the_order_of_rows_does_not_matter",
    "tokens",
]

MANY = 17  # copies of a batch: some rules are right for few rows alone

NOISE = tensors((16,), low=0.5)  # fills padding, one number per field
OFF_FLOAT32 = 1 + 2.0**-30  # multiplied with a float32, it gives a number that float32 cannot represent


@law(
    "Padding is no part of the loss: neither what it holds nor how much of it there is changes anything.",
    zh="填充不属于损失：无论其中是什么数值、填充有多少，结果都不变。",
)
def test_padding_changes_nothing(setting: Setting[Any]) -> Property:
    @given(case=setting.cases(), noise=NOISE)
    def holds(impl: Any, case: Case[Any], noise: Tensor) -> None:
        batch, padded = setting.trained(case.batch), setting.trained(_padded(setting, case.batch, noise))
        expected, got = impl(**case.rule).loss(batch), impl(**case.rule).loss(padded)
        setting.check_same(got, expected, padded)
        grads, where = setting.gradients(got, padded), setting.padding(padded)
        for name, grad in grads.items():
            beside = grad[where[name]] if name in where else grad[:0]
            assert_equal(beside, torch.zeros_like(beside), what=Message("the gradient to {name} on padding", name=name))
        own = {name: grad[tuple(map(slice, getattr(batch, name).shape))] for name, grad in grads.items()}
        setting.check_same_gradients(own, setting.gradients(expected, batch), padded)

    return holds


@law(
    "A batch of padding alone has a loss of 0 and gradients of 0, not NaN.",
    zh="只有填充的批，损失为 0，梯度也为 0，而不是 NaN。",
)
def test_padding_alone_gives_zero(setting: Setting[Any]) -> Property:
    @given(case=setting.cases(), empty=st.booleans())
    def holds(impl: Any, case: Case[Any], empty: bool) -> None:
        batch = setting.trained(_blank(setting, case.batch, empty=empty))
        got = impl(**case.rule).loss(batch)
        for name, scalar in {Message("the loss"): got.loss, **got.metrics}.items():
            assert_equal(scalar, torch.zeros((), dtype=setting.dtype(batch)), what=name)
        for name, grad in setting.gradients(got, batch).items():
            assert_equal(grad, torch.zeros_like(grad), what=Message("the gradient to {name}", name=name))

    return holds


@law(
    "The order of the rows does not matter: each keeps its gradient, and loss and metrics stay the same.",
    zh="各行的顺序无关紧要：每一行的梯度不变，损失和指标也不变。",
)
def test_the_order_of_rows_does_not_matter(setting: Setting[Any]) -> Property:
    @given(case=setting.cases())
    def holds(impl: Any, case: Case[Any]) -> None:
        batch = setting.trained(case.batch)
        turned = setting.trained(changed(case.batch, lambda _, tensor: tensor.flip(0)))
        expected, got = impl(**case.rule).loss(batch), impl(**case.rule).loss(turned)
        setting.check_same(got, expected, batch)
        back = {name: grad.flip(0) for name, grad in setting.gradients(got, turned).items()}
        setting.check_same_gradients(back, setting.gradients(expected, batch), batch)

    return holds


@law(
    "What is a constant of the update gets no gradient, even where it comes with a graph.",
    zh="更新中的常数得不到梯度，即使它带着计算图。",
)
def test_a_constant_gets_no_gradient(setting: Setting[Any]) -> Property:
    @given(case=setting.cases())
    def holds(impl: Any, case: Case[Any]) -> None:
        batch = setting.trained(case.batch, *setting.constants)
        found = gradient(impl(**case.rule).loss(batch).loss, [getattr(batch, name) for name in setting.constants])
        for name, grad in zip(setting.constants, found, strict=True):
            assert_equal(grad, torch.zeros_like(grad), what=Message("the gradient to {name}", name=name))

    return holds


@law(
    "Loss and metrics are scalars in the dtype of what is trained. The metrics are those that the text names, and "
    "carry no gradient.",
    zh="损失和指标都是标量，dtype 与被训练的量相同。指标就是说明里列出的那些，且不带梯度。",
)
def test_metrics_are_detached_scalars(setting: Setting[Any]) -> Property:
    @given(case=setting.cases())
    def holds(impl: Any, case: Case[Any]) -> None:
        check_metrics(setting, impl(**case.rule).loss(setting.trained(case.batch)), case.batch)

    return holds


def check_metrics(setting: Setting[Any], got: Loss, batch: Any) -> None:
    """Check the names of the metrics, that each is a scalar without gradient, and the loss a scalar with gradient."""
    dtype = setting.dtype(batch)
    assert_equal(sorted(got.metrics), sorted(setting.sizes.keys() - {"loss"}), what=Message("the list of metrics"))
    for name, scalar in {Message("the loss"): got.loss, **got.metrics}.items():
        found = (tuple(scalar.shape), str(scalar.dtype), scalar.requires_grad)
        expected = ((), str(dtype), name == "the loss")
        assert_equal(found, expected, what=Message("(shape, dtype, whether it carries gradient) of {name}", name=name))


@law("The batch is left as it was.", zh="批保持原样，不被改动。")
@about("inputs")
def test_the_batch_is_left_as_it_was(setting: Setting[Any]) -> Property:
    @given(case=setting.cases())
    def holds(impl: Any, case: Case[Any]) -> None:
        before = {name: tensor.clone() for name, tensor in tensors_of(case.batch).items()}
        impl(**case.rule).loss(case.batch)
        for name, tensor in tensors_of(case.batch).items():
            assert_equal(tensor, before[name], what=Message("{name} after the call", name=name))

    return holds


@law(
    "In float64 nothing is rounded to float32, neither on the way nor at the end.",
    zh="float64 时，无论中途还是最后，任何数都不会被舍入成 float32。",
)
@about("dtype")
def test_float64_is_carried_through(setting: Setting[Any]) -> Property:
    @given(case=setting.cases())
    def holds(impl: Any, reference: Any, case: Case[Any]) -> None:
        exact = changed(case.batch, lambda _, t: t.double() * OFF_FLOAT32 if t.is_floating_point() else t)
        ours, theirs = setting.trained(exact), setting.trained(exact)
        expected, got = reference(**case.rule).loss(ours), impl(**case.rule).loss(theirs)
        setting.check_same(got, expected, exact)
        setting.check_same_gradients(setting.gradients(got, theirs), setting.gradients(expected, ours), exact)

    return holds


@law(
    "Loss, metrics and gradients are the reference's, with coefficients given or by default, and whatever batches came "
    "before, to this rule or to another: nothing is kept from one update to the next.",
    zh="损失、指标和梯度都与参考实现一致，无论系数是给定的还是默认的，也无论之前（用这个或别的实例）算过什么批："
    "两次更新之间不保留任何东西。",
)
def test_loss_equals_the_reference_whatever_came_before(setting: Setting[Any]) -> Property:
    @given(case=setting.cases(), defaults=st.booleans(), copies=st.sampled_from((1, 1, MANY)))
    def holds(impl: Any, reference: Any, case: Case[Any], defaults: bool, copies: int) -> None:
        coefficients, batch = {} if defaults else case.rule, _repeated(case.batch, copies)
        ours, theirs = setting.trained(batch), setting.trained(batch)
        expected, rule = reference(**coefficients).loss(ours), impl(**coefficients)
        otherwise = changed(case.batch, _otherwise)
        for other, earlier in itertools.product((rule, impl(**setting.another)), (_repeated(otherwise, 2), otherwise)):
            other.loss(earlier)
        got = rule.loss(theirs)
        setting.check_same(got, expected, case.batch)
        setting.check_same_gradients(setting.gradients(got, theirs), setting.gradients(expected, ours), case.batch)

    return holds


def _repeated(batch: Any, copies: int) -> Any:
    """Return a batch with each row that often."""
    axes = layout(type(batch))
    return changed(batch, lambda name, t: torch.cat([t] * copies) if axes[name][0] == "B" else t)


def _padded(setting: Setting[Any], batch: Any, noise: Tensor) -> Any:
    """Return a batch with one more column of padding, one more padded row if ``padded_rows``, and noise as padding."""
    axes, masks, where = layout(type(batch)), masks_of(batch), setting.padding(batch)
    along, numbers = setting.token_axes(batch), dict(zip(axes, noise.tolist(), strict=False))

    def more(name: str, tensor: Tensor) -> Tensor:
        filling: float = False if name in masks else setting.fill.get(name, numbers[name])
        kept = torch.where(where[name], filling, tensor).to(tensor.dtype) if name in where else tensor
        for place, axis in enumerate(axes[name][: tensor.dim()]):
            if axis in along or (axis == "B" and setting.padded_rows):
                shape = [*kept.shape[:place], 1, *kept.shape[place + 1 :]]
                kept = torch.cat([kept, torch.full(shape, filling, dtype=tensor.dtype)], dim=place)
        return kept

    return changed(batch, more)


def _blank(setting: Setting[Any], batch: Any, *, empty: bool) -> Any:
    """Return a batch with only padding; if ``empty``, with no columns at all."""
    axes, masks, along = layout(type(batch)), masks_of(batch), setting.token_axes(batch)

    def none(name: str, tensor: Tensor) -> Tensor:
        blank = torch.zeros_like(tensor) if name in masks else tensor
        blank = torch.full_like(tensor, setting.fill[name]) if name in setting.fill else blank
        for place, axis in enumerate(axes[name][: tensor.dim()]):
            blank = blank.narrow(place, 0, 0) if empty and axis in along else blank
        return blank

    return changed(batch, none)


def _otherwise(_: str, tensor: Tensor) -> Tensor:
    """Return other numbers of the same shape: flipped along every axis, floats also reduced by 1/2."""
    turned = tensor.flip(tuple(range(tensor.dim())))
    return turned - 0.5 if tensor.is_floating_point() else turned
