import math

import torch

from groundup.core.interfaces.optimizer import Optimizer


class AdamW(Optimizer):
    def __init__(self, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay

    def init(self, params):
        blank = lambda p: p.detach().clone().zero_()
        return {name: dict(exp_avg_sq=blank(p), exp_avg=blank(p), step=0) for name, p in params.items()}

    def step(self, params, grads, state):
        for name in grads:
            if list(grads[name].shape) != list(params[name].shape):
                raise ValueError(name)
        b1, b2 = self.betas
        new, kept = {}, {}
        for name in sorted(params):
            p, s = params[name], state[name]
            if name not in grads:
                new[name], kept[name] = p, s
                continue
            t = s["step"] + 1
            rows = zip(*(x.detach().to(p.dtype).reshape(-1).tolist() for x in (p, grads[name], s["exp_avg"], s["exp_avg_sq"])))
            after = []
            for w, g, m, v in rows:
                m += (1 - b1) * (g - m)
                v += (1 - b2) * (g * g - v)
                way = (m / (1 - b1**t)) / (math.sqrt(v / (1 - b2**t)) + self.eps)
                after.append((w - self.lr * self.weight_decay * w - self.lr * way, m, v))
            table = torch.tensor(after, dtype=torch.float64).reshape(-1, 3).to(p.dtype)
            w, m, v = (column.clone().reshape(p.shape) for column in table.T)
            new[name], kept[name] = w, {"step": t, "exp_avg": m, "exp_avg_sq": v}
        return new, kept
