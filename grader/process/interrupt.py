"""Ctrl-C that is not lost: raised inside a destructor or a gc callback, KeyboardInterrupt is printed and forgotten."""

from __future__ import annotations

import signal
import types

_happened = False


def watch() -> None:
    """Remember Ctrl-C from now on, besides raising KeyboardInterrupt. A process that ignores it goes on doing so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _remember)


def forget() -> None:
    """Begin anew: an earlier Ctrl-C has been dealt with."""
    global _happened
    _happened = False


def check() -> None:
    """Raise KeyboardInterrupt if Ctrl-C was pressed: call it before anything that may wait long."""
    if _happened:
        raise KeyboardInterrupt


def _remember(_number: int, _frame: types.FrameType | None) -> None:
    global _happened
    _happened = True
    raise KeyboardInterrupt
