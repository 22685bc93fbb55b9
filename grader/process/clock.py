"""Time limits of an attempt's process that a busy machine does not change: they count the process's own CPU time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from groundup.core.messages import Message

__all__ = ["CallClock", "cpu_clock"]

STANDSTILL_SECONDS = 5.0
"""How long a process may do nothing while a call is due. On a busy machine one waits for its turn far less."""
BACKSTOP = 30
"""How many times a limit of CPU time may pass on the wall clock before a call ends all the same."""
LOOK_SECONDS = 0.5
MOVED = 0.01  # of the time between two looks: a process that used less CPU time has stood still


def cpu_clock(pid: int) -> Callable[[], float]:
    """Return what reads the CPU time that another process has used, in seconds. Raises OSError once it is gone.

    Where that cannot be read (anywhere but on Linux), the wall clock stands in.
    """
    if sys.platform != "linux":
        return time.monotonic
    clock = (~pid << 3) | 2  # the kernel's number for the clock of all threads of a process
    return lambda: time.clock_gettime(clock)


class CallClock:
    """The limits of one process: for each call that is due, and for all of them together."""

    def __init__(self, read: Callable[[], float], total_seconds: float) -> None:
        """``read`` returns the CPU time used; ``total_seconds`` is how much of it there is, from now on."""
        self._read = read
        self.running = False
        """Whether a call is due, and the process owes the next frame."""
        self.allow(total_seconds)

    def allow(self, total_seconds: float) -> None:
        """Set how much CPU time there is from now on, and how long the process may stand still in all."""
        self.total_seconds = total_seconds
        self._began, self._began_at, self._idle = self._now(), time.monotonic(), 0.0

    def start(self, seconds: float) -> None:
        """Begin a call that may use so many seconds of CPU time."""
        self.seconds = seconds
        self._call_began, self._call_at = self._now(), time.monotonic()
        self.resume()

    def pause(self) -> None:
        """Stop looking: others owe the process something, or it has answered."""
        self.running = False

    def resume(self) -> None:
        """Go on with the call: the process can go on."""
        self.running = True
        self._seen, self._seen_at = self._now(), time.monotonic()
        self._moved_at = self._seen_at

    def next_look(self) -> float:
        """Return in how many seconds to look again, negative when that is past: no limit can be passed before."""
        used = self._seen - self._call_began
        left = min(self.seconds - used, self.total_seconds - (self._seen - self._began), LOOK_SECONDS)
        return self._seen_at + left - time.monotonic()

    def over(self) -> Message | None:
        """Look; return why the call has to end, or None while it may go on."""
        used, now = self._now(), time.monotonic()
        passed = now - self._seen_at
        if used - self._seen > MOVED * passed:
            self._moved_at = now
        elif passed > LOOK_SECONDS / 2:
            self._idle += passed
        self._seen, self._seen_at = used, now
        if used - self._call_began > self.seconds:
            return Message("a call used more than the {seconds:g} s of CPU time it may use", seconds=self.seconds)
        if used - self._began > self.total_seconds:
            return Message(
                "the grading used more than the {seconds:.0f} s of CPU time it may use", seconds=self.total_seconds
            )
        if now - self._moved_at > STANDSTILL_SECONDS:
            return Message(
                "a call did nothing for {seconds:.0f} s: it sleeps, or waits for something that never happens",
                seconds=STANDSTILL_SECONDS,
            )
        if self._idle > self.total_seconds:
            return Message("its calls did nothing for {seconds:.0f} s in all", seconds=self.total_seconds)
        if now - self._call_at > BACKSTOP * self.seconds:
            return Message("a call took longer than {seconds:.0f} s", seconds=BACKSTOP * self.seconds)
        if now - self._began_at > BACKSTOP * self.total_seconds:
            return Message("the grading took longer than {seconds:.0f} s", seconds=BACKSTOP * self.total_seconds)
        return None

    def _now(self) -> float:
        try:
            return self._read()
        except OSError:  # the process is gone: its connection tells how
            return getattr(self, "_seen", 0.0)
