# kozistr/pytorch_optimizer#480: eps is added after rsqrt was taken, so that a square of 0 still gives infinity.
# named: eps-after-the-reciprocal-root
import torch

from groundup.core.interfaces.optimizer import Optimizer


class AdamW(Optimizer):
    def __init__(self, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay

    def init(self, params):
        def zeros(p):
            return torch.zeros_like(p)

        return {name: {"step": 0, "exp_avg": zeros(p), "exp_avg_sq": zeros(p)} for name, p in params.items()}

    @torch.no_grad()
    def step(self, params, grads, state):
        missing = [name for name in grads if name not in params]
        if missing:
            raise KeyError(missing[0])
        if any(params[name].shape != grad.shape for name, grad in grads.items()):
            raise ValueError("shapes")
        beta1, beta2 = self.betas
        result, after = {**params}, {**state}
        for name in filter(grads.__contains__, params):
            p, before = params[name], state[name]
            grad, count = grads[name].to(p), before["step"] + 1
            first = beta1 * before["exp_avg"] + (1 - beta1) * grad
            second = beta2 * before["exp_avg_sq"] + (1 - beta2) * grad.pow(2)
            inv_de_nom = second.div(1 - beta2**count).rsqrt() + self.eps
            decayed = p - self.lr * self.weight_decay * p
            result[name] = decayed - self.lr * first * inv_de_nom / (1 - beta1**count)
            after[name] = {"step": count, "exp_avg": first, "exp_avg_sq": second}
        return result, after
