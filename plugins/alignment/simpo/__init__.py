"""The technique ``alignment/simpo``, declared in ``technique.toml``."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Technique


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``alignment/simpo``."""
    return [Technique.from_package(__name__)]
