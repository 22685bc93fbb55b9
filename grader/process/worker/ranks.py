"""A rank's communicator in an attempt's process: every call is a frame to the judge, whose switch forwards it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

from groundup.core.communicator import Call, CommunicationError, Communicator


class Channel(Protocol):
    """A rank's connection to the judge during a call."""

    def say(self, meta: dict[str, Any], value: Any) -> None:
        """Send a frame."""

    def hear(self) -> tuple[dict[str, Any], Any]:
        """Receive the next frame: its meta and its value."""

    def own_line(self) -> int:
        """Return the line of the attempt that is being executed."""


class FrameCommunicator(Communicator):
    """A communicator that sends frames to the judge over the channel of the current call."""

    def __init__(self, channel: Channel, rank: int, size: int) -> None:
        super().__init__(rank, size)
        self._channel = channel
        self._tickets = 0

    def _start(self, call: Call, *, wait: bool) -> Callable[[], list[Tensor]]:
        self._tickets += 1
        ticket = self._tickets
        meta = {"comm": call.kind, "ticket": ticket, "wait": wait, "to": call.to, "source": call.source}
        self._channel.say({**meta, "at": self._channel.own_line()}, list(call.tensors))

        def finish() -> list[Tensor]:
            if not wait:
                self._channel.say({"comm": "wait", "ticket": ticket}, None)
            answer, received = self._channel.hear()
            if not answer["ok"]:
                raise CommunicationError(received)
            tensors: list[Tensor] = received
            return tensors

        return finish


def communicator(channel: Channel, meta: dict[str, Any]) -> Communicator:
    """Return a rank's communicator: over frames or, in a lab, over a process group."""
    rank, size = meta["rank"], meta["size"]
    if meta["meeting"] is None:
        return FrameCommunicator(channel, rank, size)
    from groundup.core.process_group import ProcessGroupCommunicator

    os.environ["GLOO_SOCKET_IFNAME"] = "lo0" if sys.platform == "darwin" else "lo"
    return ProcessGroupCommunicator.join(rank, size, meta["meeting"], meta["group"])
