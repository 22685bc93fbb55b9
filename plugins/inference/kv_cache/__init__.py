"""The technique ``inference/kv-cache``, declared in ``technique.toml``."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Technique


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``inference/kv-cache``."""
    return [Technique.from_package(__name__)]
