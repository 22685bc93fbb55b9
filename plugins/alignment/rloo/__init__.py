"""The technique ``alignment/rloo``: ``technique.toml`` says what it is."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Technique


@hookimpl
def techniques() -> list[Technique]:
    """Declare it."""
    return [Technique.from_package(__name__)]
