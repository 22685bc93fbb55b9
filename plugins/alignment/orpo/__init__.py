"""The technique ``alignment/orpo``, declared in ``technique.toml``."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Technique


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``alignment/orpo``."""
    return [Technique.from_package(__name__)]
