import torch


def gae(reward, value, done, *, gamma, lam):
    target = torch.where(done, reward, reward + gamma * value[:, 1:])
    errors = target - value[:, :-1]

    def backwards(columns):
        if not columns:
            return []
        rest = backwards(columns[1:])
        return [columns[0] + gamma * lam * rest[0] if rest else columns[0], *rest]

    columns = backwards(list(errors.unbind(1)))
    return torch.stack(columns, 1) if columns else reward.clone()
