import torch

from groundup.core.interfaces.optimizer import Optimizer


class AdamW(Optimizer):
    def __init__(self, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay

    def init(self, params):
        return {n: {"step": 0, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)} for n, p in params.items()}

    def step(self, params, grads, state):
        extra = set(grads) - set(params)
        if extra:
            raise KeyError(extra)
        own = {n: p.detach().clone().requires_grad_() for n, p in params.items()}
        opt = torch.optim.AdamW(own.values(), lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay, foreach=False)
        for n, p in own.items():
            opt.state[p] = {"step": torch.tensor(float(state[n]["step"])), "exp_avg": state[n]["exp_avg"].clone(), "exp_avg_sq": state[n]["exp_avg_sq"].clone()}
            if n in grads:
                if grads[n].shape != p.shape:
                    raise ValueError(n)
                p.grad = grads[n].detach().to(p.dtype)
        opt.step()
        new = {n: p.detach() for n, p in own.items()}
        return new, {n: {"step": int(opt.state[p]["step"]), "exp_avg": opt.state[p]["exp_avg"], "exp_avg_sq": opt.state[p]["exp_avg_sq"]} for n, p in own.items()}
