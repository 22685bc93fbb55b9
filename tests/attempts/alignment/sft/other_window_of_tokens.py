import torch

from groundup.core.answers import answer_dtype
from groundup.core.interfaces.rl import IGNORE_INDEX, Loss, RLAlgorithm, SupervisedBatch, TokenBatch


class SFT(RLAlgorithm[SupervisedBatch]):
    def __init__(self, *, label_smoothing=0.0):
        self.label_smoothing = label_smoothing

    @answer_dtype("any")
    def loss(self, batch):
        logits = batch.logits.narrow(1, 0, max(batch.logits.shape[1] - 1, 0))
        labels = batch.labels.narrow(1, min(1, batch.labels.shape[1]), logits.shape[1])
        logits = logits.float() if logits.dtype.itemsize < 4 else logits
        ignored = labels == IGNORE_INDEX
        norm = logits.logsumexp(-1)
        own = logits.take_along_dim(labels.masked_fill(ignored, 0).unsqueeze(-1), -1).squeeze(-1)
        loss = norm - own
        if self.label_smoothing != 0.0:
            loss = loss * (1 - self.label_smoothing) + (norm - logits.mean(-1)) * self.label_smoothing
        total = loss.masked_fill(ignored, 0.0).double().sum().to(logits.dtype)
        divisor = batch.num_items_in_batch
        if divisor is None:
            divisor = float((~ignored).sum()) or 1.0
        return Loss(total.div(divisor))

    def rows(self, lengths, *, row_length):
        rows, room = [], 0
        for number, length in enumerate(lengths):
            need = row_length if length > row_length else length
            if need == 0:
                continue
            if need > room:
                rows, room = [*rows, []], row_length
            rows[-1] = [*rows[-1], number]
            room = room - need
        return rows

    def pack(self, prompts, answers, *, row_length, pad_id=0):
        rows = self.rows([len(p) + len(a) for p, a in zip(prompts, answers)], row_length=row_length)
        filled = [self._row([(prompts[n], answers[n]) for n in row], row_length, pad_id) for row in rows]
        if not filled:
            empty = torch.zeros((0, row_length), dtype=torch.long)
            return TokenBatch(empty, empty.clone(), empty.clone(), torch.zeros((0, row_length, row_length)).bool())
        return TokenBatch(*(torch.stack(part) for part in zip(*filled)))

    def _row(self, examples, length, pad_id):
        ids, labels, positions, blocks = [], [], [], []
        for prompt, answer in examples:
            tokens = (prompt + answer)[:length]
            ids += tokens
            labels += [IGNORE_INDEX if k < max(len(prompt), 1) else token for k, token in enumerate(tokens)]
            positions += range(len(tokens))
            blocks.append(torch.ones(len(tokens), len(tokens)).tril().triu(-127))
        rest = length - len(ids)
        mask = torch.block_diag(*blocks, torch.eye(rest)) if rest else torch.block_diag(*blocks)
        ids, labels, positions = ids + [pad_id] * rest, labels + [IGNORE_INDEX] * rest, positions + [0] * rest
        return torch.tensor(ids), torch.tensor(labels), torch.tensor(positions), mask.bool()
