"""The settings of one run of a technique's properties, and what is derived from its seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

__all__ = ["EXAMPLES", "STEPS", "THOROUGH_EXAMPLES", "THOROUGH_SECONDS", "TOTAL_SECONDS", "Plan", "derive_seed"]

EXAMPLES, THOROUGH_EXAMPLES = 25, 200
STEPS = 20  # of one run of a state machine
TOTAL_SECONDS, THOROUGH_SECONDS = 60.0, 300.0


@dataclass(frozen=True)
class Plan:
    """How to run the properties of a technique."""

    seed: int
    lang: str = "en"
    examples: int = EXAMPLES
    only: str | None = None
    """The one property to run, on the cases kept of it where there are some."""
    independent: bool = False
    """Run each property whatever became of those it presupposes, and shrink nothing: for authors and for copies."""
    reach: int | None = None
    """Up to which hole properties are judged: those that need a later one wait. None: all are judged."""
    waits_for: str | None = None
    """The first empty hole, as the stub names it."""
    stop_at_first_failure: bool = False
    stop_unless_held: bool = False
    """Stop at the first property that does not hold, for whatever reason."""
    kept_cases_only: bool = False
    """Try the kept cases and no others."""
    ahead: bool = False
    """Run what a copy of the judge runs: properties with kept cases first, then from the last one back."""


def derive_seed(seed: int, name: str) -> int:
    """Return a seed for one use: the same for the same two, whatever else runs. It does not reveal ``seed``."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8]) >> 1
