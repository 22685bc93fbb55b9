"""The technique ``parallelism/ring-all-reduce``, declared in ``technique.toml``."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Technique


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``parallelism/ring-all-reduce``."""
    return [Technique.from_package(__name__)]
