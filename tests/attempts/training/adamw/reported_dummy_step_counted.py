# pytorch/torchtitan#4382: the state is made by a step with zero gradients and a rate of zero, which leaves the step count at 1.
# named: counts-from-one
import torch

from groundup.core.interfaces.optimizer import Optimizer


class AdamW(Optimizer):
    def __init__(self, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay

    def init(self, params):
        blank = {n: {"step": 0, "exp_avg": p * 0, "exp_avg_sq": p * 0} for n, p in params.items()}
        rate, self.lr = self.lr, 0.0
        _, state = self.step(params, {n: torch.zeros_like(p) for n, p in params.items()}, blank)
        self.lr = rate
        return state

    @torch.no_grad()
    def step(self, params, grads, state):
        assert_fits(params, grads)
        (b1, b2), p_out, s_out = self.betas, params.copy(), state.copy()
        for n, g in grads.items():
            g = g.to(params[n].dtype)
            t = 1 + state[n]["step"]
            m = torch.lerp(state[n]["exp_avg"], g, 1 - b1)
            v = state[n]["exp_avg_sq"] * b2 + g * g * (1 - b2)
            scale = (v / (1 - b2**t)).sqrt() + self.eps
            p_out[n] = params[n] * (1 - self.lr * self.weight_decay) - self.lr * (m / (1 - b1**t)) / scale
            s_out[n] = {"step": t, "exp_avg": m, "exp_avg_sq": v}
        return p_out, s_out


def assert_fits(params, grads):
    for n, g in grads.items():
        if n not in params:
            raise KeyError(n)
        if g.shape != params[n].shape:
            raise ValueError(n)
