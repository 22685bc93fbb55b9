"""Learning rules: functions from a batch of experience, preferences or text to a loss.

A rule holds only its coefficients. Everything that changes between updates is in the batch (``rl_batches``), so that
the same rule works for a gym task and a language model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from jaxtyping import Float
from torch import Tensor

from groundup.core.interfaces.rl_batches import (
    IGNORE_INDEX,
    EpisodeBatch,
    GroupBatch,
    PreferenceBatch,
    RewardPairBatch,
    RolloutBatch,
    SupervisedBatch,
    TokenBatch,
    TransitionBatch,
    UnpairedBatch,
)
from groundup.core.plain import plain

__all__ = [
    "IGNORE_INDEX",
    "EpisodeBatch",
    "GroupBatch",
    "Loss",
    "PreferenceBatch",
    "RLAlgorithm",
    "RewardPairBatch",
    "RolloutBatch",
    "SupervisedBatch",
    "TokenBatch",
    "TransitionBatch",
    "UnpairedBatch",
]

BatchT = TypeVar("BatchT")


@plain
@dataclass(frozen=True, eq=False)
class Loss:
    """The loss to minimise, and metrics to log."""

    loss: Float[Tensor, ""]
    """The scalar to minimise. Its gradient flows to every field of the batch that carries gradient."""
    metrics: dict[str, Tensor] = field(default_factory=dict)
    """Scalars to log, by name, without gradient. Each rule's docstring names its own."""


class RLAlgorithm(ABC, Generic[BatchT]):
    """One learning rule. Its constructor takes its coefficients, by keyword, with the defaults of its source."""

    @abstractmethod
    def loss(self, batch: BatchT) -> Loss:
        """Return the loss of ``batch``, which is not modified."""
