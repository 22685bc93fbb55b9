"""The technique ``rl/cql``, declared in ``technique.toml``."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Technique


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``rl/cql``."""
    return [Technique.from_package(__name__)]
