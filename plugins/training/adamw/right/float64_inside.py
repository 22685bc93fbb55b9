import torch

from groundup.core.interfaces.optimizer import Optimizer


class AdamW(Optimizer):
    def __init__(self, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay

    def init(self, params):
        return {n: {"step": 0, **{a: torch.full_like(p, 0.0) for a in ("exp_avg", "exp_avg_sq")}} for n, p in params.items()}

    def step(self, params, grads, state):
        with torch.no_grad():
            self.fits(params, grads)
            pairs = {n: self.one(p, grads[n], state[n]) if n in grads else (p, state[n]) for n, p in params.items()}
        return {n: pair[0] for n, pair in pairs.items()}, {n: pair[1] for n, pair in pairs.items()}

    def fits(self, params, grads):
        wrong = [n for n in grads if grads[n].shape != params[n].shape]
        if wrong:
            raise ValueError(wrong)

    def one(self, weight, slope, past):
        kind, count = weight.dtype, past["step"] + 1
        w, g = weight.double(), slope.to(kind).double()
        m, v = past["exp_avg"].double(), past["exp_avg_sq"].double()
        m = m.lerp(g, 1 - self.betas[0])
        v = v.lerp(g.square(), 1 - self.betas[1])
        left = [1 - beta**count for beta in self.betas]
        spread = torch.sqrt(v / left[1]) + self.eps
        w = w * (1 - self.lr * self.weight_decay) - self.lr * (m / left[0] / spread)
        return w.to(kind), {"step": count, "exp_avg": m.to(kind), "exp_avg_sq": v.to(kind)}
