from __future__ import annotations

import os
import time

import pytest

from groundup.grader.authoring.soundness import pace


@pytest.mark.parametrize(
    ("load", "cores", "slowed_down", "expected"),
    [(0.5, 2, 1.0, 3.0), (2.0, 2, 1.0, 3.0), (6.0, 2, 1.0, 9.0), (6.0, None, 1.0, 18.0), (0.5, 2, 2.0, 6.0)],
)
def test_a_busy_machine_is_given_more_time(
    monkeypatch: pytest.MonkeyPatch, load: float, cores: int | None, slowed_down: float, expected: float
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(pace, "_slowed_down", lambda: slowed_down)
    assert pace.allowed(3.0) == expected


def test_a_process_that_computes_half_the_time_is_slowed_down_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    computed, passed = iter([0.0, 0.05, 0.1, 0.2]), iter([5.0, 5.2])
    monkeypatch.setattr(time, "process_time", lambda: next(computed))
    monkeypatch.setattr(time, "perf_counter", lambda: next(passed))
    assert pace._slowed_down() == pytest.approx(2.0)
