# aiqm/torchani#261: weights are decayed after the update instead of before it, and eps is added before the squares are corrected.
# named: decay-after-the-update eps-hat
import math

import torch

from groundup.core.interfaces.optimizer import Optimizer


class AdamW(Optimizer):
    def __init__(self, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self.group = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}

    def init(self, params):
        return {k: dict(step=0, exp_avg=torch.zeros_like(v), exp_avg_sq=torch.zeros_like(v)) for k, v in params.items()}

    @torch.no_grad()
    def step(self, params, grads, state):
        group = self.group
        beta1, beta2 = group["betas"]
        for k, g in grads.items():
            if k not in params:
                raise KeyError(k)
            if g.shape != params[k].shape:
                raise ValueError(f"{k}: {g.shape}")
        params, state = dict(params), dict(state)
        for k in grads:
            p, s = params[k], dict(state[k])
            g = grads[k].type_as(p)
            s["step"] += 1
            s["exp_avg"] = s["exp_avg"].mul(beta1).add(g, alpha=1 - beta1)
            s["exp_avg_sq"] = s["exp_avg_sq"].mul(beta2).addcmul(g, g, value=1 - beta2)
            denom = s["exp_avg_sq"].sqrt().add(group["eps"])
            size = group["lr"] * math.sqrt(1 - beta2 ** s["step"]) / (1 - beta1 ** s["step"])
            p = p.addcdiv(s["exp_avg"], denom, value=-size)
            params[k] = p.add(p, alpha=-group["lr"] * group["weight_decay"])
            state[k] = s
        return params, state
