"""Finds the new name of a moved module, class or function, for a plugin written for an older Groundup."""

from __future__ import annotations

import re
from pathlib import Path

import groundup.core
from groundup.core.messages import Message

__all__ = ["told"]


def told(error: BaseException) -> str:
    """Return an exception as one line; for a failed import of ``groundup.core``, with the new place of the name."""
    line = Message("{error}: {message}", error=type(error).__name__, message=error)
    return Message("{error}: {message}", error=line, message=new) if (new := new_name(error)) else line


def new_name(error: BaseException) -> str:
    """Return where the name is now that an import from ``groundup.core`` did not find, or an empty string."""
    if not isinstance(error, ImportError) or not str(error.name).startswith("groundup.core"):
        return ""
    name = re.match(r"cannot import name '(\w+)'", str(error))
    wanted = name[1] if name else str(error.name).rpartition(".")[2]
    root = Path(str(groundup.core.__file__)).parent
    found = [path.with_suffix("") for path in root.rglob(f"{wanted}.py")]
    if name and not found:
        defined = re.compile(rf"^(?:class|def) {wanted}\b|^{wanted}\b[^=\n]*=", re.MULTILINE)
        found = [path.with_suffix("") for path in root.rglob("*.py") if defined.search(path.read_text("utf-8"))]
    if len(found) != 1:
        return ""
    now = ".".join(("groundup.core", *found[0].relative_to(root).parts)).removesuffix(".__init__")
    return (
        Message("it is {place} now", place=now)
        if found[0].name == wanted
        else Message("it is in {place} now", place=now)
    )
