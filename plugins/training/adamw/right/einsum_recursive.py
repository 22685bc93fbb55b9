import torch

from groundup.core.interfaces.optimizer import Optimizer


class AdamW(Optimizer):
    def __init__(self, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay

    def init(self, params):
        return {n: {"step": 0, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)} for n, p in params.items()}

    def step(self, params, grads, state):
        if not set(grads) <= set(params):
            raise KeyError("unknown")
        if any(grads[n].shape != params[n].shape for n in grads):
            raise ValueError("shape")
        return self.rest(sorted(params), params, grads, state)

    def rest(self, names, params, grads, state):
        if not names:
            return {}, {}
        n, (others, states) = names[0], self.rest(names[1:], params, grads, state)
        p, s = params[n].detach(), state[n]
        if n in grads:
            g = grads[n].detach().to(p.dtype)
            t = s["step"] + 1
            b = torch.tensor(self.betas, dtype=torch.float64)
            old, fresh = torch.stack([s["exp_avg"], s["exp_avg_sq"]]), torch.stack([g, g * g])
            both = torch.einsum("k,k...->k...", b.to(p.dtype), old) + torch.einsum("k,k...->k...", (1 - b).to(p.dtype), fresh)
            hat = torch.einsum("k,k...->k...", (1 / (1 - b**t)).to(p.dtype), both)
            p = torch.lerp(p, torch.zeros_like(p), self.lr * self.weight_decay) - self.lr * hat[0] / (hat[1].sqrt() + self.eps)
            s = {"step": t, "exp_avg": both[0], "exp_avg_sq": both[1]}
        return {n: p, **others}, {n: s, **states}
