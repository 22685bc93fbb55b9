"""The solution of architecture/grouped-query-attention against hand-worked numbers and torch's own attention."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear, scaled_dot_product_attention
from torch.utils._python_dispatch import TorchDispatchMode

from groundup.solutions.architecture.grouped_query_attention import GroupedQueryAttention

GQA = GroupedQueryAttention()


def drawn(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(math.prod(shape)))


def test_the_lessons_example() -> None:
    ln3 = math.log(3)
    query = torch.tensor([1.0, 0.0, 1.0, -1.0]).reshape(1, 4, 1, 1)
    key = torch.tensor([[0.0, ln3], [ln3, 0.0]]).reshape(1, 2, 2, 1)
    value = torch.tensor([[0.0, 8.0], [4.0, 20.0]]).reshape(1, 2, 2, 1)
    torch.testing.assert_close(GQA.forward(query, key, value).flatten(), torch.tensor([6.0, 4.0, 8.0, 16.0]))


def test_the_lessons_pooling() -> None:
    weight = torch.tensor([[1.0, 3.0], [3.0, 5.0], [0.0, 2.0], [4.0, 0.0]])
    assert GQA.pool(weight, num_heads=4, num_kv_heads=2).tolist() == [[2.0, 4.0], [2.0, 1.0]]
    assert GQA.pool(weight, num_heads=4, num_kv_heads=1).tolist() == [[2.0, 2.5]]
    assert GQA.pool(weight, num_heads=4, num_kv_heads=4).tolist() == weight.tolist()


@pytest.mark.parametrize(("heads", "groups"), [(1, 1), (4, 4), (4, 1), (6, 2), (6, 3), (8, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_equals_torch(heads: int, groups: int, dtype: torch.dtype) -> None:
    query, key = drawn(2, heads, 3, 4, dtype=dtype), drawn(2, groups, 5, 4, dtype=dtype)
    value = drawn(2, groups, 5, 6, dtype=dtype)
    mask = torch.tensor([[True, True, False, True, True], [False, False, True, True, False]])
    bottom_right = torch.ones(3, 5, dtype=torch.bool).tril(2)
    for masked, causal in product((False, True), repeat=2):
        seen = torch.ones(2, 1, 3, 5, dtype=torch.bool)
        seen = seen & mask[:, None, None, :] if masked else seen
        seen = seen & bottom_right if causal else seen
        inputs = [t.clone().requires_grad_() for t in (query, key, value)]
        got = GQA.forward(*inputs, attn_mask=mask if masked else None, causal=causal)
        expected = scaled_dot_product_attention(query, key, value, attn_mask=seen, enable_gqa=True)
        torch.testing.assert_close(got, expected)
        ours = torch.autograd.grad((got * torch.arange(6)).sum(), inputs)
        others = [t.clone().requires_grad_() for t in (query, key, value)]
        theirs = scaled_dot_product_attention(*others, attn_mask=seen, enable_gqa=True)
        torch.testing.assert_close(ours, torch.autograd.grad((theirs * torch.arange(6)).sum(), others))


def test_with_as_many_queries_as_keys_it_is_torchs_is_causal() -> None:
    query, key, value = drawn(1, 6, 4, 2), drawn(1, 3, 4, 2), drawn(1, 3, 4, 2) + 1
    expected = scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(GQA.forward(query, key, value, causal=True), expected)


def test_multi_head_attention_is_torchs_module_without_its_projections() -> None:
    module = torch.nn.MultiheadAttention(8, 4, bias=False, batch_first=True, dtype=torch.float64)
    x = drawn(2, 5, 8)
    hidden = torch.tensor([[False, False, False, True, True], [True, False, False, False, False]])  # True: hidden
    with torch.no_grad():
        query, key, value = (linear(x, w).unflatten(2, (4, 2)).transpose(1, 2) for w in module.in_proj_weight.chunk(3))
        mixed = GQA.forward(query, key, value, attn_mask=~hidden).transpose(1, 2).flatten(2)
        expected, _ = module(x, x, x, key_padding_mask=hidden, need_weights=False)
        torch.testing.assert_close(linear(mixed, module.out_proj.weight), expected)


def test_the_query_heads_of_a_group_add_their_gradients() -> None:
    query, key, value = drawn(1, 4, 2, 3), drawn(1, 2, 5, 3).requires_grad_(), drawn(1, 2, 5, 3) + 1
    (shared,) = torch.autograd.grad(GQA.forward(query, key, value).square().sum(), [key])
    for g in range(2):
        alone = []
        for h in (2 * g, 2 * g + 1):
            own = key[:, g : g + 1].detach().clone().requires_grad_()
            out = GQA.forward(query[:, h : h + 1], own, value[:, g : g + 1])
            alone.append(torch.autograd.grad(out.square().sum(), [own])[0])
        torch.testing.assert_close(shared[:, g : g + 1], alone[0] + alone[1])


@pytest.mark.parametrize(("mask", "causal"), [(None, True), (torch.tensor([[False, False]]), False)])
def test_who_sees_nothing_gets_zeros_and_passes_no_gradient(mask: Tensor | None, causal: bool) -> None:
    inputs = [
        drawn(1, 2, 4, 3).requires_grad_(),
        drawn(1, 1, 2, 3).requires_grad_(),
        drawn(1, 1, 2, 5).requires_grad_(),
    ]
    blind = GQA.forward(*inputs, attn_mask=mask, causal=causal)[:, :, :2]
    assert blind.eq(0).all()
    for grad in torch.autograd.grad(blind.sum(), inputs):
        assert grad.eq(0).all()


def test_scores_of_a_million_are_no_trouble() -> None:
    query = torch.full((1, 1, 1, 1), 2.0**20)
    key, value = torch.tensor([1.0, 1.0, -1.0]).reshape(1, 1, 3, 1), torch.tensor([3.0, 5.0, 7.0]).reshape(1, 1, 3, 1)
    assert GQA.forward(query, key, value).item() == 4.0
    assert GQA.forward(-query, key, value).item() == 7.0


def test_no_input_is_changed() -> None:
    tensors = drawn(1, 4, 2, 3), drawn(1, 2, 5, 3), drawn(1, 2, 5, 3) + 1
    before = [t.clone() for t in tensors]
    GQA.forward(*tensors, attn_mask=torch.tensor([[True, False, True, True, False]]), causal=True)
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))


class Largest(TorchDispatchMode):
    """Records the size of the largest tensor that any operation returns, including views."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.elements = max(self.elements, result.numel())
        return result


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_no_key_is_copied_for_each_query_head(groups: int) -> None:
    query, key, value = drawn(1, 8, 1, 16), drawn(1, groups, 100, 16), drawn(1, groups, 100, 16)
    with Largest() as largest:
        GQA.forward(query, key, value, causal=True)
    assert largest.elements <= key.numel()


