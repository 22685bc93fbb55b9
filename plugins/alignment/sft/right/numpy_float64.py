"""The loss in float64 with a gradient of its own, by numpy; rows packed by numpy, too."""

import numpy as np
import torch

from groundup.core.answers import answer_dtype
from groundup.core.interfaces.rl import Loss, RLAlgorithm, SupervisedBatch, TokenBatch


class CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, labels, smoothing, items):
        x = logits.detach().double().numpy()[:, :-1]
        y = labels.numpy()[:, 1:]
        keep = y != -100
        words = x.shape[-1]
        top = x.max(-1, keepdims=True) if x.size else np.zeros(x.shape[:-1] + (1,))
        log_p = x - top - np.log(np.exp(x - top).sum(-1, keepdims=True))
        target = np.eye(words)[np.where(keep, y, 0)] * (1 - smoothing) + smoothing / words
        terms = np.where(target == 0, 0.0, -target * np.where(target == 0, 0.0, log_p)).sum(-1)
        count = max(keep.sum(), 1) if items is None else items
        slope = np.zeros(logits.shape)
        slope[:, :-1] = (np.exp(log_p) - target) * keep[..., None] / count
        ctx.slope, ctx.dtype = torch.from_numpy(slope), logits.dtype
        wide = torch.float64 if logits.dtype == torch.float64 else torch.float32
        return torch.tensor(np.where(keep, terms, 0.0).sum() / count, dtype=wide)

    @staticmethod
    def backward(ctx, grad):
        return (ctx.slope * grad.double()).to(ctx.dtype), None, None, None


class SFT(RLAlgorithm[SupervisedBatch]):
    def __init__(self, *, label_smoothing=0.0):
        self.label_smoothing = label_smoothing

    @answer_dtype("any")
    def loss(self, batch):
        return Loss(CrossEntropy.apply(batch.logits, batch.labels, self.label_smoothing, batch.num_items_in_batch))

    def rows(self, lengths, *, row_length):
        found, filled = [], np.inf
        for number in np.flatnonzero(np.asarray(lengths, dtype=int)).tolist():
            size = int(np.minimum(lengths[number], row_length))
            if filled + size > row_length:
                found.append([])
                filled = 0
            found[-1].append(number)
            filled += size
        return found

    def pack(self, prompts, answers, *, row_length, pad_id=0):
        rows = self.rows([len(p) + len(a) for p, a in zip(prompts, answers)], row_length=row_length)
        ids = np.full((len(rows), row_length), pad_id)
        labels, positions = np.full_like(ids, -100), np.zeros_like(ids)
        segments = np.tile(-1 - np.arange(row_length), (len(rows), 1))
        for row, members in zip(range(len(rows)), rows):
            end = 0
            for number in members:
                tokens = np.array(prompts[number] + answers[number])[:row_length]
                begin, end = end, end + len(tokens)
                ids[row, begin:end] = tokens
                labels[row, begin:end] = np.where(np.arange(len(tokens)) < max(1, len(prompts[number])), -100, tokens)
                positions[row, begin:end] = np.arange(len(tokens))
                segments[row, begin:end] = number
        mask = (segments[:, :, None] == segments[:, None, :]) & np.tri(row_length, dtype=bool)
        return TokenBatch(*map(torch.from_numpy, (ids, labels, positions, mask)))
