from __future__ import annotations

from typing import Any

import pytest
import torch

from groundup.core.interfaces.rl import Loss
from groundup.core.testing.literals import LONGEST, literal


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (torch.tensor(0.5), "torch.tensor(0.5)"),
        (torch.tensor([[1.0, -0.125], [0.0, 2.0]]), "torch.tensor([[1.0, -0.125], [0.0, 2.0]])"),
        (torch.tensor([1 / 3], dtype=torch.float64), "torch.tensor([0.3333333333], dtype=torch.float64)"),
        (torch.tensor([torch.nan, torch.inf, -torch.inf]), "torch.tensor([torch.nan, torch.inf, -torch.inf])"),
        (torch.tensor([1, 2]), "torch.tensor([1, 2])"),
        (torch.tensor([True, False]), "torch.tensor([True, False])"),
        (torch.tensor([1], dtype=torch.int8), "torch.tensor([1], dtype=torch.int8)"),
        (torch.zeros(0, 3), "torch.empty((0, 3), dtype=torch.float32)"),
        (float("nan"), "float('nan')"),
        ((1,), "(1,)"),
        ({"a": [None, True, "b"]}, "{'a': [None, True, 'b']}"),
        (Loss(torch.tensor(1.0)), "Loss(loss=torch.tensor(1.0), metrics={})"),
        (torch.float32, "torch.float32"),
    ],
    ids=str,
)
def test_a_literal_can_be_pasted(value: Any, text: str) -> None:
    assert literal(value) == text


def test_a_long_value_is_cut() -> None:
    text = literal(torch.zeros(LONGEST))
    assert len(text) == LONGEST
    assert text.startswith("torch.tensor([0.0, 0.0, ")
    assert text.endswith(" ...")


def test_a_huge_tensor_is_described_and_its_numbers_are_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "tolist", None)
    assert literal([torch.zeros(3000, 3000)]) == "[<a tensor of shape (3000, 3000), dtype=torch.float32>]"
