# flashlight/flashlight#143: the step counter is raised inside the loop over parameters, so each of them sees another count.
# named: counted-with-each-parameter
import torch

from groundup.core.interfaces.optimizer import Optimizer


class AdamW(Optimizer):
    def __init__(self, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self.lr, self.beta1, self.beta2 = lr, *betas
        self.eps, self.wd = eps, weight_decay

    def init(self, params):
        return {k: dict(step=0, exp_avg=torch.zeros_like(w), exp_avg_sq=torch.zeros_like(w)) for k, w in params.items()}

    def step(self, params, grads, state):
        unknown = sorted(set(grads) - set(params))
        if unknown:
            raise KeyError(unknown[0])
        for k in grads:
            if params[k].shape != grads[k].shape:
                raise ValueError(f"{k}: {params[k].shape} and {grads[k].shape}")
        count = max([entry["step"] for entry in state.values()], default=0)
        params, state = {**params}, {**state}
        with torch.no_grad():
            for k in list(params):
                if k not in grads:
                    continue
                count += 1
                w, slot = params[k], state[k]
                g = grads[k].to(w.dtype)
                first = self.beta1 * slot["exp_avg"] + (1 - self.beta1) * g
                second = self.beta2 * slot["exp_avg_sq"] + (1 - self.beta2) * g.square()
                m_hat, v_hat = first / (1 - self.beta1**count), second / (1 - self.beta2**count)
                params[k] = w - self.lr * (m_hat / (v_hat.sqrt() + self.eps) + self.wd * w)
                state[k] = dict(step=count, exp_avg=first, exp_avg_sq=second)
        return params, state
