# kozistr/pytorch_optimizer#397: eps is added to the squares before their root is taken, and to the root once more.
# named: eps-under-the-root-too
import torch
from groundup.core.interfaces.optimizer import Optimizer


class AdamW(Optimizer):
    def __init__(self, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay

    def init(self, params):
        return {
            name: {"step": 0, "exp_avg": torch.zeros(p.shape, dtype=p.dtype), "exp_avg_sq": torch.zeros(p.shape, dtype=p.dtype)}
            for name, p in params.items()
        }

    def step(self, params, grads, state):
        strangers = [name for name in grads if name not in params]
        if strangers:
            raise KeyError(", ".join(strangers))
        wrong = [name for name in grads if grads[name].shape != params[name].shape]
        if wrong:
            raise ValueError(", ".join(wrong))
        p_new, s_new = {}, {}
        for name, p in params.items():
            if name not in grads:
                p_new[name], s_new[name] = p, state[name]
                continue
            p = p.detach()
            g = grads[name].detach().to(p.dtype)
            s = state[name]
            step = s["step"] + 1
            exp_avg = s["exp_avg"].detach().mul(self.betas[0]).add(g, alpha=1 - self.betas[0])
            exp_avg_sq = s["exp_avg_sq"].detach().mul(self.betas[1]).addcmul(g, g, value=1 - self.betas[1])
            bias1, bias2 = (1 - beta**step for beta in self.betas)
            de_nom = (exp_avg_sq / bias2).add(self.eps).sqrt().add(self.eps)
            p_new[name] = p.mul(1 - self.lr * self.weight_decay).addcdiv(exp_avg / bias1, de_nom, value=-self.lr)
            s_new[name] = {"step": step, "exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq}
        return p_new, s_new
