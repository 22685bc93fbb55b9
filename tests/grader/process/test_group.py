from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from groundup.core.errors import AttemptDied, AttemptRaised
from groundup.core.technique import Hole, Source, Technique
from groundup.core.testing import Deadlock, Disagreement, Mismatch, per_rank
from groundup.core.testing.modules import module_from_source
from groundup.core.testing.ranks import LocalRanks
from groundup.grader.process.fork_server import ForkServer
from groundup.grader.process.group import AttemptGroup, start
from groundup.grader.process.proxy import proxy

EVERYTHING = """
import torch


class Everything:
    def __init__(self, comm, start=0.0):
        self.comm, self.start = comm, start

    def mesh(self, x):
        c, n, r = self.comm, self.comm.size, self.comm.rank
        found = {"rank": r, "size": n, "start": self.start}
        if n > 1:
            found["exchange"] = c.exchange(x + r, (r + 1) % n, (r - 1) % n)
            if r % 2 == 0 and r + 1 < n:
                c.send(x[:, :1].T, r + 1)
                c.send(torch.tensor([[r]], dtype=torch.int16), r + 1)
            elif r % 2:
                found["recv"] = [c.recv(r - 1), c.recv(r - 1)]
        found["all_reduce"] = c.all_reduce(x * (r + 1))
        first = c.start_all_reduce(x)
        second = c.start_reduce_scatter(torch.arange(2.0 * n) + r)
        third = c.start_all_gather(torch.tensor([r, -r]))
        found["started"] = [third.wait(), first.wait(), second.wait()]
        found["all_gather"] = c.all_gather(x + r)
        found["reduce_scatter"] = c.reduce_scatter(torch.stack([x + r] * n))
        found["all_to_all"] = c.all_to_all([torch.full((r + 1, to + 1), 10.0 * r + to) for to in range(n)])
        found["broadcast"] = c.broadcast(x * r, n - 1)
        c.barrier()
        found["sent"] = c.sent_bytes
        found["kept"] = x
        return found
"""

Start = Callable[..., Any]
GRID = torch.tensor([[0.5, -1.25, 3.0], [2.0, 0.0, -0.125]])


def technique(source: str, name: str = "Everything") -> Technique:
    return Technique(
        id="toys/ranks", title="t", summary="s", package="groundup.plugins.rl.gae", implements=name, distributed=True,
        holes=(Hole(hints=("h",)),), sources=(Source(title="t", url="https://example.org"),),
    )  # fmt: skip


@pytest.fixture
def group(server: ForkServer, nothing_left: None) -> Iterator[Start]:
    """Start a distributed attempt from its source, in processes or as threads; return the ``impl`` of a property."""
    with contextlib.ExitStack() as stack:

        def started(source: str, name: str = "Everything", *, where: str = "switch", **seconds: float) -> Any:
            reference = getattr(module_from_source("toy", source, "<toy>"), name) if "class " in source else None
            if where == "threads":
                return LocalRanks(reference)
            process = start(
                server, technique(source, name), source, "toy.py", seed=0, lab=where == "gloo",
                **{"total_seconds": 60.0, "call_seconds": 20.0, **seconds},
            )  # fmt: skip
            stack.callback(process.close)
            return proxy(process, name, reference)

        yield started


