import torch

from groundup.core.interfaces.optimizer import Optimizer


class AdamW(Optimizer):
    def __init__(self, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self.lr, (self.beta1, self.beta2), self.eps, self.weight_decay = lr, betas, eps, weight_decay

    def init(self, params):
        return {n: {"step": 0, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)} for n, p in params.items()}

    def step(self, params, grads, state):
        for n, g in grads.items():
            if n not in params:
                raise KeyError(n)
            if g.shape != params[n].shape:
                raise ValueError(n)
        after = dict(state)
        for n, g in grads.items():
            p, s = params[n], state[n]
            with torch.no_grad():
                g = g.to(p.dtype)
                t = s["step"] + 1
                m = torch.lerp(s["exp_avg"], g, 1 - self.beta1)
                v = torch.lerp(s["exp_avg_sq"], g * g, 1 - self.beta2)
                p *= 1 - self.lr * self.weight_decay
                p -= self.lr * (m / (1 - self.beta1**t)) / ((v / (1 - self.beta2**t)).sqrt() + self.eps)
            after[n] = {"step": t, "exp_avg": m, "exp_avg_sq": v}
        return dict(params), after
