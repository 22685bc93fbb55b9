# deepspeedai/DeepSpeed#8496: the step counter is kept in bfloat16 and stops at 256, and with it the bias correction.
# named: steps-counted-in-bfloat16
import torch

from groundup.core.interfaces.optimizer import Optimizer


class AdamW(Optimizer):
    def __init__(self, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self.lr, (self.b1, self.b2), self.eps, self.wd = lr, betas, eps, weight_decay

    def init(self, params):
        fresh = {}
        for name in params:
            fresh[name] = {"step": 0}
            for key in ("exp_avg", "exp_avg_sq"):
                fresh[name][key] = torch.zeros_like(params[name])
        return fresh

    def step(self, params, grads, state):
        if unknown := set(grads) - set(params):
            raise KeyError(*unknown)
        with torch.no_grad():
            moved = {name: self._one(params[name], grads[name], state[name]) for name in grads}
        return (
            {name: moved[name][0] if name in moved else param for name, param in params.items()},
            {name: moved[name][1] if name in moved else old for name, old in state.items()},
        )

    def _one(self, param, grad, old):
        if param.shape != grad.shape:
            raise ValueError("shape")
        counter = torch.tensor(float(old["step"]), dtype=torch.bfloat16) + 1
        t, grad = int(counter), grad.to(param.dtype)
        m = old["exp_avg"] + (1 - self.b1) * (grad - old["exp_avg"])
        v = old["exp_avg_sq"] + (1 - self.b2) * (grad.square() - old["exp_avg_sq"])
        direction = m / (1 - self.b1**t) / ((v / (1 - self.b2**t)).sqrt() + self.eps)
        new = (1 - self.lr * self.wd) * param - self.lr * direction
        return new, {"step": t, "exp_avg": m, "exp_avg_sq": v}
