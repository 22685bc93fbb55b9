"""The one property that every technique has without declaring it: no call changes its inputs in place.

Every property's calls are checked for such a change. The property in which a call changes an input continues with
unchanged copies, and the verdict lists this property as failed. A verdict lists it only if an input was changed.
"""

from __future__ import annotations

from groundup.core.messages import Message
from groundup.grader.judging.verdict import PropertyResult

__all__ = ["INPUTS", "inputs_result"]

INPUTS = "leaves_its_inputs_alone"
CLAIM = Message("No call changes what it is given.")


def inputs_result(seen: PropertyResult) -> PropertyResult:
    """Return this property's result, made from ``seen``: the result of the property in which an input was changed."""
    return seen.model_copy(update={"id": INPUTS, "claim": CLAIM, "points": 1.0, "hole": None})
