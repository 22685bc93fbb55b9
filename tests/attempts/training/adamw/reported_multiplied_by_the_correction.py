# karpathy/convnetjs#107: both averages are multiplied by 1 - beta^t to correct them, where they should be divided.
# named: multiplied-by-the-correction
import torch

from groundup.core.interfaces.optimizer import Optimizer


class AdamW(Optimizer):
    def __init__(self, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self.learning_rate, self.beta1, self.beta2, self.eps, self.l2 = lr, *betas, eps, weight_decay

    def init(self, params):
        state = {}
        for name, p in params.items():
            state[name] = {"step": 0, "exp_avg": p.new_zeros(p.shape), "exp_avg_sq": p.new_zeros(p.shape)}
        return state

    @torch.no_grad()
    def step(self, params, grads, state):
        for name in grads:
            if name not in params:
                raise KeyError(name)
            if tuple(grads[name].shape) != tuple(params[name].shape):
                raise ValueError(name)
        new_params, new_state = {}, {}
        for name, p in params.items():
            if name not in grads:
                new_params[name], new_state[name] = p, state[name]
                continue
            g, old = grads[name].to(p.dtype), state[name]
            k = old["step"] + 1
            gsum = old["exp_avg"] * self.beta1 + (1 - self.beta1) * g
            xsum = old["exp_avg_sq"] * self.beta2 + (1 - self.beta2) * g * g
            first, second = gsum * (1 - self.beta1**k), xsum * (1 - self.beta2**k)
            dx = -self.learning_rate * first / (torch.sqrt(second) + self.eps)
            new_params[name] = p + dx - self.learning_rate * self.l2 * p
            new_state[name] = {"step": k, "exp_avg": gsum, "exp_avg_sq": xsum}
        return new_params, new_state