def plain(value: Any) -> Any:
    """Return a value with its tensors replaced by (dtype, numbers), for comparison."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.tolist()
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_threads_the_switch_and_gloo_give_the_same_results_and_the_same_counts(group: Start, size: int) -> None:
    found = {}
    for where in ("threads", "switch", "gloo"):
        ranks = group(EVERYTHING, where=where)(size, start=per_rank([0.5 * r for r in range(size)]))
        found[where] = plain(ranks.mesh(per_rank([GRID * (r + 1) for r in range(size)])))
    assert found["threads"] == found["switch"] == found["gloo"]
    total = sum(GRID * (r + 1) * (r + 1) for r in range(size))
    assert [rank["all_reduce"] for rank in found["switch"]] == [plain(total)] * size
    assert [rank["kept"] for rank in found["switch"]] == [plain(GRID * (r + 1)) for r in range(size)]


@pytest.mark.parametrize("where", ["threads", "switch"])
def test_the_traffic_counts_what_the_communicators_count(group: Start, where: str) -> None:
    ranks = group(EVERYTHING, where=where)(3)
    found = ranks.mesh(GRID)
    by_rank = [sum(t.bytes for t in ranks.traffic() if t.rank == rank) for rank in range(3)]
    assert by_rank == [rank["sent"] for rank in found]
    assert [(t.kind, t.to) for t in ranks.traffic() if t.rank == 0][:2] == [("exchange", 1), ("send", 1)]
    assert [t.rank for t in ranks.traffic()] == sorted(t.rank for t in ranks.traffic())


def test_several_groups_of_one_attempt_live_beside_each_other(group: Start) -> None:
    impl = group(EVERYTHING)
    two, four = impl(2, start=2.0), impl(4, start=4.0)
    starts = [[rank["start"] for rank in ranks.mesh(GRID)] for ranks in (two, four, two)]
    assert starts == [[2.0] * 2, [4.0] * 4, [2.0] * 2]


# Calls that do not match

WRONG = """
class Wrong:
    def __init__(self, comm):
        self.comm = comm

    def step(self, x):
        c, n, r = self.comm, self.comm.size, self.comm.rank
        {body}

    def right(self, x):
        return self.comm.all_reduce(x)
"""


def wrong(body: str) -> str:
    return WRONG.replace("{body}", body.replace("\n", "\n        "))


@pytest.mark.parametrize("where", ["threads", "switch"])
@pytest.mark.parametrize(
    ("body", "kind", "told"),
    [
        ("c.send(x, (r + 1) % n)\nreturn c.recv((r - 1) % n)", Deadlock, "rank 0 waits in send to rank 1"),
        ("return c.all_reduce(x) if r else None", Deadlock, "rank 0 has returned; rank 1 waits in all_reduce"),
        ("c.start_all_reduce(x) if r else None", Deadlock, "not every rank made: rank 1 began all_reduce"),
        ("return c.all_reduce(x[: r + 1])", Disagreement, r"rank 0 calls all_reduce of float32 \(1, 3\)"),
        ("return c.all_reduce(x) if r else c.all_gather(x)", Disagreement, "rank 0 calls all_gather"),
        ("try: return c.recv(1 - r)\nexcept Exception: return x", Deadlock, "rank 1 waits in recv from rank 0"),
    ],
    ids=["all send", "one returns", "never joined", "shapes", "kinds", "caught"],
)
def test_calls_that_do_not_fit_together_are_told_at_once_and_the_next_call_works(
    group: Start, where: str, body: str, kind: type[Mismatch], told: str
) -> None:
    ranks = group(wrong(body), "Wrong", where=where)(2)
    began = time.monotonic()
    with pytest.raises(kind, match=told):
        ranks.step(GRID)
    assert time.monotonic() - began < 30
    assert torch.equal(ranks.right(GRID)[0], 2 * GRID)


LATE = """
class Late:
    def __init__(self, comm):
        self.comm, self.pending = comm, None

    def begin(self, x):
        self.pending = self.comm.start_all_reduce(x)

    def rest(self):
        self.comm.barrier()

    def end(self):
        return self.pending.wait()
