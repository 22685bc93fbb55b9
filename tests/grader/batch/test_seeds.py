from __future__ import annotations

from pathlib import Path

import pytest

from groundup.core.errors import UsageProblem
from groundup.core.registry import Registry
from groundup.grader.batch import seeds

SECRET = "correct horse battery staple"
GAE, PPO = Registry().technique("gae"), Registry().technique("ppo")


def test_a_secret_comes_from_a_file_or_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(seeds.ASKED_BY, raising=False)
    assert seeds.secret(None) is None
    monkeypatch.setenv(seeds.ASKED_BY, SECRET)
    assert seeds.secret(None) == SECRET.encode()
    file = tmp_path / "secret"
    file.write_text("another horse, another battery\n")
    assert seeds.secret(file) == b"another horse, another battery"


def test_a_secret_that_could_be_guessed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(seeds.ASKED_BY, "2026")
    with pytest.raises(UsageProblem, match=r"in LEARN_SECRET_SEED has 4 characters, and at least 16 .*token_hex"):
        seeds.secret(None)
    with pytest.raises(UsageProblem, match="cannot be read: No such file"):
        seeds.secret(tmp_path / "none")


def test_a_secret_gives_each_technique_a_seed_of_its_own_and_always_the_same() -> None:
    one = seeds.derived(SECRET.encode(), GAE)
    assert one == seeds.derived(SECRET.encode(), GAE)
    assert one != seeds.derived(SECRET.encode(), PPO)
    assert one != seeds.derived(SECRET.encode() + b".", GAE)
    assert 0 <= one < 1 << 63  # the range of 'learn grade --seed'
    assert 0 <= seeds.fresh() < 1 << 63
