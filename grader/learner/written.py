"""Pages that a command wrote: marked with the digest of their text, so that nothing else is ever overwritten."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from groundup.core.errors import UsageProblem

__all__ = ["Mark", "check_place", "mark_of", "marked", "write_whole"]

_MARK = re.compile(rb"<!-- Written by '([a-z ]+)'; sha256 of the rest: ([0-9a-f]{64}) -->\n")


class Mark:
    """What the first line of a file says of the rest: the command that wrote it, and whether it was changed since."""

    def __init__(self, by: str, *, unchanged: bool) -> None:
        self.by, self.unchanged = by, unchanged


def marked(body: str, by: str) -> str:
    """Return a page with a first line that names the command which wrote it and the digest of the rest."""
    body = body.encode("utf-8", "replace").decode()
    return f"<!-- Written by '{by}'; sha256 of the rest: {hashlib.sha256(body.encode()).hexdigest()} -->\n{body}"


def mark_of(path: Path) -> Mark | None:
    """Return the mark of a file, None if no command of ours wrote it."""
    data = path.read_bytes()
    found = _MARK.match(data)
    if found is None:
        return None
    return Mark(found[1].decode(), unchanged=hashlib.sha256(data[found.end() :]).hexdigest() == found[2].decode())


def check_place(path: Path, by: str) -> None:
    """Raise UsageProblem unless ``path`` is free, or an unchanged page that the command ``by`` wrote."""
    if not path.parent.is_dir():
        raise UsageProblem("There is no folder {folder}: make it, or name a file elsewhere.", folder=path.parent)
    if not os.path.lexists(path):
        return
    if not path.is_file():
        raise UsageProblem("{path} is not an ordinary file: name another.", path=path)
    mark = mark_of(path)
    if mark is None or mark.by != by:
        raise UsageProblem("{path} is there already, and '{by}' did not write it: name another file.", path=path, by=by)
    if not mark.unchanged:
        raise UsageProblem(
            "{path} was changed after '{by}' had written it: name another file, or move this one aside.",
            path=path,
            by=by,
        )


def write_whole(path: Path, data: bytes, *, over: bool) -> None:
    """Write a file atomically; with ``over``, replace an existing one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(data)
        if over and path.exists():
            temporary.replace(path)
            return
        try:
            os.link(temporary, path)
        except FileExistsError as error:
            raise FileExistsError(error.errno, error.strerror, str(path)) from error
        except OSError:  # a file system without hard links
            with path.open("xb") as file:
                file.write(data)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
