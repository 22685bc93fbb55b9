import torch

from groundup.core.interfaces.optimizer import Optimizer


class AdamW(Optimizer):
    def __init__(self, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay

    def init(self, params):
        return {n: {"step": 0, "exp_avg": torch.zeros(p.shape, dtype=p.dtype), "exp_avg_sq": torch.zeros(p.shape, dtype=p.dtype)} for n, p in params.items()}

    @torch.no_grad()
    def step(self, params, grads, state):
        for n in grads:
            if n not in params:
                raise KeyError(n)
            if grads[n].size() != params[n].size():
                raise ValueError(n)
        names = [n for n in params if n in grads]
        (b1, b2), out, outs = self.betas, {**params}, {**state}
        if names:
            ps = [params[n].clone() for n in names]
            gs = [grads[n].to(params[n].dtype) for n in names]
            ms = torch._foreach_mul([state[n]["exp_avg"] for n in names], b1)
            torch._foreach_add_(ms, gs, alpha=1 - b1)
            vs = torch._foreach_mul([state[n]["exp_avg_sq"] for n in names], b2)
            torch._foreach_addcmul_(vs, gs, gs, 1 - b2)
            ts = [state[n]["step"] + 1 for n in names]
            torch._foreach_mul_(ps, 1 - self.lr * self.weight_decay)
            den = torch._foreach_sqrt(vs)
            torch._foreach_div_(den, [(1 - b2**t) ** 0.5 for t in ts])
            torch._foreach_add_(den, self.eps)
            torch._foreach_addcdiv_(ps, ms, den, [-self.lr / (1 - b1**t) for t in ts])
            for n, p, m, v, t in zip(names, ps, ms, vs, ts):
                out[n], outs[n] = p, {"step": t, "exp_avg": m, "exp_avg_sq": v}
        return out, outs
