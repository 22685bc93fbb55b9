"""Laws of the advantages of rules that compare several answers to the same prompt. See ``laws.groups``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.core.interfaces.rl import GroupBatch
from groundup.core.messages import Message
from groundup.core.testing.compare import assert_close, assert_equal, sum_tolerance
from groundup.core.testing.laws import Property, law
from groundup.core.testing.laws.groups_setting import Setting, answers_of, slow_advantages, standing
from groundup.core.testing.laws.rl_setting import Case, changed
from groundup.core.testing.strategies import tensors

__all__ = [
    "test_a_large_group_has_the_same_formula",
    "test_a_lone_answer_teaches_nothing",
    "test_advantages_are_those_of_the_group",
    "test_advantages_are_wide_constants",
    "test_advantages_of_a_group_sum_to_zero",
    "test_equal_rewards_teach_nothing",
    "test_group_numbers_are_names",
    "test_groups_do_not_touch_each_other",
    "test_shifting_a_groups_rewards_changes_nothing",
]

CROWDS = (9, 40, 130)  # answers to one prompt; the odd one of 130 lies 11 standard deviations from their mean
BESIDE = ((), (2,), (1, 3, 2), (4, 1, 2, 3))  # answers to the other prompts
UNITS = (0.001, 0.7, 700.0)  # of the rewards; in float64 no float32 is the same number


@law(
    "The advantages are those of the text, computed group by group.",
    zh="优势按说明逐组计算。",
)
def test_advantages_are_those_of_the_group(setting: Setting) -> Property:
    @given(case=setting.cases())
    def holds(impl: Any, case: Case[GroupBatch]) -> None:
        exact = slow_advantages(setting, case.rule, answers_of(case.batch))
        _check_advantages(setting, impl(**case.rule).advantages(case.batch), exact, case.batch)

    return holds


@law(
    "A large group has the formula of a small one: an odd answer among many may be many times as far from the mean as "
    "the others, rewards may be tiny or huge, and nothing is capped.",
    zh="大组与小组用同一个公式：许多回答中独特的一段，离平均可以是其他回答的许多倍；奖励可以极小或极大；优势不受任何限制。",
)
def test_a_large_group_has_the_same_formula(setting: Setting) -> Property:
    @given(
        rule=st.sampled_from(setting.rules),
        dtype=st.sampled_from((torch.float32, torch.float64)),
        sizes=st.builds(lambda many, beside: [many, *beside], st.sampled_from(CROWDS), st.sampled_from(BESIDE)),
        odd=st.sampled_from((-1.0, 1.0)),
        unit=st.sampled_from(UNITS),
    )
    def holds(impl: Any, rule: dict[str, Any], dtype: torch.dtype, sizes: list[int], odd: float, unit: float) -> None:
        rows = [
            (number, odd if place == 0 else float(number > 0 and place % 2))
            for number, size in enumerate(sizes)
            for place in range(size)
        ]
        rows = [rows[i] for i in sorted(range(len(rows)), key=lambda i: i * 0.618 % 1)]  # groups mixed
        reward = unit * torch.tensor([reward for _, reward in rows], dtype=dtype)
        batch = standing(setting, torch.full((len(rows), 1), -1.5, dtype=dtype), reward)
        batch = replace(batch, group=torch.tensor([number for number, _ in rows]))
        exact = torch.tensor(slow_advantages(setting, rule, answers_of(batch)), dtype=torch.float64)
        limit = sum_tolerance(dtype, len(rows), float(exact.abs().max()))
        got = impl(**rule).advantages(batch)
        assert_close(got, exact, dtype=dtype, tolerance=limit, what=Message("the advantages"))

    return holds


@law(
    "Advantages are constants, computed in float32 or wider: rewards in bfloat16 are cast first.",
    zh="优势是常数，用 float32 或更高精度计算：bfloat16 的奖励先转换。",
)
def test_advantages_are_wide_constants(setting: Setting) -> Property:
    @given(case=setting.cases())
    def holds(impl: Any, case: Case[GroupBatch]) -> None:
        narrow = changed(case.batch, lambda _, t: t.to(torch.bfloat16) if t.is_floating_point() else t)
        narrow = setting.trained(narrow, *(name for name in setting.constants if getattr(narrow, name) is not None))
        got = impl(**case.rule).advantages(narrow)
        assert_equal(got.requires_grad, False, what=Message("whether the advantages carry gradient"))
        exact = slow_advantages(setting, case.rule, answers_of(narrow))
        _check_advantages(setting, got, exact, narrow)

    return holds


@law("The advantages of a group sum to 0.", zh="同一组的优势之和为 0。")
def test_advantages_of_a_group_sum_to_zero(setting: Setting) -> Property:
    @given(case=setting.cases())
    def holds(impl: Any, case: Case[GroupBatch]) -> None:
        got = impl(**case.rule).advantages(case.batch)
        for group in set(case.batch.group.tolist()):
            total = got[case.batch.group == group].sum()
            _check_advantages(setting, total, 0.0, case.batch, what=Message("the sum of a group's advantages"))

    return holds


@law(
    "A group whose answers all have the same reward teaches nothing: its advantages are 0.",
    zh="一组回答的奖励全都相同，就什么也学不到：优势全是 0。",
)
def test_equal_rewards_teach_nothing(setting: Setting) -> Property:
    @given(case=setting.cases(**setting.without_kl))
    def holds(impl: Any, case: Case[GroupBatch]) -> None:
        index = _numbered(case.batch.group)
        same = case.batch.reward[index]  # the same for all answers of a group, but not for all groups
        got = impl(**case.rule).advantages(replace(case.batch, reward=same))
        _check_advantages(setting, got, [0.0] * len(index), case.batch)

    return holds


@law(
    "A number added to all rewards of one group changes nothing, whichever number each group gets.",
    zh="给一组的所有奖励加上同一个数，什么都不变，各组加的数可以不同。",
)
def test_shifting_a_groups_rewards_changes_nothing(setting: Setting) -> Property:
    @given(case=setting.cases(), shifts=tensors((8,)))
    def holds(impl: Any, case: Case[GroupBatch], shifts: Tensor) -> None:
        index = _numbered(case.batch.group)
        moved = replace(case.batch, reward=case.batch.reward + 4 * shifts[index].to(case.batch.reward.dtype))
        rule = impl(**case.rule)
        before = rule.advantages(case.batch).to(torch.float64).tolist()
        _check_advantages(setting, rule.advantages(moved), before, case.batch, size=12.0)

    return holds


@law(
    "An answer without others to the same prompt has nothing to be compared with: its advantage is 0, not NaN.",
    zh="一个提示词只有一段回答时，没有可以比较的对象：优势是 0，而不是 NaN。",
)
def test_a_lone_answer_teaches_nothing(setting: Setting) -> Property:
    @given(case=setting.cases(**setting.without_kl), number=st.integers(8, 11))
    def holds(impl: Any, case: Case[GroupBatch], number: int) -> None:
        group = case.batch.group.clone()
        group[0] = number
        batch = replace(case.batch, group=group)
        got = impl(**case.rule).advantages(batch)[:1]
        _check_advantages(setting, got, [0.0], batch)

    return holds


@law(
    "What happens in one group changes no advantage of another.",
    zh="一个组里发生什么，都不改变另一组的优势。",
)
def test_groups_do_not_touch_each_other(setting: Setting) -> Property:
    @given(case=setting.cases(), rewards=tensors((6,)))
    def holds(impl: Any, case: Case[GroupBatch], rewards: Tensor) -> None:
        group, reward = case.batch.group, case.batch.reward
        others = group != group[0]
        other = torch.where(others, 8 * rewards[: len(reward)].to(reward.dtype), reward)
        rule = impl(**case.rule)
        before = rule.advantages(case.batch)[~others].to(torch.float64).tolist()
        after = rule.advantages(replace(case.batch, reward=other))[~others]
        _check_advantages(setting, after, before, case.batch)

    return holds


@law(
    "A group's number is only a name: large, negative or in another order, it changes nothing.",
    zh="组号只是名字：换成很大的数、负数或别的次序，什么都不变。",
)
def test_group_numbers_are_names(setting: Setting) -> Property:
    @given(case=setting.cases(), numbers=st.permutations((2**40, 2**40 + 1, 0, -(2**40))))
    def holds(impl: Any, case: Case[GroupBatch], numbers: list[int]) -> None:
        index = _numbered(case.batch.group)
        renamed = replace(case.batch, group=torch.tensor(numbers)[index])
        rule = impl(**case.rule)
        before = rule.advantages(case.batch).to(torch.float64).tolist()
        _check_advantages(setting, rule.advantages(renamed), before, case.batch)

    return holds


def _numbered(group: Tensor) -> Tensor:
    """Return the groups numbered from 0, in the order in which they first occur."""
    names = group.tolist()
    return torch.tensor([list(dict.fromkeys(names)).index(name) for name in names])


def _check_advantages(
    setting: Setting, got: Tensor, exact: list[float] | float, batch: GroupBatch, *, size: float = 0.0,
    what: Message | None = None,
) -> None:  # fmt: skip
    """Compare advantages; ``size`` is that of the rewards, if larger than that of an advantage."""
    dtype = torch.promote_types(setting.dtype(batch), torch.float32)
    limit = sum_tolerance(dtype, 8, max(setting.tallest, size))
    expected = torch.tensor(exact, dtype=torch.float64)
    assert_close(got, expected, dtype=dtype, tolerance=limit, what=what or Message("the advantages"))
