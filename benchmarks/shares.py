"""Profiles where a grade's time goes, in a judge that runs alone on one core."""

from __future__ import annotations

import cProfile
import pstats
from collections import Counter
from collections.abc import Iterable, Iterator

from groundup.core.technique import Technique
from groundup.grader.judging.judge import Judge
from groundup.grader.process.fork_server import ForkServer

SHARES = ("the attempt", "start and end", "proxy", "hypothesis", "torch", "the rest")
PLACES = {"/hypothesis/": "hypothesis", "/_pytest/": "hypothesis", "/pluggy/": "hypothesis", "/torch/": "torch"}
PROXY = ("proxy.py", "attempt.py", "wire.py", "group.py", "plain.py", "tensors.py")
WAITING = (  # the judge and the attempt's process share the core: in these calls the judge waits for the attempt
    "<method 'poll' of 'select.poll' objects>", "<method 'send' of '_socket.socket' objects>",
    "<method 'recv' of '_socket.socket' objects>",
)  # fmt: skip


def share_of(file: str, name: str) -> str:
    """Return the share to which a function's own time counts, without its callees."""
    if name in WAITING:
        return "the attempt"
    if "torch" in name:
        return "torch"
    if file.endswith(PROXY) or "/json/" in file:
        return "proxy"
    return next((share for place, share in PLACES.items() if place in file), "the rest")


def shares(techniques: Iterable[Technique]) -> Iterator[str]:
    """Yield a table, line by line. The profiler slows down Python but not torch, so Python's shares are too high."""
    yield f"| a grade's shares | {' | '.join(SHARES)} | calls to the attempt |"
    yield "|---" * (len(SHARES) + 2) + "|"
    with ForkServer() as server:
        judge = Judge(server)
        for technique in techniques:
            source = technique.files.solution.read_text(encoding="utf-8")
            judge.grade(technique, source, technique.file, seed=0)
            profile = cProfile.Profile()
            with profile:
                judge.grade(technique, source, technique.file, seed=1)
            stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
            seconds: Counter[str] = Counter()
            calls = 0
            for (file, _, name), (_, count, own, whole, _) in stats.items():
                seconds[share_of(file, name)] += own
                if (file.endswith("fork_server.py") and name == "spawn") or (
                    file.endswith("attempt.py") and name == "close"
                ):
                    seconds["start and end"] += whole
                if file.endswith("attempt.py") and name == "ask":
                    calls += count
            seconds["the rest"] -= seconds["start and end"]
            total = sum(seconds.values())
            told = " | ".join(f"{max(0.0, seconds[share]) / total:.0%}" for share in SHARES)
            yield f"| {technique.name} | {told} | {calls} |"
