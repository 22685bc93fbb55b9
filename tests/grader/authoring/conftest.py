"""Checks of small techniques take fewer seeds than those of real ones; a test of rare cases asks for more."""

from __future__ import annotations

import pytest

from groundup.grader.authoring.soundness import mistakes, solution


@pytest.fixture(autouse=True)
def few_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solution, "HERE", 3)
    monkeypatch.setattr(mistakes, "FURTHER_SEEDS", 8)
