"""The technique ``alignment/ppo``, declared in ``technique.toml``."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Technique


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``alignment/ppo``."""
    return [Technique.from_package(__name__)]
