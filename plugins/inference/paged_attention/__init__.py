"""The technique ``inference/paged-attention``, declared in ``technique.toml``."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Technique


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``inference/paged-attention``."""
    return [Technique.from_package(__name__)]
