# huggingface/transformers#24725, #34191: each micro-batch divides by its own number of tokens.
# named: micro-batches-weigh-the-same
import torch
import torch.nn.functional as F

from groundup.core.answers import answer_dtype
from groundup.core.interfaces.rl import IGNORE_INDEX, Loss, RLAlgorithm, SupervisedBatch, TokenBatch


class SFT(RLAlgorithm[SupervisedBatch]):
    def __init__(self, *, label_smoothing=0.0):
        self.label_smoothing = label_smoothing

    @answer_dtype("any")
    def loss(self, batch):
        logits = batch.logits if batch.logits.dtype == torch.float64 else batch.logits.float()
        labels = F.pad(batch.labels, (0, 1), value=IGNORE_INDEX)[:, 1:]
        total = F.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), reduction="sum", label_smoothing=self.label_smoothing
        )
        items = max(int((labels != IGNORE_INDEX).sum()), 1)
        return Loss(total / items)

    def rows(self, lengths, *, row_length):
        rows, used = [], row_length
        for number, length in enumerate(lengths):
            if length == 0:
                continue
            length = min(length, row_length)
            if used + length > row_length:
                rows.append([])
                used = 0
            rows[-1].append(number)
            used += length
        return rows

    def pack(self, prompts, answers, *, row_length, pad_id=0):
        rows = self.rows([len(p) + len(a) for p, a in zip(prompts, answers)], row_length=row_length)
        ids = torch.full((len(rows), row_length), pad_id)
        labels = torch.full_like(ids, -100)
        positions = torch.zeros_like(ids)
        mask = torch.eye(row_length, dtype=torch.bool).repeat(len(rows), 1, 1)
        for r, members in enumerate(rows):
            at = 0
            for n in members:
                tokens = [*prompts[n], *answers[n]][:row_length]
                size = len(tokens)
                own = [*[-100] * len(prompts[n]), *answers[n]][:row_length]
                own[0] = -100
                ids[r, at : at + size] = torch.tensor(tokens)
                labels[r, at : at + size] = torch.tensor(own)
                positions[r, at : at + size] = torch.arange(size)
                mask[r, at : at + size, at : at + size] = torch.ones(size, size, dtype=torch.bool).tril()
                at += size
        return TokenBatch(ids, labels, positions, mask)
