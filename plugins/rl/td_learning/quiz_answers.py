"""A second way to each computed answer of the quiz: weighted means, fractions, corrections made one by one."""

from __future__ import annotations

from fractions import Fraction


def one_correction(value: float, reward: float, next: float, alpha: float) -> float:
    """Mix the old entry and the target by their weights."""
    weights = (1 - _exact(alpha), _exact(alpha))
    entries = (_exact(value), _exact(reward) + _exact(next) / 2)
    return float(sum(w * x for w, x in zip(weights, entries, strict=True)))


def a_correction_at_the_end(reward: float, value: float, alpha: float) -> float:
    """Read the rewards of this episode up to its end; the 6 stands behind it."""
    earned = Fraction(0)
    for amount, ended in ((reward, True), (0.9 * 6, False)):
        earned += _exact(amount)
        if ended:
            break
    return float((1 - _exact(alpha)) * _exact(value) + _exact(alpha) * earned)


def two_targets_apart(best: float, taken: float, gamma: float) -> float:
    """Take both targets of a step that earns 7, and subtract."""
    targets = [7 + _exact(gamma) * _exact(follows) for follows in (best, taken)]
    return float(targets[0] - targets[1])


def expected_target(reward: float, chance: float, first: float, second: float) -> float:
    """Average the targets that SARSA would have, over a hundred draws."""
    often = round(100 * chance)
    targets = [reward + follows / 2 for follows in [first] * often + [second] * (100 - often)]
    return sum(targets) / len(targets)


def a_slip_on_the_way(epsilon: float, moves: int) -> float:
    """Add the chances to fall at the first move, at the second, and so on."""
    falls = _exact(epsilon) / 4
    still, fallen = Fraction(1), Fraction(0)
    for _ in range(int(moves)):
        fallen += still * falls
        still *= 1 - falls
    return float(100 * fallen)


def weight_of_an_old_target(alpha: float, k: float) -> float:
    """Correct once towards 1, and k times towards 0."""
    entry = alpha
    for _ in range(int(k)):
        entry += alpha * (0 - entry)
    return entry


def towards_a_steady_target(y: float, alpha: float, n: float) -> float:
    """Correct n times."""
    entry = 0.0
    for _ in range(int(n)):
        entry += alpha * (y - entry)
    return entry


def when_are_they_the_same() -> list[str]:
    """Compare the targets of both in a table of two states, for each situation."""
    there = (2.0, -5.0)  # Q of the next state; whichever action was taken before does not occur
    situations = {  # the next action, and what the next value is multiplied by
        "greedy": (0, 0.5),
        "ended": (1, 0.0),
        "best-now": (1, 0.5),
        "zero": (1, 0.0),
        "small": (1, 0.5),
    }
    return [name for name, (taken, factor) in situations.items() if factor * there[taken] == factor * max(there)]


def _exact(number: float) -> Fraction:
    return Fraction(str(number))
