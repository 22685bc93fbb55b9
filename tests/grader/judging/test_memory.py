"""The judge's own memory is bounded while it grades."""

from __future__ import annotations

import resource
from typing import Any

import pytest
import torch

from groundup.grader.judging import memory
from groundup.grader.judging.judge import Judge

GROWS = """
@given(x=X)
def test_an_answer_is_worked_on(impl, x):
    total = impl(x, ONES)
    check(torch.outer(total.expand(20_000), total.expand(20_000))[0, :1], total.expand(1) ** 2)
"""


def test_what_an_answer_makes_the_judge_compute_is_bounded(
    judge: Judge, author: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "MEMORY", 1 << 30)  # the product takes 1.6 GB
    verdict = judge.grade(author.technique(GROWS), "def mean(x, weight): return x.sum()", "mean.py", seed=1).verdict
    (result,) = verdict.properties
    assert not verdict.passed
    assert "can't allocate memory" in str(result.message)


def test_the_limit_ends_with_the_grading() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with memory.within_memory():
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        assert 0 < soft != before[0]
        assert hard == before[1]
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert torch.zeros(1 << 20).numel()


def test_a_limit_that_is_narrower_already_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MEMORY", 1 << 50)
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 45, before[1]))
    try:
        with memory.within_memory():
            assert resource.getrlimit(resource.RLIMIT_AS) == (1 << 45, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
