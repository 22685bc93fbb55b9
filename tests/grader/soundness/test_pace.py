from __future__ import annotations

import os

import pytest

from groundup.grader.soundness.pace import allowed


@pytest.mark.parametrize(("load", "cores", "expected"), [(0.5, 2, 3.0), (2.0, 2, 3.0), (6.0, 2, 9.0), (6.0, None, 18.0)])
def test_a_busy_machine_is_given_more_time(
    monkeypatch: pytest.MonkeyPatch, load: float, cores: int | None, expected: float
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert allowed(3.0) == expected