"""


@pytest.mark.parametrize("where", ["threads", "switch", "gloo"])
def test_what_one_call_began_the_next_one_may_wait_for(group: Start, where: str) -> None:
    ranks = group(LATE, "Late", where=where)(2)
    ranks.begin(GRID)
    assert torch.equal(ranks.end()[1], 2 * GRID)


@pytest.mark.parametrize("where", ["threads", "switch"])
def test_what_is_waited_for_too_late_is_told(group: Start, where: str) -> None:
    ranks = group(LATE, "Late", where=where)(2)
    ranks.begin(GRID)
    ranks.rest()
    with pytest.raises(Deadlock, match=r"rank [01] waits for a call that is not under way"):
        ranks.end()
    ranks.rest()


def test_a_deadlock_names_the_line_of_the_attempt(group: Start) -> None:
    with pytest.raises(Deadlock, match=r"rank 1 waits in recv from rank 0 \(line 8\)"):
        group(wrong("return c.recv(1 - r)"), "Wrong")(2).step(GRID)


def test_what_one_rank_raises_explains_why_the_others_wait(group: Start) -> None:
    ranks = group(wrong("if r == 1: raise KeyError('lost')\nreturn c.all_reduce(x)"), "Wrong")(3)
    with pytest.raises(AttemptRaised, match="KeyError on rank 1: 'lost'") as raised:
        ranks.step(GRID)
    assert raised.value.types[0] == "KeyError"
    assert "if r == 1: raise KeyError('lost')" in raised.value.lines


def test_what_all_ranks_raise_alike_is_told_without_a_rank(group: Start) -> None:
    with pytest.raises(AttemptRaised, match=r"^NotImplementedError: hole 1/2: all of it$") as raised:
        group(wrong("raise NotImplementedError('hole 1/2: all of it')"), "Wrong")(2).step(GRID)
    assert raised.value.rank is None


def test_an_input_that_one_rank_changed_in_place_is_told(group: Start) -> None:
    with pytest.raises(Mismatch, match="changed its input 'x' in place"):
        group(wrong("x.add_(r)"), "Wrong")(2).step(GRID)


@pytest.mark.parametrize(
    ("body", "how", "told"),
    [
        ("import os\nif r == 1: os._exit(9)\nreturn c.all_reduce(x)", "exit", "rank 1: .*exit code 9"),
        ("import os\nif r == 1: os.abort()\nreturn c.all_reduce(x)", "crash", "rank 1: .*SIGABRT"),
        ("while r: pass\nreturn c.all_reduce(x)", "timeout", "rank 1: a call used more than the 1 s"),
        ("while r: c.start_all_reduce(x)\nreturn c.all_reduce(x)", "timeout", "rank 1: a call used more than the 1 s"),
        ("while r: c.start_all_reduce(x.new_zeros(8 << 20))", "memory", "rank 1: it sent more than 256 MiB"),
    ],
    ids=["exits", "crashes", "loops", "sends for ever", "sends too much"],
)  # fmt: skip
def test_a_rank_that_dies_ends_all_of_them_and_is_named(group: Start, body: str, how: str, told: str) -> None:
    impl = group(wrong(body), "Wrong", call_seconds=1.0 if how == "timeout" else 20.0)
    ranks = impl(2)
    began = time.monotonic()
    with pytest.raises(AttemptDied, match=told) as died:
        ranks.step(GRID)
    assert died.value.how == how
    assert time.monotonic() - began < 60
    with pytest.raises(AttemptDied):
        ranks.right(GRID)
    with pytest.raises(AttemptDied):
        impl(2)


def test_a_slow_rank_is_blamed_and_not_the_one_that_waits_for_it(group: Start) -> None:
    body = "if r == 1:\n    while True: pass\nreturn c.all_reduce(x)"
    with pytest.raises(AttemptDied, match="rank 1: a call used more than the 1 s of CPU time"):
        group(wrong(body), "Wrong", call_seconds=1.0)(2).step(GRID)


# Frames that no communicator sends

FORGED = """
import json, os, struct, time


class Wrong:
    def __init__(self, comm):
        self.comm = comm

    def step(self, x):
        frames = []

        def say(tensors=(), **meta):
            tree = ["list", *(["tensor", n] for n in range(len(tensors)))]
            specs = [["float32", [1], None, False] for _ in tensors]
            header = json.dumps({"meta": meta, "value": tree, "tensors": specs}).encode()
            payload = b"".join(struct.pack("<f", t) for t in tensors)
            frames.append(struct.pack("<4sIQ", b"GU01", len(header), len(payload)) + header + payload)

        me = self.comm._channel.asked
        if self.comm.rank == 1:
            {body}
            os.write(3, b"".join(frames))
        time.sleep(0.5)  # the forged frames come before what they do not fit together with
        return self.comm.all_reduce(x)
