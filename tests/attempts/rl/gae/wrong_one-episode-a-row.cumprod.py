import torch


def gae(reward, value, done, *, gamma, lam):
    alive = torch.cumprod((done == 0).to(reward.dtype), dim=-1)
    td = reward - value[..., :-1]
    td = td + alive * value[..., 1:] * gamma
    total = torch.zeros_like(td)
    weight = torch.ones_like(td)
    for shift in range(td.shape[1]):
        total[:, : td.shape[1] - shift] += (weight * td)[:, shift:] if shift == 0 else weight[:, : td.shape[1] - shift] * td[:, shift:]
        # each further step multiplies the weight by gamma * lam; after the episode's end the weight is 0
        weight = weight * gamma * lam * torch.nn.functional.pad(alive[:, shift:], (0, shift))
    return total
