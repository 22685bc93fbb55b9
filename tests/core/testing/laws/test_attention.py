"""The laws of attention hold for right implementations (grouped, windowed, latent); each detects a wrong one."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import partial
from typing import Any

import hypothesis
import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from groundup.core.interfaces.attention import Attention
from groundup.core.registry import Registry
from groundup.core.testing import Mismatch
from groundup.core.testing.laws import Law
from groundup.core.testing.laws import attention as laws
from groundup.core.testing.laws.attention import Case, Setting, Shape
from groundup.core.testing.modules import module_from_source
from groundup.grader.judging.edits import load_edits
from groundup.plugins.architecture.grouped_query_attention.properties import GQA
from groundup.solutions.architecture.grouped_query_attention import GroupedQueryAttention

TECHNIQUE = Registry().technique("architecture/grouped-query-attention")
ALL = {name for name, value in vars(laws).items() if isinstance(value, Law)}
TRIPPED_BY = {  # law -> a known mistake that it detects
    "test_values_are_weighed_by_the_softmax_of_the_scores": "divided-by-the-size",
    "test_a_shift_of_all_keys_changes_nothing": "exponentials-not-shifted",
    "test_scores_are_divided_by_the_root_of_the_head_size": "divided-by-the-root-of-the-value-size",
    "test_keys_have_no_order": "always-causal",
    "test_large_scores_are_no_trouble": "subtracts-the-rounded-log-of-the-sum",
    "test_causal_lets_no_query_see_what_comes_after_it": "sees-one-token-ahead",
    "test_decoding_equals_prefill": "causal-for-square-only",
    "test_a_masked_key_might_as_well_not_be_there": "masked-with-too-little",
    "test_mask_and_causality_hold_together": "mask-replaces-causality",
    "test_a_query_that_sees_nothing_gets_zeros": "nothing-to-see-is-nan",
    "test_nothing_to_see_and_nobody_to_see_it": "value-size-taken-for-the-key-size",
    "test_sequences_are_independent": "first-sequences-mask-for-all",
    "test_gradients_flow_to_query_key_and_value": "key-gradient-from-one-head",
    "test_it_equals_the_reference": "softmax-in-float32",
}


def tried(name: str, setting: Setting, impl: Any, reference: Any = None) -> None:
    """Run the law of that name on ``impl``, with as many examples as a grading."""
    property: Any = getattr(laws, name)(setting)
    once = hypothesis.settings(
        max_examples=25, deadline=None, database=None, derandomize=True, phases=[hypothesis.Phase.generate]
    )
    fixtures = {"impl": impl, "reference": reference or impl}
    once(property)(**{name: fixtures[name] for name in inspect.signature(property).parameters})


def edited(mistake: str) -> Any:
    """Return the solution's class with a known mistake."""
    edit = next(e for e in load_edits(TECHNIQUE) if e.id == mistake)
    source = edit.apply(TECHNIQUE.files.solution.read_text(encoding="utf-8"), "solution.py")
    return module_from_source("edited", source, "<edited>").GroupedQueryAttention


def test_a_mistake_is_known_for_every_law() -> None:
    assert set(TRIPPED_BY) == ALL


@pytest.mark.parametrize("name", sorted(ALL))
@pytest.mark.parametrize("setting", [GQA, Setting()], ids=["grouped", "a key head for each query head"])
def test_a_law_holds_of_the_solution(name: str, setting: Setting) -> None:
    tried(name, setting, GroupedQueryAttention)


@pytest.mark.parametrize(("name", "mistake"), TRIPPED_BY.items())
def test_a_law_finds_a_mistake_out(name: str, mistake: str) -> None:
    with pytest.raises((Mismatch, RuntimeError)):
        tried(name, GQA, edited(mistake), GroupedQueryAttention)


# Other kinds of attention


class Windowed(Attention):
    """Windowed attention: a query sees the keys that are fewer than ``window`` positions from its own."""

    def __init__(self, *, window: int) -> None:
        self.window = window

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, attn_mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        q_len, kv_len = query.shape[2], key.shape[2]
        distance = torch.arange(q_len)[:, None] + kv_len - q_len - torch.arange(kv_len)
        mask = distance.abs() < self.window
        if causal:
            mask = mask & (distance >= 0)
        mask = mask[None, None] if attn_mask is None else mask & attn_mask[:, None, None]
        blind = ~mask.any(-1, keepdim=True)
        return torch.where(blind, 0.0, scaled_dot_product_attention(query, key, value, attn_mask=mask | blind))


