from __future__ import annotations

import re

import pytest

from groundup.core import errors
from groundup.core.errors import AttemptDied, AttemptRaised, GroundupError, UnknownName, nearest

TECHNIQUES = ["alignment/ppo", "alignment/dpo", "rl/gae", "inference/kv-cache", "rl/advantage"]


def test_the_tree_at_the_top_is_the_tree() -> None:
    rows = re.findall(r"^([ │├└─]*)(\w+)\s.*?\s(\d|\.)\s{3}", errors.__doc__ or "", re.MULTILINE)
    drawn = {name: (len(indent) // 4, code) for indent, name, code in rows}
    declared = {n: c for n, c in vars(errors).items() if isinstance(c, type) and c.__module__ == errors.__name__}
    assert drawn.keys() == declared.keys()
    for name, (depth, code) in drawn.items():
        error = declared[name]
        assert str(getattr(error, "exit_code", ".")) == code
        if code != ".":
            assert error.__mro__.index(GroundupError) == depth


def test_a_death_is_not_caught_by_who_catches_errors() -> None:
    assert not issubclass(AttemptDied, Exception)
    died = AttemptDied("timeout", "a call took too long")
    assert (str(died), died.how, died.detail) == ("timeout: a call took too long", "timeout", "a call took too long")


@pytest.mark.parametrize(
    ("message", "says"), [("no such key", "KeyError: no such key"), ("", "KeyError")], ids=["message", "none"]
)
def test_what_an_attempt_raised_reads_as_python_says_it(message: str, says: str) -> None:
    raised = AttemptRaised(("KeyError", "LookupError"), message, "line 3: x[0]")
    assert (str(raised), raised.types, raised.lines) == (says, ("KeyError", "LookupError"), "line 3: x[0]")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("alignment/pp0", ["alignment/ppo"]),
        ("pp0", ["alignment/ppo"]),
        ("PPO", ["alignment/ppo"]),
        ("rl_gae", ["rl/gae"]),
        ("kvcache", ["inference/kv-cache"]),
        ("gae.py", ["rl/gae"]),
        ("advantge", ["rl/advantage"]),
        ("tokenizer", []),
        ("", []),
        ("/", []),
    ],
)
def test_the_nearest_name_is_what_was_meant(name: str, near: list[str]) -> None:
    assert nearest(name, TECHNIQUES)[: len(near) or 3] == near


def test_a_name_that_differs_in_case_and_punctuation_stands_alone() -> None:
    assert nearest("Day7", [f"day-{n}" for n in range(1, 15)]) == ["day-7"]


def test_at_most_three_names_are_offered_none_twice() -> None:
    found = nearest("gaa", ["x/gae", "y/gae", "z/gae", "v/gae"])
    assert len(found) == len(set(found)) == 3


def test_an_unknown_name_says_what_and_the_next_step() -> None:
    assert str(UnknownName("technique", "alignment/pp0", TECHNIQUES, "See the list.")) == (
        "No technique 'alignment/pp0'. Did you mean 'alignment/ppo' or 'alignment/dpo'?"
    )
    assert str(UnknownName("technique", "tokenizer", TECHNIQUES, "See the list.")) == (
        "No technique 'tokenizer'. See the list."
    )
    assert str(UnknownName("day", "x", [])) == "No day 'x'."
