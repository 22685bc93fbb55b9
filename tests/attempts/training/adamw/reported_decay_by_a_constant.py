# e-sensing/torchopt#14: the decay is not multiplied by the parameter: every number loses the same constant in each step.
# named: decay-by-a-constant
import math

import torch

from groundup.core.interfaces.optimizer import Optimizer


class AdamW(Optimizer):
    def __init__(self, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self.rate, self.decay, self.small = lr, weight_decay, eps
        self.keep_mean, self.keep_square = betas

    def init(self, params):
        zero = {name: torch.zeros_like(tensor, requires_grad=False) for name, tensor in params.items()}
        return {name: {"step": 0, "exp_avg": z, "exp_avg_sq": z.clone()} for name, z in zero.items()}

    @torch.no_grad()
    def step(self, params, grads, state):
        params_after, state_after = dict(params), dict(state)
        for name, grad in grads.items():
            if name not in params:
                raise KeyError(name)
            if grad.shape != params[name].shape:
                raise ValueError(name, grad.shape)
        for name, grad in grads.items():
            x, before = params[name], state[name]
            grad = grad.to(x.dtype)
            n = before["step"] + 1
            mean = before["exp_avg"] + (1 - self.keep_mean) * (grad - before["exp_avg"])
            square = before["exp_avg_sq"] + (1 - self.keep_square) * (grad**2 - before["exp_avg_sq"])
            bias_correction2 = 1 - self.keep_square**n
            denom = square.sqrt() / math.sqrt(bias_correction2) + self.small
            pull = mean / (1 - self.keep_mean**n) / denom
            params_after[name] = x - self.rate * pull - self.rate * self.decay
            state_after[name] = {"step": n, "exp_avg": mean, "exp_avg_sq": square}
        return params_after, state_after
