"""Learning rules: a batch of experience or of preferences becomes a loss.

Axes: B sequences or transitions, T tokens or steps, A actions. Log-probabilities are natural logarithms (nats).
A rule holds only its coefficients. Everything that changes from update to update is in the batch, so that the same
rule serves a gym task and a language model. Fields said to carry gradient are functions of the parameters being
trained; all others are constants of the update.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from jaxtyping import Bool, Float, Int
from torch import Tensor

from groundup.core.plain import plain

__all__ = [
    "GroupBatch",
    "Loss",
    "PreferenceBatch",
    "RLAlgorithm",
    "RewardPairBatch",
    "RolloutBatch",
    "TransitionBatch",
    "UnpairedBatch",
]

BatchT = TypeVar("BatchT")


@plain
@dataclass(frozen=True, eq=False)
class Loss:
    """What to minimise, and what to watch while doing it."""

    loss: Float[Tensor, ""]
    """The scalar to minimise. Its gradient reaches every field of the batch that carries one."""
    metrics: dict[str, Tensor] = field(default_factory=dict)
    """Scalars to log, by name, without gradient. Each rule's docstring names its own."""


class RLAlgorithm(ABC, Generic[BatchT]):
    """One learning rule. Its constructor takes its coefficients, by keyword, with the defaults of its source."""

    @abstractmethod
    def loss(self, batch: BatchT) -> Loss:
        """Return the loss of ``batch``. The batch is left as it was."""


@plain
@dataclass(frozen=True, eq=False)
class RolloutBatch:
    """Actions or tokens sampled from an old policy, with a critic: PPO, actor-critic, VAPO."""

    log_prob: Float[Tensor, "B T"]
    """log pi(a_t | s_t) under the policy being trained; carries gradient."""
    old_log_prob: Float[Tensor, "B T"]
    """The same under the policy that sampled the actions."""
    advantage: Float[Tensor, "B T"]
    value: Float[Tensor, "B T"]
    """V(s_t) of the critic being trained; carries gradient."""
    old_value: Float[Tensor, "B T"]
    """V(s_t) of the critic as it was when the actions were sampled."""
    returns: Float[Tensor, "B T"]
    """What the critic should predict: advantage + old_value."""
    entropy: Float[Tensor, "B T"]
    """Entropy of pi(. | s_t), in nats; carries gradient."""
    mask: Bool[Tensor, "B T"]
    """True where there is a real step. Padding holds ordinary numbers, such as a forward pass over it gives."""
    ref_log_prob: Float[Tensor, "B T"] | None = None
    """log pi_ref(a_t | s_t) under the frozen reference policy, where there is one."""


@plain
@dataclass(frozen=True, eq=False)
class GroupBatch:
    """Several answers to each prompt, with a reward each and no critic: GRPO, RLOO, DAPO, GSPO."""

    log_prob: Float[Tensor, "B T"]
    """Under the policy being trained; carries gradient."""
    old_log_prob: Float[Tensor, "B T"]
    reward: Float[Tensor, "B"]
    group: Int[Tensor, "B"]
    """Answers to the same prompt share a number."""
    mask: Bool[Tensor, "B T"]
    ref_log_prob: Float[Tensor, "B T"] | None = None


@plain
@dataclass(frozen=True, eq=False)
class PreferenceBatch:
    """A chosen and a rejected answer to each prompt: DPO, IPO, SimPO, ORPO. Log-probabilities by token."""

    chosen_log_prob: Float[Tensor, "B T"]
    """Under the policy being trained; carries gradient."""
    rejected_log_prob: Float[Tensor, "B U"]
    """Under the policy being trained; carries gradient."""
    chosen_mask: Bool[Tensor, "B T"]
    rejected_mask: Bool[Tensor, "B U"]
    ref_chosen_log_prob: Float[Tensor, "B T"] | None = None
    ref_rejected_log_prob: Float[Tensor, "B U"] | None = None


@plain
@dataclass(frozen=True, eq=False)
class UnpairedBatch:
    """Single answers marked good or bad: KTO. ``mismatched`` answers belong to other prompts and estimate the KL."""

    log_prob: Float[Tensor, "B T"]
    """Under the policy being trained; carries gradient."""
    ref_log_prob: Float[Tensor, "B T"]
    mask: Bool[Tensor, "B T"]
    desirable: Bool[Tensor, "B"]
    mismatched_log_prob: Float[Tensor, "B T"]
    mismatched_ref_log_prob: Float[Tensor, "B T"]
    mismatched_mask: Bool[Tensor, "B T"]


@plain
@dataclass(frozen=True, eq=False)
class RewardPairBatch:
    """A reward model's scores of a chosen and a rejected answer: Bradley-Terry."""

    chosen_reward: Float[Tensor, "B"]
    """Carries gradient."""
    rejected_reward: Float[Tensor, "B"]
    """Carries gradient."""
    margin: Float[Tensor, "B"] | None = None
    """By how much the annotator preferred the chosen answer, where that was asked."""


@plain
@dataclass(frozen=True, eq=False)
class TransitionBatch:
    """Stored transitions with action values: CQL, BCQ, Q-learning."""

    q_value: Float[Tensor, "B A"]
    """Q(s, .) of the network being trained; carries gradient."""
    action: Int[Tensor, "B"]
    reward: Float[Tensor, "B"]
    next_q_value: Float[Tensor, "B A"]
    """Q(s', .) of the target network."""
    done: Bool[Tensor, "B"]
    """True where s' ends the episode: nothing is bootstrapped from it."""
    behaviour_log_prob: Float[Tensor, "B A"] | None = None
    """Log-probability of each action in s' under the model of the data's behaviour: BCQ."""
