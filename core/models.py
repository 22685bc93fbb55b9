"""Small networks as specifications: what a strategy trains. Parameters go by name and are given to every call."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from groundup.core.plain import plain

__all__ = ["Batch", "MultiTaskMLP"]

Batch = dict[str, Tensor | int]
Params = dict[str, Float[Tensor, "..."]]


@plain
@dataclass(frozen=True, eq=False)
class MultiTaskMLP:
    """A trunk of tanh layers and several heads on it, one a task: a batch of one task leaves the other heads unused.

    ``widths`` are the sizes of the input and of each layer's output. Parameters, in the order in which the forward
    pass uses them: ``layers.i.weight`` (out, in) and ``layers.i.bias`` (out) of each layer of the trunk, then
    ``heads.t.weight`` (outputs, in) and ``heads.t.bias`` (outputs) of each task.

    A batch holds ``x`` (B, widths[0]), the targets ``y`` (B, outputs), and the number of its ``task``: 0 without one.
    """

    widths: tuple[int, ...]
    outputs: int = 1
    tasks: int = 1

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
        for i in range(len(self.widths) - 1):
            hidden = torch.tanh(hidden @ params[f"layers.{i}.weight"].T + params[f"layers.{i}.bias"])
        head = f"heads.{batch.get('task', 0)}"
        return hidden @ params[f"{head}.weight"].T + params[f"{head}.bias"]

    def loss(self, output: Float[Tensor, "B outputs"], batch: Batch) -> Float[Tensor, ""]:
        """Return the squared error, averaged over the examples and outputs of the batch."""
        return ((output - batch["y"]) ** 2).mean()
