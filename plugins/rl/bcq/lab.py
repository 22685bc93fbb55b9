"""BCQ on two fixed data sets of CartPole: 10,000 steps of a controller that balances, and of one that falls.

The tested ``bcq`` trains a value network and a model of the controller together. Nothing is played while they learn.
Then the policy plays: the best action by Q of those that the model allows. This filter of the played actions belongs to
the lab, in all three runs; what is tested is the filter in the target.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from groundup.core.cart_pole import LONGEST, Transitions, collect, competent, judge, poor, q_network, start
from groundup.core.interfaces.rl import TransitionBatch
from groundup.core.lab import Bench, Outcome

POLES, STEPS = 20, 500  # 10,000 transitions
UPDATES, QUICK_UPDATES, BATCH = 3_000, 300, 256
GAMMA, THRESHOLD = 0.99, 0.3
LEARNING_RATE, TAU = 1e-3, 0.05  # TAU: the step of the target network towards the trained one
JUDGED = 64  # episodes of the trained policy
MOST = 1 / (1 - GAMMA)  # no value of this task is above 100
ENOUGH = 400.0
POINTS = 20  # of a curve
WATCHED = 100  # updates at the end, over which the share of allowed actions is averaged


def run(bench: Bench) -> Outcome:
    """Train on both data sets, and judge both policies."""
    torch.manual_seed(bench.seed)
    figures, estimates, lasted, kept = [], {}, {}, {}
    for number, (name, policy) in enumerate({"competent": competent, "poor": poor}.items()):
        data = collect(policy, POLES, STEPS)
        network, model, kept[name] = train(bench, name, data, number / 2)
        begun = start(JUDGED)
        estimates[name] = float(best(network, model, begun)[0].mean())
        true, lasted[name] = judge(lambda state: best(network, model, state)[1], begun, GAMMA)  # noqa: B023
        figures += [bench.figure(f"estimate_{name}", estimates[name]), bench.figure(f"true_{name}", true)]
    figures += [bench.figure(f"return_{name}", steps, episodes=JUDGED) for name, steps in lasted.items()]
    figures.append(bench.figure("kept", kept["competent"], updates=WATCHED))
    bounded = all(estimate <= MOST for estimate in estimates.values())
    return Outcome(
        figures=tuple(figures),
        mark=bench.mark(bounded and lasted["competent"] >= ENOUGH, most=MOST, enough=ENOUGH, longest=LONGEST),
    )


def train(bench: Bench, name: str, data: Transitions, share: float) -> tuple[nn.Module, nn.Module, float]:
    """Train on a data set; return the value network, the model of the controller, and how much was allowed lately."""
    rule: Any = bench.impl("rl/bcq")(gamma=GAMMA, threshold=THRESHOLD)
    network, model = q_network(), q_network()  # the model has the same form, and two logits
    target = copy.deepcopy(network)
    optimizer = torch.optim.Adam([*network.parameters(), *model.parameters()], lr=LEARNING_RATE, fused=True)
    begun = start(JUDGED)
    updates = QUICK_UPDATES if bench.quick else UPDATES
    reward, kept = torch.ones(BATCH), []
    for update in range(1, updates + 1):
        rows = torch.randint(len(data.action), (BATCH,))
        state, next_state = data.state[rows], data.next_state[rows]
        with torch.no_grad():
            online, next_q_value = network(next_state), target(next_state)
            log_prob = model(next_state).log_softmax(-1)
        batch = TransitionBatch(
            q_value=network(state), action=data.action[rows], reward=reward, next_q_value=next_q_value,
            done=data.done[rows], behaviour_log_prob=log_prob, next_online_q_value=online,
            current_behaviour_log_prob=model(state).log_softmax(-1),
        )  # fmt: skip
        optimizer.zero_grad()
        got = rule.loss(batch)
        got.loss.backward()
        optimizer.step()
        kept.append(float(got.metrics["kept"]))
        with torch.no_grad():
            for slow, fast in zip(target.parameters(), network.parameters(), strict=True):
                slow.lerp_(fast, TAU)
        if update % (updates // POINTS) == 0:
            bench.point(name, update, max(float(best(network, model, begun)[0].mean()), 1.0))
            bench.progress(share + update / updates / 2)
    return network, model, sum(kept[-WATCHED:]) / WATCHED


@torch.no_grad()
def best(network: nn.Module, model: nn.Module, state: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest Q of the actions that the model allows, and the action."""
    logits = model(state)
    likely = (logits - logits.amax(1, keepdim=True)).exp() >= THRESHOLD
    largest = network(state).masked_fill(~likely, -torch.inf).max(1)
    return largest.values, largest.indices
