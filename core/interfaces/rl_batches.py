"""The batches that learning rules take, one class for each kind of data. Import these names from ``interfaces.rl``.

Axes: B rows (sequences, pairs or transitions), T and U tokens or steps, A actions, V words of the vocabulary.
Log-probabilities are natural logarithms (nats); rewards and values have the unit of the environment or of the scorer.
Fields that "carry gradient" are functions of the parameters being trained; all others are constants of the update. A
mask is True at real tokens or steps; padded positions hold finite numbers, such as a forward pass over padding gives.
Fields that may be None are for the rules named there.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from groundup.core.plain import plain

__all__ = [
    "IGNORE_INDEX",
    "EpisodeBatch",
    "GroupBatch",
    "PreferenceBatch",
    "RewardPairBatch",
    "RolloutBatch",
    "SupervisedBatch",
    "TokenBatch",
    "TransitionBatch",
    "UnpairedBatch",
]

IGNORE_INDEX = -100
"""The label of a token that the loss ignores, as in torch's cross_entropy."""


@plain
@dataclass(frozen=True, eq=False)
class RolloutBatch:
    """Actions or tokens sampled from an old policy, with a critic, used for several updates: PPO, VAPO."""

    log_prob: Float[Tensor, "B T"]
    """log pi(a_t | s_t) under the policy being trained; carries gradient."""
    old_log_prob: Float[Tensor, "B T"]
    """The same under the policy that sampled the actions."""
    advantage: Float[Tensor, "B T"]
    """How much better than expected each action was, in the reward's unit or normalised."""
    value: Float[Tensor, "B T"]
    """V(s_t) of the critic being trained; carries gradient."""
    old_value: Float[Tensor, "B T"]
    """V(s_t) of the critic as it was when the actions were sampled."""
    returns: Float[Tensor, "B T"]
    """The critic's target: advantage + old_value, before any normalisation."""
    entropy: Float[Tensor, "B T"]
    """Entropy of pi(. | s_t), in nats; carries gradient."""
    mask: Bool[Tensor, "B T"]
    """True where there is a real token or step."""
    ref_log_prob: Float[Tensor, "B T"] | None = None
    """log pi_ref(a_t | s_t) under the frozen reference policy, if there is one."""


@plain
@dataclass(frozen=True, eq=False)
class EpisodeBatch:
    """Steps taken by the policy being trained, used for one update: REINFORCE, actor-critic.

    A row holds steps in the order in which they were taken. After a ``terminated`` or ``truncated`` step the next
    episode begins. If a row's last real step is neither, the row stops in mid-episode.
    """

    log_prob: Float[Tensor, "B T"]
    """log pi(a_t | s_t); carries gradient."""
    entropy: Float[Tensor, "B T"]
    """Entropy of pi(. | s_t), in nats; carries gradient."""
    value: Float[Tensor, "B T"]
    """V(s_t) of the critic being trained, in the reward's unit; carries gradient. Zeros without a critic."""
    next_value: Float[Tensor, "B T"]
    """V of the state after step t, from the same critic; carries gradient, which a semi-gradient rule does not use.

    At a truncated step it is V of the episode's last state, not of the next episode's first state."""
    reward: Float[Tensor, "B T"]
    """Reward of step t, in the environment's unit."""
    terminated: Bool[Tensor, "B T"]
    """True where step t ended its episode: no reward follows, and ``next_value`` is not used."""
    truncated: Bool[Tensor, "B T"]
    """True where a limit cut the episode off after step t: ``next_value`` estimates the rewards cut off."""
    mask: Bool[Tensor, "B T"]
    """True where there is a real step."""


@plain
@dataclass(frozen=True, eq=False)
class TransitionBatch:
    """Stored transitions with action values: Q-learning, CQL, BCQ."""

    q_value: Float[Tensor, "B A"]
    """Q(s, .) of the network being trained, in the reward's unit; carries gradient."""
    action: Int[Tensor, "B"]
    """The action taken in s, from 0 to A - 1."""
    reward: Float[Tensor, "B"]
    """Its reward, in the environment's unit."""
    next_q_value: Float[Tensor, "B A"]
    """Q(s', .) of the target network."""
    done: Bool[Tensor, "B"]
    """True where s' is terminal: no bootstrapping from it. A time limit does not make a state terminal."""
    behaviour_log_prob: Float[Tensor, "B A"] | None = None
    """Log-probability of each action in s' under the model of the behaviour policy: BCQ."""
    next_online_q_value: Float[Tensor, "B A"] | None = None
    """Q(s', .) of the network being trained; it selects the action in a double-Q target, without gradient."""
    current_behaviour_log_prob: Float[Tensor, "B A"] | None = None
    """As ``behaviour_log_prob``, but in s; carries gradient if the behaviour model is trained too: BCQ."""