@pytest.mark.parametrize(("heads", "groups"), [(3, 2), (2, 4)])
def test_uneven_heads_are_told_with_their_numbers(heads: int, groups: int) -> None:
    with pytest.raises(ValueError, match=f"{heads} query heads .* {groups} key/value heads"):
        GQA.forward(torch.ones(1, heads, 1, 1), torch.ones(1, groups, 1, 1), torch.ones(1, groups, 1, 1))


@pytest.mark.parametrize(
    ("rows", "heads", "groups", "says"),
    [(6, 3, 2, "3 heads .* to 2"), (8, 2, 4, "2 heads .* to 4"), (6, 4, 2, "6 rows .* 4 heads")],
)
def test_what_cannot_be_pooled_is_told_with_its_numbers(rows: int, heads: int, groups: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        GQA.pool(torch.ones(rows, 5), num_heads=heads, num_kv_heads=groups)


def test_pooled_projections_give_the_mean_of_each_groups_keys() -> None:
    layer = torch.nn.Linear(7, 6 * 4, dtype=torch.float64)
    weight, bias = (GQA.pool(p.detach(), num_heads=6, num_kv_heads=2) for p in (layer.weight, layer.bias))
    x = drawn(3, 7)
    heads = layer(x).detach().reshape(3, 6, 4)
    expected = torch.stack(
        [(heads[:, 0] + heads[:, 1] + heads[:, 2]) / 3, (heads[:, 3] + heads[:, 4] + heads[:, 5]) / 3]
    )
    torch.testing.assert_close(linear(x, weight, bias).reshape(3, 2, 4), expected.transpose(0, 1))
    assert weight.shape == (8, 7)
    assert bias.shape == (8,)


def test_gradient_reaches_the_weight_through_pooling() -> None:
    weight = drawn(6, 2).requires_grad_()
    GQA.pool(weight, num_heads=3, num_kv_heads=1).sum().backward()
    torch.testing.assert_close(weight.grad, torch.full((6, 2), 1 / 3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("layers", "groups", "token"),
    [  # of Llama 3's table 3, heads of 128 numbers in bfloat16
        (32, 8, 128 * 1024),  # 8B
        (80, 8, 320 * 1024),  # 70B
        (80, 64, 2560 * 1024),  # 70B with multi-head attention instead
        (126, 8, 504 * 1024),  # 405B
    ],
)
def test_a_token_of_a_known_model_costs_its_known_bytes(layers: int, groups: int, token: int) -> None:
    weight = torch.empty(groups * 128, 16, dtype=torch.bfloat16, device="meta")
    key = linear(torch.empty(1, 16, dtype=torch.bfloat16, device="meta"), weight)
    assert 2 * layers * key.nbytes == token