"""


@pytest.mark.parametrize(
    "body",
    [
        "say(id=me, comm='all_reduce', ticket=1, wait=True)",
        "say((1.0, 2.0), id=me, comm='all_reduce', ticket=1, wait=True)",
        "say((1.0,), id=me, comm='send', ticket=1, wait=True, to=7)",
        "say((1.0,), id=me, comm='send', ticket=1, wait=True, to=1)",
        "say((1.0,), id=me, comm='send', ticket=1, wait=True, to=True)",
        "say((1.0,), id=me, comm='exchange', ticket=1, wait=True, to=0)",
        "say((1.0,), id=me, comm='all_reduce', ticket='1', wait=True)",
        "say((1.0,), id=me + 1, comm='all_reduce', ticket=1, wait=True)",
        "say((1.0,), id=me, comm='format_disk', ticket=1, wait=True)",
        "say((1.0,), id=me, comm=['send'], ticket=1, wait=True)",
        "say((1.0,), id=me, comm='all_reduce', ticket=1, wait=False)\n" * 2,
        "say((1.0,), id=me, comm='all_reduce', ticket=1, wait=True)\nsay((1.0,), id=me, comm='barrier', ticket=2)",
        "say((1.0,), id=me, comm='reduce_scatter', ticket=1, wait=True)",
        "say(id=me, ok=True)\nsay(id=me, ok=True)",
        "say((1.0,), id=me, comm='all_reduce', ticket=1, wait=True)\nsay(id=me, ok=True)",
        "os.write(3, b'nonsense' * 100)",
    ],
)
def test_a_forged_frame_ends_the_attempt_as_a_breach_of_protocol(group: Start, body: str) -> None:
    source = FORGED.replace("{body}", body.strip().replace("\n", "\n            "))
    with pytest.raises(AttemptDied, match=r"rank 1: the process answered with") as died:
        group(source, "Wrong", call_seconds=5.0)(2).step(GRID)
    assert died.value.how == "protocol"


def test_a_group_has_at_most_eight_ranks(group: Start) -> None:
    for size in (0, 9):
        with pytest.raises(ValueError, match=f"a group has 1 to 8 ranks, not {size}"):
            group(EVERYTHING)(size)


def test_what_ranks_print_is_told_apart_where_several_did(group: Start) -> None:
    impl = group(wrong("print('from', r) if r else None"), "Wrong")
    impl(3).step(GRID)
    attempt: AttemptGroup = impl._group
    assert attempt.take_printed() == "rank 1:\nfrom 1\n\nrank 2:\nfrom 2\n"
    impl(2).step(GRID)
    assert attempt.take_printed() == "from 1\n"


def test_a_lab_is_told_when_each_rank_sent_and_waited(group: Start) -> None:
    ranks = group(EVERYTHING, where="gloo")(2)
    ranks.mesh(GRID)
    for events, own in zip(ranks.events(), ("send", "recv"), strict=True):
        assert {kind for kind, *_ in events} == {
            "exchange", own, "all_reduce", "reduce_scatter", "all_gather", "all_to_all", "broadcast", "barrier", "wait",
        }  # fmt: skip
        assert all(begin <= end for _, begin, end, _ in events)
        assert next(sent for kind, *_, sent in events if kind == "all_reduce") == GRID.nbytes


def test_what_is_constructed_and_forgotten_is_forgotten_there_too(group: Start) -> None:
    source = wrong("import gc\nreturn sum(type(o) is Wrong for o in gc.get_objects())")
    impl = group(source, "Wrong")
    for _ in itertools.repeat(None, 5):
        last = impl(2)
    assert last.step(GRID) == [1, 1]


def test_the_ranks_are_processes_of_their_own(group: Start) -> None:
    pids = group(wrong("import os\nreturn os.getpid()"), "Wrong")(4).step(GRID)
    assert len({*pids, os.getpid()}) == 5


def test_an_input_that_a_constructor_changed_on_any_rank_is_named(group: Start) -> None:
    source = "class Holder:\n    def __init__(self, comm, x):\n        if comm.rank: x.add_(1)\n"
    with pytest.raises(Mismatch, match="changed its input 'x' in place"):
        group(source, "Holder")(2, torch.zeros(2))
