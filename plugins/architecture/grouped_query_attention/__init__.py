"""The technique ``architecture/grouped-query-attention``, declared in ``technique.toml``."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Technique


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``architecture/grouped-query-attention``."""
    return [Technique.from_package(__name__)]
