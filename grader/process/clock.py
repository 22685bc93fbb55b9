"""Time limits of an attempt's process, in its own CPU time, so that the load of the machine does not matter."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from groundup.core.messages import Message

__all__ = ["CallClock", "cpu_clock", "cpu_seconds", "seconds_of_attempts"]

STANDSTILL_SECONDS = 5.0
"""How long a process may be idle during a call. Even on a busy machine, waiting for a core takes far less."""
BACKSTOP = 30
"""A call ends after this many times its CPU limit on the wall clock, however little CPU time it used."""
LOOK_SECONDS = 0.5
MOVED = 0.01  # share of the time between two checks; a process that used less CPU time was idle


def cpu_clock(pid: int) -> Callable[[], float]:
    """Return a function that reads another process's CPU time in seconds. It raises OSError once the process is gone.

    On platforms other than Linux, it reads the wall clock instead.
    """
    if sys.platform != "linux":
        return time.monotonic
    clock = (~pid << 3) | 2  # the kernel's clock id for the CPU time of all threads of a process
    return lambda: time.clock_gettime(clock)


_spent = 0.0


def seconds_of_attempts() -> float:
    """Return the CPU time of all attempts that this process has started and that have ended."""
    return _spent


def cpu_seconds() -> float:
    """Return the CPU time of this process, and of its child processes and attempts that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system + seconds_of_attempts()


class CallClock:
    """The time limits of one process: per call, and for all calls together."""

    def __init__(self, read: Callable[[], float], total_seconds: float) -> None:
        """``read`` returns the CPU time used so far; ``total_seconds`` is the limit from now on."""
        self._read = read
        self._first = self._now()
        self.running = False
        """Whether a call is in progress and the process is to send the next frame."""
        self.allow(total_seconds)

    def allow(self, total_seconds: float) -> None:
        """Set the limit of CPU time from now on, and the limit of total idle time."""
        self.total_seconds = total_seconds
        self._began, self._began_at, self._idle = self._now(), time.monotonic(), 0.0

    def end(self) -> None:
        """Note the CPU time that the process has used. Call it while the process still exists."""
        global _spent
        _spent += max(self._now() - self._first, 0.0)

    def start(self, seconds: float) -> None:
        """Begin a call that may use ``seconds`` of CPU time."""
        self.seconds = seconds
        self._call_began, self._call_at = self._now(), time.monotonic()
        self.resume()

    def pause(self) -> None:
        """Stop the clock: the process has answered, or waits for others."""
        self.running = False

    def resume(self) -> None:
        """Restart the clock: the process can continue with the call."""
        self.running = True
        self._seen, self._seen_at = self._now(), time.monotonic()
        self._moved_at = self._seen_at

    def next_look(self) -> float:
        """Return the seconds until the next check, negative if it is overdue; no limit can be exceeded before it."""
        used = self._seen - self._call_began
        left = min(self.seconds - used, self.total_seconds - (self._seen - self._began), LOOK_SECONDS)
        return self._seen_at + left - time.monotonic()

    def over(self) -> Message | None:
        """Check the limits; return why the call has to end, None if it may continue."""
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
        except OSError:  # the process is gone; its connection reports how it ended
            return getattr(self, "_seen", 0.0)
