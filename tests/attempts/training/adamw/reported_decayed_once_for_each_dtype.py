# huggingface/pytorch-image-models#2750: parameters are worked through by dtype, and all of them are decayed once for each dtype there is.
# named: decayed-once-for-each-dtype
from collections import defaultdict

import torch

from groundup.core.interfaces.optimizer import Optimizer


class AdamW(Optimizer):
    def __init__(self, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay

    def init(self, params):
        return {n: {"step": 0, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)} for n, p in params.items()}

    @torch.no_grad()
    def step(self, params, grads, state):
        for name, grad in grads.items():
            if params[name].shape != grad.shape:
                raise ValueError(name)
        names, (beta1, beta2) = list(grads), self.betas
        work = [params[n].clone() for n in names]
        by_dtype = defaultdict(list)
        for i, w in enumerate(work):
            by_dtype[w.dtype].append(i)
        after = dict(state)
        for places in by_dtype.values():
            torch._foreach_mul_(work, 1.0 - self.lr * self.weight_decay)
            some = [work[i] for i in places]
            gs = [grads[names[i]].to(work[i].dtype) for i in places]
            ms = torch._foreach_mul([state[names[i]]["exp_avg"] for i in places], beta1)
            torch._foreach_add_(ms, gs, alpha=1 - beta1)
            vs = torch._foreach_mul([state[names[i]]["exp_avg_sq"] for i in places], beta2)
            torch._foreach_addcmul_(vs, gs, gs, 1 - beta2)
            steps = [state[names[i]]["step"] + 1 for i in places]
            roots = torch._foreach_sqrt(torch._foreach_div(vs, [1 - beta2**s for s in steps]))
            torch._foreach_add_(roots, self.eps)
            torch._foreach_addcdiv_(some, ms, roots, [-self.lr / (1 - beta1**s) for s in steps])
            for i, m, v, s in zip(places, ms, vs, steps):
                after[names[i]] = {"step": s, "exp_avg": m, "exp_avg_sq": v}
        return {**params, **dict(zip(names, work))}, after
