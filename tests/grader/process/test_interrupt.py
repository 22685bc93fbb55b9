from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator

import pytest

from groundup.grader.process import interrupt


@pytest.fixture
def watched() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupt.watch()
    yield
    signal.signal(signal.SIGINT, before)
    interrupt.forget()


def test_ctrl_c_is_raised_and_remembered(watched: None) -> None:
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        interrupt.check()
    interrupt.forget()
    interrupt.check()


def test_ctrl_c_during_garbage_collection_is_raised_at_the_next_check(
    watched: None, capfd: pytest.CaptureFixture[str]
) -> None:
    ended = []

    def callback(phase: str, info: dict[str, int]) -> None:
        if not ended:
            os.kill(os.getpid(), signal.SIGINT)
            ended.append(phase)

    gc.callbacks.append(callback)
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(callback)
    assert ended == ["start"]
    with pytest.raises(KeyboardInterrupt):
        interrupt.check()
    assert capfd.readouterr().err == ""
