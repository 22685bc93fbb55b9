"""The technique ``inference/kv-cache``: what it is called, what it needs, its hints and its sources."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Hole, Source, Technique

KV_CACHE = Technique(
    id="inference/kv-cache",
    title="x",
    summary="x",
    package=__name__,
    implements="KVCache",
    holes=(Hole(hints=("x",)),) * 5,
    sources=(Source(title="x", url="https://x"),),
)


@hookimpl
def techniques() -> list[Technique]:
    """Declare ``inference/kv-cache``."""
    return [KV_CACHE]
