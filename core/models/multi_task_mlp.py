"""A multi-layer perceptron with a head for each of several tasks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from groundup.core.models.specification import Batch, Params
from groundup.core.parts import Part, differentiable
from groundup.core.plain import plain

__all__ = ["Linears", "MultiTaskMLP"]


class Linears(Part):
    """Runs a network's linear layers. Its owner sees when each layer runs, forward and backward."""

    @differentiable
    def linear(
        self, x: Float[Tensor, "B in"], weight: Float[Tensor, "out in"], bias: Float[Tensor, "out"]
    ) -> Float[Tensor, "B out"]:
        """Return x weight^T + bias."""
        return x @ weight.T + bias


@plain
@dataclass(frozen=True, eq=False)
class MultiTaskMLP:
    """A trunk of tanh layers with one head per task: a batch of one task leaves the other heads unused.

    ``widths`` are the sizes of the input and of each layer's output. Parameters, in forward order:
    ``layers.i.weight`` (out, in) and ``layers.i.bias`` (out) for each layer of the trunk, then ``heads.t.weight``
    (outputs, in) and ``heads.t.bias`` (outputs) for each task. It is a ``LayeredModel`` whose last layer is all heads
    together.

    A batch holds ``x`` (B, widths[0]), the targets ``y`` (B, outputs), and the index of its ``task``, by default 0.
    """

    widths: tuple[int, ...]
    outputs: int = 1
    tasks: int = 1
    linears: Linears | None = None
    """The part that runs the layers, so that its owner observes them; None: each rank runs them itself."""

    def init(self, seed: int, dtype: torch.dtype = torch.float32) -> Params:
        """Return parameters drawn with ``seed``: weights and biases with variance 1 / in."""
        generator = torch.Generator().manual_seed(seed)
        linears = {f"layers.{i}": shape for i, shape in enumerate(zip(self.widths[1:], self.widths, strict=False))}
        linears |= {f"heads.{t}": (self.outputs, self.widths[-1]) for t in range(self.tasks)}
        params: Params = {}
        for name, (out, into) in linears.items():
            params[f"{name}.weight"] = torch.randn(out, into, generator=generator, dtype=dtype) * into**-0.5
            params[f"{name}.bias"] = torch.randn(out, generator=generator, dtype=dtype) * into**-0.5
        return params

    def forward(self, params: Params, batch: Batch) -> Float[Tensor, "B outputs"]:
        """Return the predictions of the batch's task. Differentiable in ``params``."""
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
        """Return the output of trunk layer ``layer``; after the trunk's last layer, the output of the batch's head."""
        last = layer == len(self.widths) - 1
        name = f"heads.{batch.get('task', 0)}" if last else f"layers.{layer}"
        output = (self.linears or Linears()).linear(hidden, params[f"{name}.weight"], params[f"{name}.bias"])
        return output if last else torch.tanh(output)
