"""The technique ``alignment/reward-model``, declared in ``technique.toml``."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Technique


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``alignment/reward-model``."""
    return [Technique.from_package(__name__)]
