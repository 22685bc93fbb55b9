"""What properties are written with: drawn tensors, named tolerances, comparisons that explain themselves, marks."""

from groundup.core.testing.calls import each
from groundup.core.testing.compare import (
    Mismatch,
    Tolerance,
    assert_close,
    assert_equal,
    assert_form,
    gradient,
    rejects,
    sum_tolerance,
)
from groundup.core.testing.marks import about, after, claim, hole, points
from groundup.core.testing.parts import Event, handed
from groundup.core.testing.ranks import PerRank, per_rank
from groundup.core.testing.stateful import ImplMachine, state_machine
from groundup.core.testing.strategies import booleans, float_dtypes, tensors
from groundup.core.testing.switch import Deadlock, Disagreement, Transfer

__all__ = [
    "Deadlock",
    "Disagreement",
    "Event",
    "ImplMachine",
    "Mismatch",
    "PerRank",
    "Tolerance",
    "Transfer",
    "about",
    "after",
    "assert_close",
    "assert_equal",
    "assert_form",
    "booleans",
    "claim",
    "each",
    "float_dtypes",
    "gradient",
    "handed",
    "hole",
    "per_rank",
    "points",
    "rejects",
    "state_machine",
    "sum_tolerance",
    "tensors",
]
