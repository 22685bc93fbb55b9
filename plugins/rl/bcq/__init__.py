"""The technique ``rl/bcq``, declared in ``technique.toml``."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Technique


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``rl/bcq``."""
    return [Technique.from_package(__name__)]
