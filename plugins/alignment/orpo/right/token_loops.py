"""One answer after the other, one token after the other."""

import torch
from torch.nn.functional import logsigmoid

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class ORPO(RLAlgorithm):
    def __init__(self, *, lam=0.1):
        self.lam = lam

    def mean_log_prob(self, log_prob, mask):
        kind = torch.float64 if log_prob.dtype == torch.float64 else torch.float32
        found = []
        for numbers, real in zip(log_prob, mask):
            kept = [number.to(kind) for number, is_real in zip(numbers, real.tolist()) if is_real]
            found.append(sum(kept) / len(kept) if kept else 0 * numbers.to(kind).sum())
        return torch.stack(found)

    def log_odds(self, mean_log_prob):
        found = []
        for x in mean_log_prob:
            if x > -1e-12:
                x = torch.full_like(x, -1e-12) + 0 * x
            found.append(x - (-x.expm1()).log())
        return torch.stack(found)

    def loss(self, batch):
        chosen = self.mean_log_prob(batch.chosen_log_prob, batch.chosen_mask)
        rejected = self.mean_log_prob(batch.rejected_log_prob, batch.rejected_mask)
        pairs = list(zip(self.log_odds(chosen), self.log_odds(rejected)))
        sft = sum(-one for one in chosen) / len(pairs)
        preference = sum(-logsigmoid(good - bad) for good, bad in pairs) / len(pairs)
        metrics = {
            "sft_loss": sft,
            "odds_ratio_loss": preference,
            "chosen_reward": sum(good for good, _ in pairs) / len(pairs),
            "rejected_reward": sum(bad for _, bad in pairs) / len(pairs),
            "margin": sum(good - bad for good, bad in pairs) / len(pairs),
            "accuracy": torch.tensor(sum(bool(good > bad) for good, bad in pairs) / len(pairs), dtype=chosen.dtype),
        }
        return Loss(sft + self.lam * preference, {name: metric.detach() for name, metric in metrics.items()})
