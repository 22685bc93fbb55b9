"""The technique ``architecture/nope``, declared in ``technique.toml``, and a section of the brief."""

from typing import Any

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Technique


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``architecture/nope``."""
    return [Technique.from_package(__name__)]


@hookimpl
def brief_sections(verdicts: list[dict[str, Any]], lang: str) -> dict[str, str]:
    """Return a section on what a passed attempt has shown, or nothing if none has passed."""
    passed = [v for v in verdicts if v["technique"] == "architecture/nope" and v["passed"]]
    if not passed:
        return {}
    held = sum(p["status"] == "held" for p in passed[0]["properties"])
    return {
        "Order without positions": f"The learner's attention adds nothing for positions. With the causal mask it finds "
        f"every token's position all the same, and without it no order shows: {held} properties held at seed "
        f"{passed[0]['seed']} (Kazemnejad et al. 2023, arXiv:2305.19466, Theorem 1)."
    }