@plain
@dataclass(frozen=True, eq=False)
class GroupBatch:
    """Several answers to each prompt, each with a reward, and no critic: GRPO, RLOO, DAPO, GSPO."""

    log_prob: Float[Tensor, "B T"]
    """log pi of each token under the policy being trained; carries gradient."""
    old_log_prob: Float[Tensor, "B T"]
    """The same under the policy as it was when the answers were sampled."""
    reward: Float[Tensor, "B"]
    """Reward of the whole answer, in the unit of the scorer."""
    group: Int[Tensor, "B"]
    """Answers to the same prompt share a number."""
    mask: Bool[Tensor, "B T"]
    """True at tokens that the policy sampled."""
    ref_log_prob: Float[Tensor, "B T"] | None = None
    """log pi_ref of each token under the frozen reference policy, if there is one."""
    correct: Bool[Tensor, "B"] | None = None
    """Whether the answer is right, if the reward holds more than that, such as a length penalty: DAPO."""
    sampler_log_prob: Float[Tensor, "B T"] | None = None
    """As ``old_log_prob``, but computed by the inference engine that sampled the answers: rollout correction."""


@plain
@dataclass(frozen=True, eq=False)
class PreferenceBatch:
    """A chosen and a rejected answer to each prompt, log-probabilities by token: DPO, IPO, SimPO, ORPO, step-DPO.

    If the two share their first steps and differ from one step on (step-DPO), the masks hold only that step's tokens;
    the shared steps are part of the prompt.
    """

    chosen_log_prob: Float[Tensor, "B T"]
    """log pi of each token under the policy being trained; carries gradient."""
    rejected_log_prob: Float[Tensor, "B U"]
    """log pi of each token under the policy being trained; carries gradient."""
    chosen_mask: Bool[Tensor, "B T"]
    """True at the answer's tokens: neither prompt nor padding."""
    rejected_mask: Bool[Tensor, "B U"]
    """True at the answer's tokens: neither prompt nor padding."""
    ref_chosen_log_prob: Float[Tensor, "B T"] | None = None
    """log pi_ref of each token under the frozen reference policy, if the rule has one."""
    ref_rejected_log_prob: Float[Tensor, "B U"] | None = None
    """log pi_ref of each token under the frozen reference policy, if the rule has one."""


@plain
@dataclass(frozen=True, eq=False)
class UnpairedBatch:
    """Single answers marked good or bad: KTO. ``mismatched`` answers belong to other prompts; they estimate the KL."""

    log_prob: Float[Tensor, "B T"]
    """log pi of each token under the policy being trained; carries gradient."""
    ref_log_prob: Float[Tensor, "B T"]
    """log pi_ref of each token under the frozen reference policy."""
    mask: Bool[Tensor, "B T"]
    """True at the answer's tokens."""
    desirable: Bool[Tensor, "B"]
    """Whether the answer was marked good."""
    mismatched_log_prob: Float[Tensor, "B U"]
    """log pi of each token of another prompt's answer under the policy being trained; carries no gradient."""
    mismatched_ref_log_prob: Float[Tensor, "B U"]
    """The same under the reference policy."""
    mismatched_mask: Bool[Tensor, "B U"]
    """True at the mismatched answer's tokens."""


@plain
@dataclass(frozen=True, eq=False)
class RewardPairBatch:
    """A reward model's scores of a chosen and a rejected answer: Bradley-Terry.

    With masks there is a score at each token, and an answer's score is the one at its last real token. Without masks
    there is one score per answer.
    """

    chosen_reward: Float[Tensor, "B *T"]
    """Scores, on a scale without unit or fixed zero; carries gradient."""
    rejected_reward: Float[Tensor, "B *U"]
    """Scores, on the same scale; carries gradient."""
    margin: Float[Tensor, "B"] | None = None
    """How much the annotator preferred the chosen answer, on that scale, if it was recorded."""
    chosen_mask: Bool[Tensor, "B T"] | None = None
    """True at real tokens; padding may be on either side."""
    rejected_mask: Bool[Tensor, "B U"] | None = None
    """True at real tokens; padding may be on either side."""


@plain
@dataclass(frozen=True, eq=False)
class SupervisedBatch:
    """A language model's predictions after each token of given texts, and the target tokens: SFT."""

    logits: Float[Tensor, "B T V"]
    """Unnormalised log-probabilities; ``logits[:, t]`` predicts the token at t + 1. Carries gradient."""
    labels: Int[Tensor, "B T"]
    """The token at each position, not shifted; ``IGNORE_INDEX`` where the loss ignores it (see ``TokenBatch``)."""
    num_items_in_batch: int | None = None
    """With gradient accumulation, the number of learnt tokens in all micro-batches of the step; otherwise None."""


@plain
@dataclass(frozen=True, eq=False)
class TokenBatch:
    """Rows of tokens for a causal language model, with one example per row or several packed into a row: SFT."""

    input_ids: Int[Tensor, "B T"]
    """The tokens."""
    labels: Int[Tensor, "B T"]
    """The same tokens; ``IGNORE_INDEX`` in prompts, in padding, and at an example's first token, never predicted."""
    position_ids: Int[Tensor, "B T"]
    """The position of each token in its own example, from 0."""
    attn_mask: Bool[Tensor, "B T T"]
    """``attn_mask[b, i, j]``: token i attends to token j, which is in the same example and not after i."""
