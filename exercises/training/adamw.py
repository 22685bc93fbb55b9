"""AdamW: an adaptive step size for every parameter element, with decoupled weight decay.

Source: Loshchilov and Hutter 2019, arXiv:1711.05101, Algorithm 2; Kingma and Ba 2015, arXiv:1412.6980, Algorithm 1.
Names: theta the parameter, g its gradient, m and v the moving averages of g and g^2, t the count of steps.
Everything is elementwise.
"""

from __future__ import annotations

import torch

from groundup.core.interfaces.optimizer import Optimizer, State, Tensors

__all__ = ["AdamW"]


class AdamW(Optimizer):
    """theta_t = theta_{t-1} - lr * (m_hat / (sqrt(v_hat) + eps) + weight_decay * theta_{t-1}).

    m_hat = m_t / (1 - beta1^t) and v_hat = v_t / (1 - beta2^t). The object holds only these constants: everything that
    a step has to remember is in the state, so that another object can continue from a checkpoint.
    """

    def __init__(
        self,
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        """Store the constants. The defaults are those of ``torch.optim.AdamW``.

        ``lr`` also scales the decay, as in torch: a step subtracts ``lr * weight_decay`` times the parameter from every
        parameter, matrix or bias. ``betas`` are beta1 of m and beta2 of v, each in [0, 1). ``eps`` is added to the
        square root of the bias-corrected v, not under the root. ``weight_decay`` is 0 or more.
        """
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay

    def init(self, params: Tensors) -> State:
        """Return for each parameter name a dict with ``step``, ``exp_avg`` and ``exp_avg_sq``.

        ``step`` is the int t, ``exp_avg`` is m, ``exp_avg_sq`` is v; these two have the parameter's shape and dtype.
        """
        # HOLE 1/5: the state before the first step; set ``state``. The step count is 0, and both averages are zeros.
        raise NotImplementedError("hole 1/5: the state before the first step")
        return state

    @torch.no_grad()
    def step(self, params: Tensors, grads: Tensors, state: State) -> tuple[Tensors, State]:
        """Return new parameters and new state under the same names. The arguments are not modified.

        A parameter without an entry in ``grads`` stays as it is, and so does its state: no decay, and no step counted.
        A gradient of zeros counts as a gradient. A gradient of another dtype is first converted to its parameter's
        dtype, in which all arithmetic is done and all results are returned. The new tensors do not require grad.

        Raises KeyError for a gradient whose name no parameter has, and ValueError for a gradient whose shape differs
        from its parameter's: it is not broadcast.
        """
        _check(params, grads)
        new_params, new_state = dict(params), dict(state)
        beta1, beta2 = self.betas
        for name, param in params.items():
            # HOLE 2/5: who is left alone; ``continue`` if the parameter has no gradient in this step.
            raise NotImplementedError("hole 2/5: who is left alone")
            # HOLE 3/5: step count and moving averages; set ``step``, ``exp_avg`` and ``exp_avg_sq`` from those in
            # ``state[name]``. They depend only on gradients, not on the decay. Make new tensors.
            raise NotImplementedError("hole 3/5: step count and moving averages")
            # HOLE 4/5: where to, and how far; set ``update`` to m_hat / (sqrt(v_hat) + eps). Both averages start at 0
            # and are too small at first: after t steps their weights sum to 1 - beta^t, each with its own beta.
            raise NotImplementedError("hole 4/5: where to, and how far")
            # HOLE 5/5: the new parameter; set ``new_param``. The decay is proportional to the parameter before this
            # step and does not depend on its gradient.
            raise NotImplementedError("hole 5/5: the new parameter")
            new_params[name] = new_param
            new_state[name] = {"step": step, "exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq}
        return new_params, new_state


def _check(params: Tensors, grads: Tensors) -> None:
    for name, grad in grads.items():
        if name not in params:
            raise KeyError(f"a gradient for {name!r}, but the parameters are {', '.join(map(repr, params)) or 'none'}")
        if grad.shape != params[name].shape:
            raise ValueError(f"{name!r} is {tuple(params[name].shape)}, its gradient {tuple(grad.shape)}")
