"""What a network is for a strategy that trains it. Every call takes the parameters as a dict by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Attend", "Batch", "LayeredModel", "Model", "Params", "SequenceModel"]

Batch = dict[str, Tensor | int]
"""One batch by name: inputs ``x`` and targets ``y``, examples along the first axis, and any other model inputs."""
Params = dict[str, Float[Tensor, "..."]]
"""Parameters by name."""
Attend = Callable[[Float[Tensor, "B H T D"], Float[Tensor, "B G S D"], Float[Tensor, "B G S D"]], Tensor]
"""Attention of T queries to S keys and values, (B, H, T, D): H query heads, G key/value heads."""


class Model(Protocol):
    """A network that a strategy trains. It holds no parameters itself, so that each rank can hold different ones."""

    def init(self, seed: int, dtype: torch.dtype = torch.float32) -> Params:
        """Return parameters drawn with ``seed``, in the order in which the forward pass uses them."""

    def forward(self, params: Params, batch: Batch) -> Float[Tensor, "B ..."]:
        """Return the model's predictions for each example. Differentiable in ``params``."""

    def loss(self, output: Float[Tensor, "B ..."], batch: Batch) -> Float[Tensor, ""]:
        """Return the mean loss over the examples of the batch, and over their positions if they have several."""


class LayeredModel(Model, Protocol):
    """A model that is a chain of layers, which can be run one at a time.

    This lets ZeRO-3 gather a layer's parameters when they are needed, and lets a pipeline give each rank a stage of a
    few layers.
    """

    def layers(self) -> list[list[str]]:
        """Return each layer's parameter names, in forward order; tied parameters appear in several layers."""

    def forward_layer(self, layer: int, params: Params, hidden: Float[Tensor, "B ..."], batch: Batch) -> Tensor:
        """Return the output of layer number ``layer`` for ``hidden``, the output of the layer before it.

        The first layer takes the batch's ``x``; the last layer's output is that of ``forward``. Only the layer's own
        parameters are read.
        """


class SequenceModel(LayeredModel, Protocol):
    """A model of sequences: axis 1 of ``x``, ``y``, the output and the hidden states holds the positions.

    A batch also holds ``position``, (T,): the index of each of its columns in the whole sequence. Positions interact
    only in attention, so a rank can hold some of the positions if its attention gets the keys and values of all.
    """

    def forward_layer(
        self, layer: int, params: Params, hidden: Tensor, batch: Batch, attend: Attend | None = None
    ) -> Tensor:
        """Return the layer's output; ``attend`` replaces causal attention within the batch."""
