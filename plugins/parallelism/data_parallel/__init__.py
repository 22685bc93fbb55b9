"""The technique ``parallelism/data-parallel``, declared in ``technique.toml``."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Technique


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``parallelism/data-parallel``."""
    return [Technique.from_package(__name__)]
