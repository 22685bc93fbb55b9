"""Keeps Ctrl-C from getting lost: Python prints and drops a KeyboardInterrupt raised in a destructor or gc callback."""

from __future__ import annotations

import gc
import signal
import types

_happened = False


def watch() -> None:
    """Record Ctrl-C from now on, besides raising KeyboardInterrupt. No effect if the process ignores Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _remember)


def forget() -> None:
    """Clear the record: an earlier Ctrl-C has been handled."""
    global _happened
    _happened = False


def check() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed. Call it before anything that may block for long."""
    if _happened:
        raise KeyboardInterrupt


def _remember(_number: int, frame: types.FrameType | None) -> None:
    global _happened
    _happened = True
    if frame is not None and any(frame.f_code is getattr(c, "__code__", None) for c in gc.callbacks):
        return  # Python would print the exception here and drop it; the next check raises it
    raise KeyboardInterrupt
