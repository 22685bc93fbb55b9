"""Q-learning from two fixed data sets of CartPole: 10,000 steps of a controller that balances, and of one that falls.

The tested ``cql`` trains the same network on either. Nothing is played while it learns. Then the greedy policy plays,
and what Q promises for the states in which it begins is held against the discounted return that it earns there.
"""

from __future__ import annotations

import copy
from typing import Any

import torch

from groundup.core.cart_pole import LONGEST, Transitions, collect, competent, judge, poor, q_network, start
from groundup.core.interfaces.rl import TransitionBatch
from groundup.core.lab import Bench, Outcome

POLES, STEPS = 20, 500  # 10,000 transitions
UPDATES, QUICK_UPDATES, BATCH = 3_000, 300, 256
GAMMA, ALPHA = 0.99, 1.0
LEARNING_RATE, TAU = 1e-3, 0.05  # TAU: the step of the target network towards the trained one
JUDGED = 64  # episodes of the trained policy
MOST = 1 / (1 - GAMMA)  # no value of this task is above 100
ENOUGH = 400.0
POINTS = 20  # of a curve


def run(bench: Bench) -> Outcome:
    """Train on both data sets, and judge both policies."""
    torch.manual_seed(bench.seed)
    figures, estimates, lasted = [], {}, {}
    for number, (name, policy) in enumerate({"competent": competent, "poor": poor}.items()):
        data = collect(policy, POLES, STEPS)
        estimates[name], true, lasted[name] = train(bench, name, data, number / 2)
        figures += [bench.figure(f"estimate_{name}", estimates[name]), bench.figure(f"true_{name}", true)]
    figures.append(bench.figure("return_competent", lasted["competent"], episodes=JUDGED))
    figures.append(bench.figure("return_poor", lasted["poor"], episodes=JUDGED))
    bounded = all(estimate <= MOST for estimate in estimates.values())
    return Outcome(
        figures=tuple(figures),
        mark=bench.mark(bounded and lasted["competent"] >= ENOUGH, most=MOST, enough=ENOUGH, longest=LONGEST),
    )


def train(bench: Bench, name: str, data: Transitions, share: float) -> tuple[float, float, float]:
    """Train on a data set; return what Q promises at the start, what its policy earns there, and its return."""
    rule: Any = bench.impl("rl/cql")(gamma=GAMMA, alpha=ALPHA)
    network = q_network()
    target = copy.deepcopy(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, fused=True)
    begun = start(JUDGED)
    updates = QUICK_UPDATES if bench.quick else UPDATES
    reward = torch.ones(BATCH)
    for update in range(1, updates + 1):
        rows = torch.randint(len(data.action), (BATCH,))
        with torch.no_grad():
            next_q_value = target(data.next_state[rows])
        batch = TransitionBatch(network(data.state[rows]), data.action[rows], reward, next_q_value, data.done[rows])
        optimizer.zero_grad()
        rule.loss(batch).loss.backward()
        optimizer.step()
        with torch.no_grad():
            for slow, fast in zip(target.parameters(), network.parameters(), strict=True):
                slow.lerp_(fast, TAU)
            if update % (updates // POINTS) == 0:
                bench.point(name, update, max(float(network(begun).amax(1).mean()), 1.0))
                bench.progress(share + update / updates / 2)
    with torch.no_grad():
        promised = float(network(begun).amax(1).mean())
    worth, lasted = judge(lambda state: network(state).argmax(1), begun, GAMMA)
    return promised, worth, lasted
