"""The one property that no technique has to declare: no call changes what it is given.

The boundary sees a change in whatever property it happens. That property goes on, on inputs of its own, and a verdict
has this one besides, failed; where nothing was changed it does not speak of it.
"""

from __future__ import annotations

from groundup.core.messages import Message
from groundup.grader.judging.verdict import PropertyResult

__all__ = ["INPUTS", "inputs_result"]

INPUTS = "leaves_its_inputs_alone"
CLAIM = Message("No call changes what it is given.")


def inputs_result(seen: PropertyResult) -> PropertyResult:
    """Return the result of this property, from that of the one in which a change was ``seen``."""
    return seen.model_copy(update={"id": INPUTS, "claim": CLAIM, "points": 1.0, "hole": None})
