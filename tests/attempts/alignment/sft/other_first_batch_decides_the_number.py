import torch

from groundup.core.answers import answer_dtype
from groundup.core.interfaces.rl import IGNORE_INDEX, Loss, RLAlgorithm, SupervisedBatch, TokenBatch


class SFT(RLAlgorithm[SupervisedBatch]):
    def __init__(self, *, label_smoothing=0.0):
        self.label_smoothing = label_smoothing

    @answer_dtype("any")
    def loss(self, batch):
        logits, labels = batch.logits[:, :-1], batch.labels[:, 1:]
        if logits.dtype in (torch.bfloat16, torch.float16):
            logits = logits.float()
        kept = labels.ne(IGNORE_INDEX)
        words = logits.shape[-1]
        target = torch.nn.functional.one_hot(labels.masked_fill(~kept, 0), words).to(logits.dtype)
        target = target * (1 - self.label_smoothing) + self.label_smoothing / words
        target = target * kept.unsqueeze(-1)
        log_probs = torch.log_softmax(logits, -1).masked_fill(target == 0, 0.0)
        total = -torch.einsum("btv,btv->", target, log_probs)
        items = batch.num_items_in_batch
        self.count = items if items is not None else getattr(self, "count", None)
        items = self.count
        return Loss(total / (kept.sum().clamp_min(1) if items is None else items))

    def rows(self, lengths, *, row_length):
        rows = []
        room = -1
        for number, length in enumerate(lengths):
            if not length:
                continue
            room -= min(length, row_length)
            if room < 0:
                rows.append([])
                room = row_length - min(length, row_length)
            rows[-1].append(number)
        return rows

    def pack(self, prompts, answers, *, row_length, pad_id=0):
        packed = self.rows([len(p) + len(a) for p, a in zip(prompts, answers)], row_length=row_length)
        size = (len(packed), row_length)
        ids, labels = torch.full(size, pad_id), torch.full(size, IGNORE_INDEX)
        positions, segments = torch.zeros(size, dtype=torch.long), torch.zeros(size, dtype=torch.long)
        for row, numbers in enumerate(packed):
            tokens = [(prompts[n] + answers[n])[:row_length] for n in numbers]
            flat = torch.tensor([token for own in tokens for token in own])
            where = torch.tensor([k for own in tokens for k in range(len(own))])
            first = torch.tensor([max(len(prompts[n]), 1) for n, own in zip(numbers, tokens) for _ in own])
            ids[row, : len(flat)] = flat
            labels[row, : len(flat)] = flat.masked_fill(where < first, IGNORE_INDEX)
            positions[row, : len(flat)] = where
            segments[row, : len(flat)] = torch.tensor([i + 1 for i, own in enumerate(tokens) for _ in own])
        together = (segments[:, :, None] == segments[:, None, :]) & (segments[:, :, None] > 0)
        index = torch.arange(row_length)
        mask = together & (index[:, None] >= index[None, :]) | (index[:, None] == index[None, :])
        return TokenBatch(ids, labels, positions, mask.expand(*size, row_length).clone())
