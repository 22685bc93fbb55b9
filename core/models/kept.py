"""Keeps trained parameters in the user's cache folder, each set in one file that a digest names.

A file has a line that names the format, a line with the sha256 of all that follows, a line of JSON (names with shapes,
and facts), and then the numbers in float32, little-endian, one parameter after the other. Reading it runs no code. A
file that is absent, cut short, changed or of another format is None; the caller then makes the parameters anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import torch

from groundup.core.cache_folder import cache_folder, write_whole
from groundup.core.models.specification import Params

__all__ = ["Kept", "read", "write"]

FORMAT, SUFFIX = b"groundup-params-1", ".params"
UNUSED_SECONDS = 30 * 86400.0  # a file unused for this long is removed: what made it may be gone
_IN_MEMORY: dict[str, bytes] = {}

Kept = tuple[Params, dict[str, float]]
"""Parameters by name, and facts about them."""


def read(key: str) -> Kept | None:
    """Return what was written under ``key``, as new tensors; None if there is nothing, or nothing that can be read."""
    if key in _IN_MEMORY:
        return _decoded(_IN_MEMORY[key])
    if (path := _path(key)) is None:
        return None
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if (found := _decoded(content)) is None:
        return None
    _IN_MEMORY[key] = content
    with contextlib.suppress(OSError):
        if path.stat().st_mtime < time.time() - UNUSED_SECONDS / 2:
            os.utime(path)
    return found


def write(key: str, params: Params, facts: dict[str, float]) -> None:
    """Keep parameters in float32, and facts. Where the folder cannot be written to, they are kept in memory alone."""
    content = _IN_MEMORY[key] = _encoded(params, facts)
    if (path := _path(key)) is None:
        return
    with contextlib.suppress(OSError):
        write_whole(path, content)
        for other in path.parent.glob(f"*{SUFFIX}"):
            if other.stat().st_mtime < time.time() - UNUSED_SECONDS:
                other.unlink()


def _path(key: str) -> Path | None:
    folder = cache_folder()
    return None if folder is None else folder / "models" / f"{key}{SUFFIX}"


def _encoded(params: Params, facts: dict[str, float]) -> bytes:
    about = {"shapes": {name: list(value.shape) for name, value in params.items()}, "facts": facts}
    numbers = [value.detach().contiguous().numpy().astype("<f4").tobytes() for value in params.values()]
    body = b"".join([json.dumps(about).encode(), b"\n", *numbers])
    return b"\n".join([FORMAT, hashlib.sha256(body).hexdigest().encode(), body])


def _decoded(content: bytes) -> Kept | None:
    form, _, rest = content.partition(b"\n")
    digest, _, body = rest.partition(b"\n")
    if form != FORMAT or digest != hashlib.sha256(body).hexdigest().encode():
        return None
    line, _, numbers = body.partition(b"\n")
    about = json.loads(line)
    flat = torch.from_numpy(np.frombuffer(numbers, dtype="<f4").astype(np.float32))
    parts = torch.split(flat, [math.prod(shape) for shape in about["shapes"].values()])
    params = {
        name: part.reshape(shape).clone() for part, (name, shape) in zip(parts, about["shapes"].items(), strict=True)
    }
    return params, about["facts"]
