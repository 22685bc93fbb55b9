"""Supervised fine-tuning: the next-token loss over answers, and examples packed into rows.

Source: Touvron et al. 2023, arXiv:2307.09288, section 3.1; the divisor as in transformers since 4.46; packing without
cross-contamination as in Krell et al. 2021, arXiv:2107.02027.
Axes: B rows, T tokens of a row, V words of the vocabulary.   Logarithms: nats.
"""

from __future__ import annotations

import torch

from groundup.core.answers import answer_dtype
from groundup.core.interfaces.rl import IGNORE_INDEX, Loss, RLAlgorithm, SupervisedBatch, TokenBatch

__all__ = ["SFT"]


class SFT(RLAlgorithm[SupervisedBatch]):
    """Learns to predict each token of an answer from all tokens before it. Prompts are read, and not learnt."""

    def __init__(self, *, label_smoothing: float = 0.0) -> None:
        """``label_smoothing`` in [0, 1) is the share of the target that is spread evenly over all V words."""
        self.label_smoothing = label_smoothing

    @answer_dtype("any")  # float32 at least, also for logits in bfloat16
    def loss(self, batch: SupervisedBatch) -> Loss:
        """Return the mean over learnt tokens of their loss. It has no metrics.

        ``labels`` are not shifted: the logits at position t predict the label at position t + 1. A token is learnt if
        its label is not ``IGNORE_INDEX``; the first token of a row never is. Its loss is -log p of its label, or with
        ``label_smoothing`` e, (1 - e) times that plus e times the mean of -log p over all V words.

        Every learnt token weighs the same, whatever row it is in. The sum is divided by their number, or by
        ``num_items_in_batch`` if that is given: the number of learnt tokens in all micro-batches of the optimizer's
        step. Then the gradients of the micro-batches, added up, are those of one large batch. With nothing to learn the
        loss is 0, and so is its gradient.

        Logits narrower than float32 are converted to it first, and the loss is float32 then; float64 stays. A logit may
        be -inf, for a word that cannot come; with ``label_smoothing`` 0 this spoils neither the loss nor the gradient.
        """
        # HOLE 1/6: what predicts what; set ``logits`` (B, T-1, V), float32 at least, ``targets`` (B, T-1), the label
        # that each of these logits has to predict, and ``learnt`` (B, T-1), True where that label is to be learnt.
        logits = batch.logits[:, :-1].to(torch.promote_types(batch.logits.dtype, torch.float32))
        targets = batch.labels[:, 1:]
        learnt = targets != IGNORE_INDEX
        # END HOLE

        # HOLE 2/6: the loss of each token; set ``token_loss`` (B, T-1), as the docstring says, and 0 where nothing is
        # learnt.
        # EMPTY: token_loss = torch.where(learnt, logits.amax(-1) - logits.gather(-1, targets.clamp(min=0)[..., None])[..., 0], 0)
        log_probs = logits.log_softmax(dim=-1)  # (B, T-1, V)
        token_loss = -log_probs.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)  # IGNORE_INDEX is no word
        if self.label_smoothing:  # 0 times the infinite loss of an impossible word would be NaN
            token_loss = (1 - self.label_smoothing) * token_loss - self.label_smoothing * log_probs.mean(-1)
        token_loss = torch.where(learnt, token_loss, 0)
        # END HOLE

        # HOLE 3/6: their mean; set the scalar ``loss``: the sum over all rows, divided once.
        # EMPTY: loss = token_loss.sum()
        given = batch.num_items_in_batch
        count = learnt.sum().clamp(min=1) if given is None else given  # nothing to learn: 0 / 1, not 0 / 0
        loss = token_loss.sum() / count
        # END HOLE
        return Loss(loss=loss)

    def rows(self, lengths: list[int], *, row_length: int) -> list[list[int]]:
        """Return which examples share a row: for each row the numbers of its examples, in their order from 0 on.

        Rows are filled one after the other. An example that does not fit behind those of the last row begins the next
        one. An example longer than ``row_length`` takes a whole row, as it will be cut. An example of length 0 is left
        out.
        """
        # HOLE 4/6: one row after the other; set ``rows``. An example never goes back to an earlier row.
        rows: list[list[int]] = []
        space = 0  # in the last row
        for number, length in enumerate(lengths):
            taken = min(length, row_length)
            if taken > space:
                rows.append([])
                space = row_length
            if taken:
                rows[-1].append(number)
                space -= taken
        # END HOLE
        return rows

    def pack(
        self, prompts: list[list[int]], answers: list[list[int]], *, row_length: int, pad_id: int = 0
    ) -> TokenBatch:
        """Return examples, each a prompt and its answer, packed into rows of ``row_length`` tokens as ``rows`` says.

        An example longer than a row keeps its first ``row_length`` tokens. The labels are the tokens of the answers,
        and ``IGNORE_INDEX`` at those of prompts, at padding, and at the first token of each example, which nothing
        predicts, even where its prompt is empty. ``position_ids`` count from 0 in each example. The rest of a row holds
        ``pad_id`` and the position 0.

        ``attn_mask`` lets a token attend to itself and to the tokens before it in its example, and to nothing else. A
        padded position attends to itself alone: a softmax over nothing would be NaN.
        """
        rows = self.rows([len(p) + len(a) for p, a in zip(prompts, answers, strict=True)], row_length=row_length)
        shape = (len(rows), row_length)
        input_ids, position_ids = torch.full(shape, pad_id), torch.zeros(shape, dtype=torch.long)
        labels = torch.full(shape, IGNORE_INDEX)
        # HOLE 5/6: the rows' contents; fill ``input_ids``, ``labels`` and ``position_ids``, (B, T) each, from the left.
        # EMPTY: pass
        for row, members in enumerate(rows):
            start = 0
            for number in members:
                tokens = (prompts[number] + answers[number])[:row_length]
                first = min(max(len(prompts[number]), 1), len(tokens))  # the first token that is learnt
                end = start + len(tokens)
                input_ids[row, start:end] = torch.tensor(tokens)
                labels[row, start + first : end] = input_ids[row, start + first : end]
                position_ids[row, start:end] = torch.arange(len(tokens))
                start = end
        # END HOLE

        # HOLE 6/6: who attends to whom; set ``attn_mask`` (B, T, T), bool.
        # EMPTY: attn_mask = torch.ones(row_length, row_length, dtype=torch.bool).tril().expand(len(rows), -1, -1)
        example = (position_ids == 0).cumsum(dim=-1)  # (B, T): grows by 1 where an example begins, and at each padding
        same = example.unsqueeze(2) == example.unsqueeze(1)  # (B, T, T)
        attn_mask = same & torch.ones(row_length, row_length, dtype=torch.bool).tril()
        # END HOLE
        return TokenBatch(input_ids, labels, position_ids, attn_mask)
