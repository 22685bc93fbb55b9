from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from groundup.core.models import Decoder, LayeredModel, Params, SequenceModel, causal_attention, rms_norm, rotate
from groundup.core.plain import is_plain

SMALL = Decoder(vocab_size=7, hidden_size=8, num_layers=2, num_heads=4, num_kv_heads=2, intermediate_size=6)
MODELS = [SMALL, Decoder(vocab_size=3, hidden_size=4, num_layers=1, num_heads=1, num_kv_heads=1, intermediate_size=3)]
DOUBLE = torch.float64


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def wild(model: Decoder, seed: int = 1) -> Params:
    """Return parameters far from their first values, so that every part of the model counts."""
    first = model.init(seed, DOUBLE)
    return {name: drawn(*value.shape, seed=seed + n) * 0.7 for n, (name, value) in enumerate(first.items())}


def tokens(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randint(0, SMALL.vocab_size, (rows, columns), generator=torch.Generator().manual_seed(seed))


def slow_block(model: Decoder, params: Params, layer: int, hidden: Tensor) -> Tensor:
    """One block, position by position and head by head, with rotation as multiplication by complex numbers."""

    def norm(x: Tensor, name: str) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], params[f"layers.{layer}.{name}.weight"], eps=model.norm_eps)

    def weight(name: str) -> Tensor:
        return params[f"layers.{layer}.{name}_proj.weight"]

    def turned(x: Tensor, t: int) -> Tensor:
        half = len(x) // 2
        angles = [t * model.rope_theta ** (-2 * i / len(x)) for i in range(half)]
        spun = torch.complex(x[:half], x[half:]) * torch.polar(
            torch.ones(half, dtype=DOUBLE), torch.tensor(angles, dtype=DOUBLE)
        )
        return torch.cat([spun.real, spun.imag])

    d, served = model.head_dim, model.num_heads // model.num_kv_heads
    result = torch.empty_like(hidden)
    for b, row in enumerate(hidden):
        normed = norm(row, "input_layernorm")
        mixed = torch.zeros(len(row), model.num_heads * d, dtype=DOUBLE)
        for h in range(model.num_heads):
            own, shared = slice(h * d, (h + 1) * d), slice(h // served * d, (h // served + 1) * d)
            rows = {"q": own, "k": shared, "v": shared}
            q, k, v = (normed @ weight(f"self_attn.{name}")[at].T for name, at in rows.items())
            for t in range(len(row)):
                scores = torch.stack([turned(q[t], t) @ turned(k[s], s) / d**0.5 for s in range(t + 1)])
                mixed[t, own] = scores.softmax(0) @ v[: t + 1]
        row = row + mixed @ weight("self_attn.o").T
        normed = norm(row, "post_attention_layernorm")
        gate = normed @ weight("mlp.gate").T
        result[b] = row + (gate * gate.sigmoid() * (normed @ weight("mlp.up").T)) @ weight("mlp.down").T
    return result


@pytest.mark.parametrize("model", MODELS)
def test_its_layers_hold_each_parameter_once_in_the_order_of_the_forward_pass(model: LayeredModel) -> None:
    assert [name for names in model.layers() for name in names] == list(model.init(0))


@pytest.mark.parametrize("model", MODELS)
def test_layers_run_one_by_one_on_their_own_parameters_make_the_forward_pass(model: Decoder) -> None:
    layered: SequenceModel = model
    params, batch = wild(model), {"x": tokens(2, 5) % model.vocab_size}
    hidden = batch["x"]
    for number, names in enumerate(layered.layers()):
        hidden = layered.forward_layer(number, {name: params[name] for name in names}, hidden, batch)
    assert torch.equal(hidden, model.forward(params, batch))


@pytest.mark.parametrize("model", MODELS)
def test_a_block_is_what_its_formula_says_written_out(model: Decoder) -> None:
    params, hidden = wild(model), drawn(2, 4, model.hidden_size)
    for layer in range(model.num_layers):
        got = model.forward_layer(layer + 1, params, hidden, {"x": hidden})
        torch.testing.assert_close(got, slow_block(model, params, layer, hidden), rtol=1e-12, atol=1e-12)


def test_first_and_last_layer_look_up_and_project() -> None:
    params, x, hidden = wild(SMALL), tokens(2, 3), drawn(2, 3, 8)
    assert torch.equal(SMALL.forward_layer(0, params, x, {}), params["embed_tokens.weight"][x])
    normed = hidden / (hidden.square().mean(-1, keepdim=True) + SMALL.norm_eps).sqrt() * params["norm.weight"]
    torch.testing.assert_close(SMALL.forward_layer(3, params, hidden, {}), normed @ params["lm_head.weight"].T)
    torch.testing.assert_close(
        SMALL.trunk(params, {"x": x}) @ params["lm_head.weight"].T, SMALL.forward(params, {"x": x})
    )


def test_attention_is_torchs_with_repeated_keys_and_values() -> None:
    q, k, v = drawn(2, 4, 3, 6), drawn(2, 2, 3, 6, seed=1), drawn(2, 2, 3, 6, seed=2)
    twice = [x.repeat_interleave(2, dim=1) for x in (k, v)]
    torch.testing.assert_close(
        causal_attention(q, k, v), F.scaled_dot_product_attention(q, *twice, is_causal=True), rtol=1e-12, atol=1e-12
    )
    mask = torch.tensor([[[1, 0, 0], [0, 1, 0], [1, 0, 1]], [[1, 0, 0], [1, 1, 0], [0, 1, 1]]]).bool()
    expected = torch.where(mask[:, None], q @ twice[0].mT / 6**0.5, -math.inf).softmax(-1) @ twice[1]
    torch.testing.assert_close(causal_attention(q, k, v, mask), expected, rtol=1e-12, atol=1e-12)


def test_a_query_without_keys_gets_zero_and_finite_gradients() -> None:
    q, k, v = (drawn(1, 2, 3, 4, seed=n).requires_grad_() for n in range(3))
    mask = torch.ones(1, 3, 3, dtype=torch.bool).tril() & torch.tensor([False, True, True])
    out = causal_attention(q, k, v, mask)
    assert torch.equal(out[:, :, 0], torch.zeros(1, 2, 4, dtype=DOUBLE))
    for grad in torch.autograd.grad(out.square().sum(), [q, k, v]):
        assert grad.isfinite().all()
        assert torch.equal(grad[:, :, 0], torch.zeros(1, 2, 4, dtype=DOUBLE))


def test_only_differences_of_positions_count() -> None:
    params, x = wild(SMALL), tokens(2, 5)
    here = SMALL.forward(params, {"x": x})
    for position in (torch.arange(5) + 7, torch.arange(5).expand(2, 5) + torch.tensor([[3], [11]])):
        torch.testing.assert_close(SMALL.forward(params, {"x": x, "position": position}), here)
    stretched = SMALL.forward(params, {"x": x, "position": 2 * torch.arange(5)})
    assert (stretched - here)[:, 1:].abs().max() > 0.01


def test_rotation_keeps_lengths_and_turns_the_first_pair_by_the_position() -> None:
    x = torch.zeros(1, 1, 2, 4, dtype=DOUBLE)
    x[..., 0] = 1.0
    got = rotate(x, torch.tensor([0, 3]), theta=100.0)
    expected = torch.tensor([[1, 0, 0, 0], [math.cos(3), 0, math.sin(3), 0]], dtype=DOUBLE)
    torch.testing.assert_close(got[0, 0], expected)
    y = drawn(2, 3, 4, 6)
    torch.testing.assert_close(rotate(y, torch.tensor([5, 0, 9, 2]), 100.0).norm(dim=-1), y.norm(dim=-1))


def test_later_tokens_change_nothing_before_them() -> None:
    params, x = wild(SMALL), tokens(1, 6)
    y = x.clone()
    y[0, 4] = (y[0, 4] + 1) % SMALL.vocab_size
    before, after = SMALL.forward(params, {"x": x}), SMALL.forward(params, {"x": y})
    torch.testing.assert_close(before[:, :4], after[:, :4], rtol=0, atol=0)
    assert (before - after)[:, 5].abs().max() > 1e-3


def test_packed_sequences_are_as_if_apart() -> None:
    params, x = wild(SMALL), tokens(1, 5)
    mask = torch.block_diag(torch.ones(2, 2), torch.ones(3, 3)).bool().tril()[None]
    packed = SMALL.forward(params, {"x": x, "position": torch.tensor([[0, 1, 0, 1, 2]]), "attn_mask": mask})
    apart = [SMALL.forward(params, {"x": part}) for part in (x[:, :2], x[:, 2:])]
    torch.testing.assert_close(packed, torch.cat(apart, dim=1))


def test_half_of_the_positions_with_all_keys_give_half_of_the_output() -> None:
    params, x = wild(SMALL), tokens(2, 6)
    whole = SMALL.forward(params, {"x": x})
    kept: list[tuple[Tensor, Tensor]] = []

    def keep(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        kept.append((k, v))
        return causal_attention(q, k, v)

    def with_earlier(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values = kept.pop(0)
        mask = torch.ones(6, 6, dtype=torch.bool).tril()[3:].expand(2, 3, 6)
        return causal_attention(q, torch.cat([keys, k], 2), torch.cat([values, v], 2), mask)

    for columns, attend in ((slice(0, 3), keep), (slice(3, 6), with_earlier)):
        batch = {"x": x[:, columns], "position": torch.arange(6)[columns]}
        hidden: Any = batch["x"]
        for layer in range(4):
            hidden = SMALL.forward_layer(layer, params, hidden, batch, attend)
        torch.testing.assert_close(hidden, whole[:, columns])


def test_shares_of_heads_and_inner_features_add_up() -> None:
    params, hidden = wild(SMALL), drawn(2, 3, 8)
    terms = []
    for rank in range(2):
        own = dict(params)
        for name in ("self_attn.q", "self_attn.k", "self_attn.v", "mlp.gate", "mlp.up"):
            own[f"layers.0.{name}_proj.weight"] = params[f"layers.0.{name}_proj.weight"].chunk(2)[rank]
        for name in ("self_attn.o", "mlp.down"):
            own[f"layers.0.{name}_proj.weight"] = params[f"layers.0.{name}_proj.weight"].chunk(2, dim=1)[rank]
        terms.append((SMALL.attention(1, own, hidden, {}), SMALL.mlp(1, own, hidden)))
    torch.testing.assert_close(terms[0][0] + terms[1][0], SMALL.attention(1, params, hidden, {}))
    torch.testing.assert_close(terms[0][1] + terms[1][1], SMALL.mlp(1, params, hidden))


def test_loss_is_the_mean_over_targets_in_float32_or_wider() -> None:
    logits = drawn(2, 3, 7)
    y = torch.tensor([[4, -100, 2], [-100, -100, 0]])
    slow = -sum(float(logits[b, t].log_softmax(-1)[y[b, t]]) for b, t in ((0, 0), (0, 2), (1, 2))) / 3
    assert float(SMALL.loss(logits, {"y": y})) == pytest.approx(slow, abs=1e-12)
    assert float(SMALL.loss(torch.zeros(1, 2, 7), {"y": y[:1, :2]})) == pytest.approx(math.log(7))
    assert float(SMALL.loss(logits, {"y": torch.full_like(y, -100)})) == 0.0
    narrow = SMALL.loss(logits.bfloat16(), {"y": y})
    assert narrow.dtype == torch.float32
    assert float(narrow) == pytest.approx(float(SMALL.loss(logits.bfloat16().double(), {"y": y})), abs=1e-6)


def test_gradients_are_the_slopes_of_the_loss() -> None:
    model = Decoder(vocab_size=3, hidden_size=4, num_layers=1, num_heads=2, num_kv_heads=1, intermediate_size=3)
    first = wild(model)
    names = list(first)
    batch = {"x": torch.tensor([[0, 2, 1]]), "y": torch.tensor([[2, 1, -100]])}

    def loss(*values: Tensor) -> Tensor:
        return model.loss(model.forward(dict(zip(names, values, strict=True)), batch), batch)

    assert torch.autograd.gradcheck(loss, [value.requires_grad_() for value in first.values()])
    for name, grad in zip(names, torch.autograd.grad(loss(*first.values()), list(first.values())), strict=True):
        assert grad.abs().max() > 1e-4, name


def test_its_first_parameters_are_drawn_by_the_seed_in_the_dtype_asked_for() -> None:
    one, other = SMALL.init(3), SMALL.init(4)
    assert all(torch.equal(value, again) for value, again in zip(one.values(), SMALL.init(3).values(), strict=True))
    assert not torch.equal(one["lm_head.weight"], other["lm_head.weight"])
    assert {value.dtype for value in SMALL.init(0, torch.float64).values()} == {torch.float64}
    large = Decoder(vocab_size=500, hidden_size=128).init(0)
    assert float(large["embed_tokens.weight"].std()) == pytest.approx(0.05, rel=0.02)
    assert float(large["layers.0.mlp.down_proj.weight"].std()) == pytest.approx(0.025, rel=0.03)


def test_norms_of_bfloat16_are_taken_in_float32() -> None:
    x = (drawn(4, 64) * 100).bfloat16()
    got = rms_norm(x, torch.ones(64, dtype=torch.bfloat16), 1e-6)
    assert got.dtype == torch.bfloat16
    wide = x.double() / x.double().square().mean(-1, keepdim=True).sqrt()
    assert torch.equal(got, wide.float().bfloat16())


def test_it_crosses_between_processes_as_plain_data() -> None:
    assert is_plain(Decoder)
