"""The settings of one run of a technique's properties, and the seeds derived from the run's seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

__all__ = [
    "EXAMPLES",
    "FURTHER_CASES",
    "STEPS",
    "THOROUGH_EXAMPLES",
    "THOROUGH_SECONDS",
    "TOTAL_SECONDS",
    "Plan",
    "derive_seed",
]

EXAMPLES, THOROUGH_EXAMPLES = 25, 200
FURTHER_CASES = 4  # per property, to distinguish known mistakes
STEPS = 20  # per run of a state machine
TOTAL_SECONDS, THOROUGH_SECONDS = 60.0, 300.0


@dataclass(frozen=True)
class Plan:
    """How to run the properties of a technique."""

    seed: int
    lang: str = "en"
    examples: int = EXAMPLES
    only: str | None = None
    """The only property to run; on its kept failing cases, if there are any."""
    independent: bool = False
    """Run each property even if one that it presupposes failed, and shrink nothing. Used by authors and copies."""
    reach: int | None = None
    """The last hole whose properties are judged; properties of later holes are not. None: all are judged."""
    waits_for: str | None = None
    """The first empty hole, by its name in the stub."""
    first: tuple[str, ...] = ()
    """Properties to run before all others."""
    stop_at_first_failure: bool = False
    stop_unless_held: bool = False
    """Stop at the first property whose status is not ``held``."""
    kept_cases_only: bool = False
    """Run only the kept failing cases."""
    cases_kept: int = FURTHER_CASES
    """Of each property, how many cases as drawn to keep."""
    ahead: bool = False
    """Use the order of a copy of the judge: properties with kept cases first, then the others, last to first."""


def derive_seed(seed: int, name: str) -> int:
    """Derive a seed for the use called ``name``; it depends on the arguments alone and does not reveal ``seed``."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8]) >> 1
