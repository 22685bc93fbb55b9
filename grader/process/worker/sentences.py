"""Messages that an attempt's process may send as a template with fields; the judge accepts no other template."""

from __future__ import annotations

from groundup.core.messages import Message

__all__ = ["KNOWN"]

DEFINES_OTHERS = Message("the file must define {name!r}; it defines {names}")
DEFINES_NOTHING = Message("the file must define {name!r}; it defines nothing")
NOT_IMPORTABLE = Message(
    "an attempt cannot import {name!r}; it has the standard library, {names} and groundup.core.interfaces"
)
NO_DEBUGGER = Message("nobody can type here; 'learn replay --pdb' stops there, on the case that failed")
NOT_PLAIN = Message(
    "the answer holds {what}, which cannot leave the attempt's process: return tensors, numbers, text, lists, tuples, "
    "or dicts whose keys are text"
)
NOT_SHOWN = Message("an exception that cannot be shown")

KNOWN: dict[str, Message] = {
    str(sentence): sentence
    for sentence in (DEFINES_OTHERS, DEFINES_NOTHING, NOT_IMPORTABLE, NO_DEBUGGER, NOT_PLAIN, NOT_SHOWN)
}
"""The messages by template."""
