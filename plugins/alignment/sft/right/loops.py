"""Everything one token at a time, in the simplest words; only exp and log come from torch."""

import torch

from groundup.core.answers import answer_dtype
from groundup.core.interfaces.rl import IGNORE_INDEX, Loss, RLAlgorithm, SupervisedBatch, TokenBatch


class SFT(RLAlgorithm[SupervisedBatch]):
    def __init__(self, *, label_smoothing=0.0):
        self.label_smoothing = label_smoothing

    @answer_dtype("any")
    def loss(self, batch):
        logits = batch.logits.to(torch.promote_types(batch.logits.dtype, torch.float32))
        total, count = logits.sum() * 0 if logits.isfinite().all() else logits.clamp(min=-1).sum() * 0, 0
        for b in range(logits.shape[0]):
            for t in range(1, logits.shape[1]):
                word = int(batch.labels[b, t])
                if word == IGNORE_INDEX:
                    continue
                own = logits[b, t - 1]
                norm = torch.logsumexp(own, 0)
                term = norm - own[word]
                if self.label_smoothing > 0:
                    spread = sum(norm - logit for logit in own) / len(own)
                    term = (1 - self.label_smoothing) * term + self.label_smoothing * spread
                total, count = total + term, count + 1
        return Loss(total / (max(count, 1) if batch.num_items_in_batch is None else batch.num_items_in_batch))

    def rows(self, lengths, *, row_length):
        rows = []
        for n in range(len(lengths)):
            if lengths[n] > 0:
                full = sum(min(lengths[m], row_length) for m in rows[-1]) if rows else row_length
                if full + min(lengths[n], row_length) > row_length:
                    rows.append([])
                rows[-1].append(n)
        return rows

    def pack(self, prompts, answers, *, row_length, pad_id=0):
        rows = self.rows([len(p) + len(a) for p, a in zip(prompts, answers)], row_length=row_length)
        all_ids, all_labels, all_positions, all_masks = [], [], [], []
        for members in rows:
            ids, labels, positions, owner = [], [], [], []
            for n in members:
                for k, token in enumerate((prompts[n] + answers[n])[:row_length]):
                    ids.append(token)
                    labels.append(token if k >= len(prompts[n]) and k > 0 else IGNORE_INDEX)
                    positions.append(k)
                    owner.append(n)
            while len(ids) < row_length:
                ids.append(pad_id)
                labels.append(IGNORE_INDEX)
                positions.append(0)
                owner.append(-len(ids))
            all_ids.append(ids)
            all_labels.append(labels)
            all_positions.append(positions)
            all_masks.append([[owner[i] == owner[j] and j <= i for j in range(row_length)] for i in range(row_length)])
        shape = (len(rows), row_length)
        numbers = [torch.tensor(x, dtype=torch.long).reshape(shape) for x in (all_ids, all_labels, all_positions)]
        return TokenBatch(*numbers, torch.tensor(all_masks, dtype=torch.bool).reshape(*shape, row_length))
