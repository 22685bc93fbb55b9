"""The recursion read as a linear system, solved for all steps together."""

import torch


def gae(reward, value, done, *, gamma, lam):
    if reward.numel() == 0:
        return torch.empty_like(reward)
    live = 1 - done.type_as(reward)
    error = reward + live * (gamma * value[:, 1:]) - value[:, :-1]
    system = torch.diag_embed(torch.ones_like(reward)) - torch.diag_embed(gamma * lam * live[:, :-1], offset=1)
    return torch.linalg.solve_triangular(system, error.unsqueeze(-1), upper=True, unitriangular=True).squeeze(-1)
