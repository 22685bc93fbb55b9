"""Direct preference optimisation.

Source: Rafailov et al. 2023, arXiv:2305.18290, eq. 7. Label smoothing: Mitchell 2023, "A note on DPO with noisy
preferences", eq. 3.   Axes: B pairs, T and U tokens.   Logarithms: nats.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Bool, Float
from torch import Tensor

from groundup.core.answers import answer_dtype
from groundup.core.interfaces.rl import Loss, PreferenceBatch, RLAlgorithm

__all__ = ["DPO"]


class DPO(RLAlgorithm[PreferenceBatch]):
    """The loss of one update on pairs of answers. The object holds only coefficients: calls never influence each other.

    Everything is computed in float32 or wider: log-probabilities in a narrower dtype are cast to float32 before
    anything else is done with them. Log-ratios, loss and metrics have that dtype.
    """

    def __init__(self, *, beta: float = 0.1, label_smoothing: float = 0.0) -> None:
        """Store the coefficients.

        ``beta`` > 0 says how much a nat of distance from the reference weighs, in units of the reward.
        ``label_smoothing``, from 0 to less than 1/2, is the share of pairs that are believed to be the wrong way round.
        """
        self.beta = beta
        self.label_smoothing = label_smoothing

    @answer_dtype("any")  # float32 for a narrower dtype
    def log_ratios(self, batch: PreferenceBatch) -> tuple[Float[Tensor, "B"], Float[Tensor, "B"]]:
        """Return log(pi / pi_ref) of the whole chosen answers, and of the whole rejected ones.

        The probability of an answer is the product of those of its tokens, so its log-ratio is a sum over the tokens
        whose mask is True, and 0 for an answer without tokens. It is not divided by their number. Gradient flows to
        ``chosen_log_prob`` and ``rejected_log_prob``; the reference is a constant, even where it comes with a graph.
        Raises ValueError if the batch has no reference.
        """
        ref_chosen, ref_rejected = batch.ref_chosen_log_prob, batch.ref_rejected_log_prob
        if ref_chosen is None or ref_rejected is None:
            raise ValueError(
                "DPO needs ref_chosen_log_prob and ref_rejected_log_prob, the reference's log-probabilities"
            )
        # HOLE 1/3: log-ratios of whole answers; set ``chosen`` and ``rejected``, both (B,).
        raise NotImplementedError("hole 1/3: log-ratios of whole answers")
        return chosen, rejected

    @answer_dtype("any")  # float32 for a narrower dtype
    def loss(self, batch: PreferenceBatch) -> Loss:
        """Return the mean over the pairs of -log sigmoid(m), where m is beta times the difference of the log-ratios.

        With ``label_smoothing`` e each pair costs (1 - e) times that and e times what the exchanged pair would cost,
        -log sigmoid(-m). However large m is, of either sign, loss and gradient are finite and those of the formula. A
        rejected answer that the policy cannot give any more (log 0 = -inf) costs nothing if e is 0, and its gradient
        is 0.

        Metrics: ``chosen_reward`` and ``rejected_reward``, the means of the implicit rewards, beta times the log-ratio
        of an answer; ``margin``, the mean difference of the two; ``accuracy``, the share of pairs whose chosen answer
        has the larger reward, where equal ones are no success. All are scalars without gradient.
        """
        chosen, rejected = self.log_ratios(batch)  # (B,) each

        # HOLE 2/3: the loss; set the scalar ``loss``, as the docstring says.
        raise NotImplementedError("hole 2/3: the loss")

        # HOLE 3/3: implicit rewards; set the scalars ``chosen_reward``, ``rejected_reward``, ``margin``, ``accuracy``.
        raise NotImplementedError("hole 3/3: implicit rewards")

        metrics = {
            "chosen_reward": chosen_reward,
            "rejected_reward": rejected_reward,
            "margin": margin,
            "accuracy": accuracy,
        }
        return Loss(loss=loss, metrics=metrics)
