# huggingface/trl#1230: one causal mask for the packed row.
# named: attends-to-the-whole-row
import itertools

import torch

from groundup.core.answers import answer_dtype
from groundup.core.interfaces.rl import IGNORE_INDEX, Loss, RLAlgorithm, SupervisedBatch, TokenBatch


class SFT(RLAlgorithm[SupervisedBatch]):
    def __init__(self, *, label_smoothing=0.0):
        self.label_smoothing = label_smoothing

    @answer_dtype("any")
    def loss(self, batch):
        shifted = batch.labels[:, 1:]
        chosen = (shifted != IGNORE_INDEX).nonzero(as_tuple=True)
        logits = batch.logits[:, :-1][chosen]  # (N, V)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        log_probs = logits - logits.logsumexp(-1, keepdim=True)
        terms = -log_probs[torch.arange(len(logits)), shifted[chosen]]
        if self.label_smoothing:
            terms = torch.lerp(terms, -log_probs.mean(-1), self.label_smoothing)
        items = batch.num_items_in_batch
        return Loss(terms.sum() / (max(len(terms), 1) if items is None else items))

    def rows(self, lengths, *, row_length):
        rows, sums = [], []
        for number, length in enumerate(lengths):
            length = min(length, row_length)
            if length and rows and sums[-1] + length <= row_length:
                rows[-1].append(number)
                sums[-1] += length
            elif length:
                rows.append([number])
                sums.append(length)
        return rows

    def pack(self, prompts, answers, *, row_length, pad_id=0):
        lengths = [len(p) + len(a) for p, a in zip(prompts, answers)]
        rows = self.rows(lengths, row_length=row_length)
        batch, causal = len(rows), torch.ones(row_length, row_length, dtype=torch.bool).tril()
        ids = torch.full((batch, row_length), pad_id)
        labels = torch.full((batch, row_length), IGNORE_INDEX)
        positions = torch.zeros((batch, row_length), dtype=torch.long)
        begins = torch.ones((batch, row_length), dtype=torch.bool)
        for row, members in enumerate(rows):
            sizes = [min(lengths[n], row_length) for n in members]
            starts = [0, *itertools.accumulate(sizes)]
            for n, start, size in zip(members, starts, sizes):
                for k, token in enumerate((prompts[n] + answers[n])[:size]):
                    ids[row, start + k] = token
                    positions[row, start + k] = k
                    begins[row, start + k] = k == 0
                    if k >= len(prompts[n]) and k:
                        labels[row, start + k] = token
        numbers = begins.cumsum(1)
        mask = causal.expand(batch, -1, -1)
        return TokenBatch(ids, labels, positions, mask)
