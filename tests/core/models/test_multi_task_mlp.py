from __future__ import annotations

from typing import Any

import pytest
import torch

from groundup.core.models import LayeredModel, MultiTaskMLP

MODELS = [MultiTaskMLP((3,)), MultiTaskMLP((2, 3), outputs=2), MultiTaskMLP((3, 4, 4, 2), outputs=2, tasks=3)]


@pytest.mark.parametrize("model", MODELS)
def test_its_layers_hold_each_parameter_once_in_the_order_of_the_forward_pass(model: LayeredModel) -> None:
    assert [name for names in model.layers() for name in names] == list(model.init(0))


@pytest.mark.parametrize("model", MODELS)
def test_layers_run_one_by_one_on_their_own_parameters_make_the_forward_pass(model: MultiTaskMLP) -> None:
    layered: LayeredModel = model
    params = model.init(1, torch.float64)
    batch: Any = {"x": torch.randn(5, model.widths[0], dtype=torch.float64), "task": model.tasks - 1}
    hidden = batch["x"]
    for number, names in enumerate(layered.layers()):
        hidden = layered.forward_layer(number, {name: params[name] for name in names}, hidden, batch)
    assert torch.equal(hidden, model.forward(params, batch))
