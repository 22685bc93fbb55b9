"""One answer after the other, one token after the other."""

import torch
from torch.nn import functional

from groundup.core.interfaces.rl import Loss, RLAlgorithm


class BradleyTerry(RLAlgorithm):
    def __init__(self, *, center_coef=0.0):
        self.center_coef = center_coef

    def score(self, reward, mask):
        kind = torch.float64 if reward.dtype == torch.float64 else torch.float32
        if mask is None:
            return reward.to(kind)
        found = []
        for numbers, real in zip(reward.to(kind), mask.tolist()):
            places = [place for place, is_real in enumerate(real) if is_real]
            found.append(numbers[places[-1]] if places else 0 * numbers[0])
        return torch.stack(found)

    def loss(self, batch):
        chosen = self.score(batch.chosen_reward, batch.chosen_mask)
        rejected = self.score(batch.rejected_reward, batch.rejected_mask)
        ranking, centring, right = 0.0, 0.0, 0
        for row, (good, bad) in enumerate(zip(chosen, rejected)):
            asked = 0.0 if batch.margin is None else batch.margin[row]
            ranking = ranking - functional.logsigmoid(good - bad - asked)
            centring = centring + (good + bad) ** 2 if self.center_coef else 0.0
            right += int(good > bad)
        count = len(chosen)
        metrics = {
            "accuracy": torch.tensor(right / count, dtype=chosen.dtype),
            "margin": (chosen.detach() - rejected.detach()).mean(),
            "mean_reward": (chosen.detach() + rejected.detach()).mean() / 2,
        }
        return Loss((ranking + self.center_coef * centring) / count, metrics)
