"""Small networks as specifications: what a strategy trains. Parameters go by name and are given to every call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from groundup.core.parts import Part, differentiable
from groundup.core.plain import plain

__all__ = ["Attend", "Batch", "LayeredModel", "Linears", "Model", "MultiTaskMLP", "Params", "SequenceModel"]
__contract__ = ("Model", "LayeredModel", "SequenceModel", "Linears", "MultiTaskMLP")

Batch = dict[str, Tensor | int]
"""One batch by name: inputs ``x`` and targets ``y``, examples along the first axis, and what else a model reads."""
Params = dict[str, Float[Tensor, "..."]]
Attend = Callable[[Float[Tensor, "B H T D"], Float[Tensor, "B G S D"], Float[Tensor, "B G S D"]], Tensor]
"""Attention of T queries to S keys and values, (B, H, T, D): H query heads, G key/value heads."""


class Model(Protocol):
    """What a strategy trains. A model holds no parameters itself, so that every rank may hold other ones."""

    def init(self, seed: int, dtype: torch.dtype = torch.float32) -> Params:
        """Return parameters drawn with ``seed``, in the order in which the forward pass uses them."""

    def forward(self, params: Params, batch: Batch) -> Float[Tensor, "B ..."]:
        """Return what the model predicts for each example. Differentiable in ``params``."""

    def loss(self, output: Float[Tensor, "B ..."], batch: Batch) -> Float[Tensor, ""]:
        """Return the mean loss over the examples of the batch, and over their positions where they have several."""


class LayeredModel(Model, Protocol):
    """A model that is a chain of layers, which may be run one at a time.

    So ZeRO-3 gathers a layer's parameters when they are needed, and a pipeline gives each rank a few layers, its stage.
    """

    def layers(self) -> list[list[str]]:
        """Return the names of each layer's parameters, in the order of the forward pass; tied ones stand in several."""

    def forward_layer(self, layer: int, params: Params, hidden: Float[Tensor, "B ..."], batch: Batch) -> Tensor:
        """Return what layer number ``layer`` makes of the output of the one before it.

        The first layer is given the batch's ``x``; the last one's output is that of ``forward``. Only the layer's own
        parameters are read.
        """


class SequenceModel(LayeredModel, Protocol):
    """A model of sequences: positions lie along axis 1 of ``x``, ``y``, the output and all that passes between layers.

    A batch also holds ``position``, (T,): where its columns stand in the whole sequence. Positions see each other in
    attention alone. So a rank may be given some of the positions, if its attention finds the keys and values of all.
    """

    def forward_layer(
        self, layer: int, params: Params, hidden: Tensor, batch: Batch, attend: Attend | None = None
    ) -> Tensor:
        """Return the layer's output; ``attend`` takes the place of causal attention within the batch."""


class Linears(Part):
    """Runs a network's linear layers. Whoever owns it sees when each is run, forward and backward."""

    @differentiable
    def linear(
        self, x: Float[Tensor, "B in"], weight: Float[Tensor, "out in"], bias: Float[Tensor, "out"]
    ) -> Float[Tensor, "B out"]:
        """Return x weight^T + bias."""
        return x @ weight.T + bias


@plain
@dataclass(frozen=True, eq=False)
class MultiTaskMLP:
    """A trunk of tanh layers and several heads on it, one a task: a batch of one task leaves the other heads unused.

    ``widths`` are the sizes of the input and of each layer's output. Parameters, in the order in which the forward
    pass uses them: ``layers.i.weight`` (out, in) and ``layers.i.bias`` (out) of each layer of the trunk, then
    ``heads.t.weight`` (outputs, in) and ``heads.t.bias`` (outputs) of each task. It is a ``LayeredModel``, of which all
    heads together are the last layer.

    A batch holds ``x`` (B, widths[0]), the targets ``y`` (B, outputs), and the number of its ``task``: 0 without one.
    """

    widths: tuple[int, ...]
    outputs: int = 1
    tasks: int = 1
    linears: Linears | None = None
    """What runs the layers, where that is to be seen; without it each rank runs them by itself."""

    def init(self, seed: int, dtype: torch.dtype = torch.float32) -> Params:
        """Return parameters drawn with ``seed``: weights with variance 1 / in, biases likewise."""
        generator = torch.Generator().manual_seed(seed)
        linears = {f"layers.{i}": shape for i, shape in enumerate(zip(self.widths[1:], self.widths, strict=False))}
        linears |= {f"heads.{t}": (self.outputs, self.widths[-1]) for t in range(self.tasks)}
        params: Params = {}
        for name, (out, into) in linears.items():
            params[f"{name}.weight"] = torch.randn(out, into, generator=generator, dtype=dtype) * into**-0.5
            params[f"{name}.bias"] = torch.randn(out, generator=generator, dtype=dtype) * into**-0.5
        return params

    def forward(self, params: Params, batch: Batch) -> Float[Tensor, "B outputs"]:
        """Return what the batch's task predicts. Differentiable in ``params``."""
        hidden = batch["x"]
        assert isinstance(hidden, Tensor)
        for layer in range(len(self.widths)):
            hidden = self.forward_layer(layer, params, hidden, batch)
        return hidden

    def loss(self, output: Float[Tensor, "B outputs"], batch: Batch) -> Float[Tensor, ""]:
        """Return the squared error, averaged over the examples and outputs of the batch."""
        return ((output - batch["y"]) ** 2).mean()

    def layers(self) -> list[list[str]]:
        """Return the names of each layer's parameters: the trunk's layers, then all heads."""
        trunk = [[f"layers.{i}.{kind}" for kind in ("weight", "bias")] for i in range(len(self.widths) - 1)]
        return [*trunk, [f"heads.{t}.{kind}" for t in range(self.tasks) for kind in ("weight", "bias")]]

    def forward_layer(self, layer: int, params: Params, hidden: Float[Tensor, "B in"], batch: Batch) -> Tensor:
        """Return the output of one layer of the trunk, or after the last of them that of the batch's head."""
        last = layer == len(self.widths) - 1
        name = f"heads.{batch.get('task', 0)}" if last else f"layers.{layer}"
        output = (self.linears or Linears()).linear(hidden, params[f"{name}.weight"], params[f"{name}.bias"])
        return output if last else torch.tanh(output)
