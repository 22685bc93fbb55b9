# mila-iqia/blocks#1144: the average of the gradients is updated with beta1 to the power t, where it should be beta1 itself.
# named: average-weighed-by-a-power-of-beta
import torch
from groundup.core.interfaces.optimizer import Optimizer


class AdamW(Optimizer):
    def __init__(self, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self.hyper = {"lr": lr, "b1": betas[0], "b2": betas[1], "eps": eps, "wd": weight_decay}

    def init(self, params):
        state = {}
        for name in params:
            blank = params[name].detach().new_zeros(params[name].shape)
            state[name] = {"step": 0, "exp_avg": blank, "exp_avg_sq": blank.clone()}
        return state

    @torch.no_grad()
    def step(self, params, grads, state):
        for name in grads:
            if name not in params:
                raise KeyError(f"no parameter {name}")
            if grads[name].size() != params[name].size():
                raise ValueError(f"gradient of {name}")
        results = {name: self.one(params[name], grads[name], state[name]) for name in params if name in grads}
        return (
            {name: results[name][0] if name in results else params[name] for name in params},
            {name: results[name][1] if name in results else state[name] for name in state},
        )

    def one(self, theta, g, old):
        h, g, t1 = self.hyper, g.to(theta.dtype), old["step"] + 1
        beta1_t = h["b1"] ** t1
        m = beta1_t * old["exp_avg"] + (1 - beta1_t) * g
        v = h["b2"] * old["exp_avg_sq"] + (1 - h["b2"]) * g * g
        unbiased = m / (1 - h["b1"] ** t1)
        spread = torch.sqrt(v / (1 - h["b2"] ** t1)) + h["eps"]
        theta = theta - h["lr"] * h["wd"] * theta - h["lr"] * unbiased / spread
        return theta, {"step": t1, "exp_avg": m, "exp_avg_sq": v}