def in_window(case: Case, b: int, h: int, i: int, *, window: int) -> list[int]:
    own = i + case.key.shape[2] - case.query.shape[2]
    return [j for j in laws.sees(case, b, h, i) if abs(own - j) < window]


WINDOWED = Setting(
    construct=lambda impl: impl(window=2), slowly=partial(laws.slowly, sees=partial(in_window, window=2))
)
OF_KEYS_ALL_SEEN = {
    "test_keys_have_no_order",
    "test_a_masked_key_might_as_well_not_be_there",
    "test_scores_are_divided_by_the_root_of_the_head_size",
}


@pytest.mark.soak
@pytest.mark.parametrize("name", sorted(ALL - OF_KEYS_ALL_SEEN))
def test_a_window_bends_no_other_law(name: str) -> None:
    tried(name, WINDOWED, Windowed)


@pytest.mark.parametrize("name", sorted(OF_KEYS_ALL_SEEN))
def test_in_a_window_the_place_of_a_key_counts(name: str) -> None:
    with pytest.raises(Mismatch):
        tried(name, WINDOWED, Windowed)


def test_a_window_of_another_size_is_found_out() -> None:
    with pytest.raises(Mismatch):
        tried(
            "test_causal_lets_no_query_see_what_comes_after_it",
            replace(WINDOWED, construct=lambda impl: impl(window=3)),
            Windowed,
        )


KEY_UP = (torch.arange(24, dtype=torch.float64).reshape(2, 3, 4) % 5 - 2) / 4  # (H, D, C)
VALUE_UP = (torch.arange(16, dtype=torch.float64).reshape(2, 2, 4) % 3 - 1) / 2  # (H, E, C)


class Latent(Attention):
    """Multi-head latent attention: one latent vector a token, projected up to each head's keys and values."""

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, attn_mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        absorbed = torch.einsum("bhqd,hdc->bhqc", query, KEY_UP.to(query.dtype)) * (4 / 3) ** 0.5  # forward halves it
        mixed = GroupedQueryAttention().forward(absorbed, key, value, attn_mask=attn_mask, causal=causal)
        return torch.einsum("bhqc,hec->bhqe", mixed, VALUE_UP.to(query.dtype))


def projected_up(case: Case, key_up: Tensor = KEY_UP) -> Case:
    key, value = (latent.to(torch.float64) for latent in case[1:3])
    return case._replace(
        key=torch.einsum("bgkc,hdc->bhkd", key, key_up), value=torch.einsum("bgkc,hec->bhke", value, VALUE_UP)
    )


LATENT = Setting(
    slowly=lambda case: laws.slowly(projected_up(case)),
    shapes=(Shape(1, 2, 1, 1, 2, 3, 4, 4), Shape(1, 2, 1, 2, 3, 3, 4, 4), Shape(2, 2, 1, 3, 4, 3, 4, 4)),
    causal=(Shape(1, 2, 1, 2, 2, 3, 4, 4), Shape(1, 2, 1, 2, 4, 3, 4, 4), Shape(2, 2, 1, 3, 3, 3, 4, 4)),
    larger=(Shape(2, 2, 1, 4, 6, 3, 4, 4),),
    width=2,
)
OF_SCORES_AS_PASSED_IN = {
    "test_a_shift_of_all_keys_changes_nothing",
    "test_large_scores_are_no_trouble",
    "test_scores_are_divided_by_the_root_of_the_head_size",
}


@pytest.mark.parametrize("name", sorted(ALL - OF_SCORES_AS_PASSED_IN))
def test_latent_keys_bend_no_other_law(name: str) -> None:
    tried(name, LATENT, Latent)


@pytest.mark.parametrize(
    "name", ["test_gradients_flow_to_query_key_and_value", "test_values_are_weighed_by_the_softmax_of_the_scores"]
)
def test_another_projection_is_found_out(name: str) -> None:
    def other(case: Case) -> Tensor:
        return laws.slowly(projected_up(case, KEY_UP.flip(2)))

    with pytest.raises(Mismatch):
        tried(name, replace(LATENT, slowly=other), Latent)
