from __future__ import annotations

import contextlib
import gettext
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from groundup.core.errors import AttemptDied, AttemptRaised
from groundup.core.messages import Message
from groundup.grader.process import attempt as attempt_module
from groundup.grader.process import clock
from groundup.grader.process.attempt import AttemptProcess
from groundup.grader.process.fork_server import ForkServer
from groundup.grader.process.proxy import proxy

pytestmark = pytest.mark.usefixtures("nothing_left")

Start = Callable[..., AttemptProcess]
Ask = Callable[..., Any]
X = torch.ones(3)


@pytest.fixture
def may_start_processes(server: ForkServer) -> bool:
    return server.containment == "process" and os.getuid() == 0  # RLIMIT_NPROC does not bind root


def died(ask: Ask, source: str, **seconds: float) -> AttemptDied:
    """Return how an attempt died, and check that the next one on the same server lives."""
    with pytest.raises(AttemptDied) as raised:
        ask(source, X, **seconds)
    assert torch.equal(ask("def f(x): return x", X), X)
    return raised.value


def function(body: str, head: str = "import ctypes, os, signal, sys, threading, time, torch") -> str:
    """Return a file that defines ``f(x)`` with that body."""
    indented = "\n".join("    " + line for line in body.splitlines())
    return f"{head}\ndef f(x):\n{indented}\n"


# Taking too long


@pytest.mark.parametrize(
    "source",
    [
        function("while True: pass"),
        function("while True:\n    try:\n        while True: pass\n    except BaseException: pass"),
        function("10 ** 10 ** 8"),
        function("time.sleep(1000)"),
        function("threading.Lock().acquire()\nl = threading.Lock()\nl.acquire()\nl.acquire()"),
        function("for n in set(range(1, 65)) - {9, 19, 32, 33}: signal.signal(n, signal.SIG_IGN)\nwhile True: pass"),
        function("os.kill(os.getpid(), signal.SIGSTOP)"),
        function("A()", head="class A:\n    def __del__(self):\n        while True: pass"),
        function("sys.setprofile(lambda *call: time.sleep(1000))"),
        function("raise E", head="class E(Exception):\n    def __str__(self):\n        while True: pass"),
        function("sys.stdout = S()", head="import sys\nclass S:\n    def flush(self):\n        while True: pass"),
    ],
    ids=[
        "loop", "loop that catches everything", "arithmetic in C", "sleep", "deadlock", "ignoring signals", "stopped",
        "finaliser", "profiler", "text of an exception", "flush",
    ],
)  # fmt: skip
def test_a_call_that_does_not_return_in_time_is_a_timeout(ask: Ask, source: str, impatient: None) -> None:
    death = died(ask, source, call_seconds=0.5)
    busy = "a call used more than the 0.5 s of CPU time it may use"
    asleep = "a call did nothing for 1 s: it sleeps, or waits for something that never happens"
    waits = any(word in source for word in ("sleep", "Lock", "SIGSTOP"))
    assert (death.how, death.detail) == ("timeout", asleep if waits else busy)


@pytest.mark.parametrize(
    ("body", "innermost"),
    [
        ("while True: pass", "line 3, in f: while True: pass"),
        ("print('hello')\nx.sum()\nwhile True: x.sort()", "line 5, in f: while True: x.sort()"),
        ("time.sleep(1000)", "line 3, in f: time.sleep(1000)"),
        ("torch.ones(1 << 38)", "line 3, in f: torch.ones(1 << 38)"),
        ("ctypes.string_at(0)", "line 3, in f: ctypes.string_at(0)"),
        ("signal.signal(signal.SIGUSR1, signal.SIG_IGN)\nwhile True: pass", ""),
        ("os._exit(3)", ""),
    ],
)
def test_a_death_says_where_it_was(start: Start, body: str, innermost: str, impatient: None) -> None:
    process = start(function(body), call_seconds=0.5)
    with pytest.raises(AttemptDied) as raised:
        proxy(process, "f", lambda x: None)(X)
    assert raised.value.lines == innermost
    assert process.take_printed() == ("hello\n" if "hello" in body else "")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """End a process that does nothing after one second."""
    monkeypatch.setattr(clock, "STANDSTILL_SECONDS", 1.0)
    monkeypatch.setattr(clock, "LOOK_SECONDS", 0.1)


def test_short_sleeps_that_together_take_too_long_are_a_timeout(start: Start, impatient: None) -> None:
    process = start(function("time.sleep(0.3)"), total_seconds=1.0)
    with pytest.raises(AttemptDied, match="its calls did nothing for 1 s in all"):
        [proxy(process, "f", lambda x: None)(1) for _ in range(20)]


def test_a_process_that_waits_for_a_core_is_not_ended(start: Start) -> None:
    process = start(function("n = 0\nwhile n < 10_000_000: n += 1\nreturn x"), call_seconds=5.0)
    with contextlib.ExitStack() as stack:
        for _ in range(8 * len(os.sched_getaffinity(0))):
            busy = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
            # The kernel may share the cores among sessions: each of these is one, as the attempt is.
            other = subprocess.Popen(busy, stdout=subprocess.PIPE, start_new_session=True)
            stack.enter_context(other)
            stack.callback(other.kill)
            assert other.stdout is not None
            other.stdout.readline()  # it runs
        began = time.monotonic()
        assert proxy(process, "f", lambda x: None)(3) == 3
    assert time.monotonic() - began > 0.5  # it had to wait for the other processes


def test_a_file_that_does_not_load_in_time_is_a_timeout(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt_module, "LOAD_SECONDS", 1.0)
    assert died(ask, "while True: pass").how == "timeout"


def test_quick_calls_that_together_take_too_long_are_a_timeout(start: Start) -> None:
    process = start(
        function("until = time.process_time() + 0.1\nwhile time.process_time() < until: pass"), total_seconds=1.0
    )
    slow = proxy(process, "f", lambda x: None)
    with pytest.raises(AttemptDied, match="the grading used more than the 1 s of CPU time it may use"):
        [slow(1) for _ in range(20)]


def test_an_input_that_is_never_read_does_not_hold_the_judge(start: Start) -> None:
    stop = "signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGSTOP))\n"
    process = start(function(stop + "signal.setitimer(signal.ITIMER_REAL, 0.05)"), call_seconds=0.5)
    proxy(process, "f", lambda x: None)(1)
    time.sleep(0.3)
    with pytest.raises(AttemptDied, match="timeout"):
        proxy(process, "f", lambda x: None)(torch.zeros(64 << 20, dtype=torch.uint8))


def test_processor_time_is_limited_too(server: ForkServer, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    spawn = server.spawn
    monkeypatch.setattr(server, "spawn", lambda imports, cpu_seconds, **options: spawn(imports, 2, **options))
    process = start(function("while True: pass"))
    with pytest.raises(AttemptDied) as raised:
        proxy(process, "f", lambda x: None)(1)
    assert (raised.value.how, raised.value.detail) == ("timeout", "it used up its processor time")


# Ending


@pytest.mark.parametrize(
    ("body", "how", "detail"),
    [
        ("os._exit(0)", "exit", "exit code 0"),
        ("os._exit(3)", "exit", "exit code 3"),
        ("os.abort()", "crash", "SIGABRT"),
        ("ctypes.string_at(0)", "crash", "SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "crash", "SIGTERM"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "crash", "killed"),
        (
            "sys.setrecursionlimit(10 ** 9)\nclass A:\n    def __repr__(self): return repr([self])\nrepr(A())",
            "crash",
            "SIGSEGV",
        ),
    ],
)
def test_a_process_that_ends_says_how(ask: Ask, body: str, how: str, detail: str) -> None:
    death = died(ask, function(body))
    assert death.how == how
    assert detail in death.detail


def test_a_process_that_becomes_another_program_ends_as_that_does(ask: Ask, server: ForkServer) -> None:
    becoming = function("os.execv('/bin/true', ['true'])")
    if server.containment == "process":
        assert died(ask, becoming).detail.endswith("exit code 0")
    else:
        with pytest.raises(AttemptRaised, match="Operation not permitted"):
            ask(becoming, X)


@pytest.mark.parametrize(
    ("raising", "type_"),
    [
        ("sys.exit()", "SystemExit"),
        ("exit()", "SystemExit"),
        ("raise SystemExit(3)", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("class Own(BaseException): pass\nraise Own('mine')", "Own"),
        ("os.kill(os.getpid(), signal.SIGINT)", "KeyboardInterrupt"),
        ("return f(x)", "RecursionError"),
        ("input()", "EOFError"),
        ("breakpoint()", "BdbQuit"),
        ("assert x is None", "AssertionError"),
        ("raise MemoryError('no block is free')", "MemoryError"),
    ],
)
def test_whatever_is_raised_is_the_attempts_and_does_not_end_it(start: Start, raising: str, type_: str) -> None:
    process = start(function(raising) + "def g(x): return x")
    with pytest.raises(AttemptRaised) as raised:
        proxy(process, "f", lambda x: None)(X)
    assert raised.value.types[0] == type_
    assert torch.equal(proxy(process, "g", lambda x: None)(X), X)


@pytest.mark.parametrize("stops", ["breakpoint()", "import pdb\npdb.set_trace()"])
def test_whoever_sets_a_breakpoint_is_told_where_it_works(start: Start, stops: str) -> None:
    with pytest.raises(AttemptRaised, match=r"BdbQuit: nobody can type here; 'learn replay --pdb' stops there"):
        proxy(start(function(stops)), "f", lambda x: None)(X)


@pytest.mark.parametrize(
    "body",
    [
        "return torch.empty(10 ** 11)",
        "return bytearray(10 ** 11)",
        "import numpy\nreturn numpy.ones(10 ** 11)",
        "blocks = []\nwhile True: blocks.append(torch.empty(1 << 28))",
        "return [0] * 10 ** 10",
    ],
)
def test_asking_for_too_much_memory_is_told_as_that(ask: Ask, body: str) -> None:
    death = died(ask, function(body))
    assert (death.how, death.detail) == ("memory", "it asked for more than the 4 GiB it may use")


@pytest.mark.soak
def test_filling_memory_bit_by_bit_is_told_as_that(start: Start) -> None:
    process = start(function("blocks = []\nwhile True: blocks.append([0] * 10 ** 6)"), call_seconds=60.0)
    with pytest.raises(AttemptDied, match="memory"):
        proxy(process, "f", lambda x: None)(1)


def test_printing_without_end_is_a_flood(ask: Ask) -> None:
    death = died(ask, function("while True: print('x' * 10_000)"))
    assert (death.how, death.detail) == ("flood", "it printed more than 64 MiB")


def test_a_flood_is_noticed_while_the_answer_is_awaited_and_after_it(start: Start) -> None:
    process = start(function("os.write(1, b'x' * 60_000)"))
    noisy = proxy(process, "f", lambda x: None)
    with pytest.raises(AttemptDied, match="flood"):
        [noisy(1) for _ in range(2000)]


# Unexpected frames

DEFINES = "the file must define {name!r}; it defines nothing"
FRAME = f"from groundup.grader.process.worker import wire\nimport os, sys, time\nDEFINES = {DEFINES!r}\n"
FRAME += "def frame(number, value, **meta):\n"
FRAME += "    return b''.join(bytes(p) for p in wire.encode({'id': number, 'ok': True} | meta, value))\n"
# Request 1 loads the file, request 2 is the first call.


@pytest.mark.parametrize(
    "body",
    [
        "os.write(3, b'x' * 100)",
        "os.write(3, b'GU01' + b'\\xff' * 12)",
        "os.write(3, frame(2, 1)[:-1] + b']')",
        "os.write(3, frame(2, 1) + b'G')",
        "os.write(3, frame(7, 1))",
        "os.write(3, frame('2', 1))",
        "os.write(3, frame(2, 1, ok=1))",
        "os.write(3, frame(2, 1, ok=False))",
        "os.write(3, frame(2, {'types': [], 'message': '', 'lines': []}, ok=False))",
        "os.write(3, frame(2, {'types': ['E', 1], 'message': '', 'lines': []}, ok=False))",
        "os.write(3, frame(2, {'types': ['E'], 'message': None, 'lines': []}, ok=False))",
        "os.write(3, frame(2, {'types': ['E'], 'message': ''}, ok=False))",
        "os.write(3, frame(2, {'types': ['E'], 'message': '', 'lines': ''}, ok=False))",
        "os.write(3, frame(2, {'types': ['E'], 'message': '', 'lines': [[1, 'f']]}, ok=False))",
        "os.write(3, frame(2, {'types': ['E'], 'message': '', 'lines': [['1', 'f', 'x']]}, ok=False))",
        "os.write(3, frame(2, {'types': ['E'], 'message': '{a.b}', 'fields': {'a': 'x'}, 'lines': []}, ok=False))",
        "os.write(3, frame(2, {'types': ['E'], 'message': DEFINES, 'fields': {}, 'lines': []}, ok=False))",
        "os.write(3, frame(2, {'types': ['E'], 'message': DEFINES, 'fields': {'name': 5}, 'lines': []}, ok=False))",
        "os.write(3, frame(2, {'types': ['E'], 'message': DEFINES, 'fields': 5, 'lines': []}, ok=False))",
        "os.write(3, frame(2, [1], ok=False))",
        "os.close(3)\ntime.sleep(1000)",
        "os.dup2(1, 3)\ntime.sleep(1000)",
    ],
)
def test_what_is_no_answer_to_the_question_is_a_broken_protocol(ask: Ask, body: str) -> None:
    assert died(ask, function(body, head=FRAME)).how == "protocol"


def test_an_attempt_cannot_keep_its_random_numbers_from_beginning_anew(start: Start) -> None:
    drawn = "import random\nimport torch\n\ndef f(x): return [random.random(), torch.rand(1)]\n"
    process = start(drawn + "random.seed = torch.manual_seed = None\n")
    draw = proxy(process, "f", lambda x: None)
    first = []
    for _ in range(2):
        process.reseed(7)
        first.append(draw(1))
    assert first[0] == first[1] != draw(1)
    process = start(drawn + "import gc\nfrom groundup.grader.process.worker import serve\n"
        "[s.operations.pop('reseed') for s in gc.get_objects() if type(s) is serve.Server]\n")  # fmt: skip
    with pytest.raises(AttemptDied, match="protocol: the process prevents its random number generators"):
        process.reseed(7)


def test_a_second_answer_never_answers_the_next_question(start: Start) -> None:
    process = start(function("os.write(3, frame(2, 'forged'))\nreturn 'own'", head=FRAME))
    say = proxy(process, "f", lambda x: None)
    with pytest.raises(AttemptDied, match="protocol"):
        assert [say(1), say(1)] == ["forged", "own"]


def test_writing_to_every_other_descriptor_changes_nothing(ask: Ask) -> None:
    body = "for n in [0, *range(4, 300)]:\n    try: os.write(n, b'GU01' * 100)\n    except OSError: pass\nreturn x"
    assert torch.equal(ask(function(body, head=FRAME), X), X)


def test_an_attempt_has_no_descriptor_but_its_own_four(ask: Ask) -> None:
    is_open = "def is_open(n):\n    try: return bool(os.fstat(n))\n    except OSError: return False\n"
    assert ask(function(is_open + "return [n for n in range(1 << 16) if is_open(n)]"), 1) == [0, 1, 2, 3]


def test_an_answer_larger_than_may_cross_is_refused_and_the_attempt_lives(start: Start) -> None:
    process = start(function("return torch.zeros(x << 20, dtype=torch.uint8)"))
    large = proxy(process, "f", lambda x: None)
    with pytest.raises(AttemptRaised, match="more than 256 MiB of tensors"):
        large(300)
    assert large(3).numel() == 3 << 20


@pytest.mark.soak
def test_the_largest_answer_arrives(start: Start) -> None:
    process = start(function("return torch.full((x << 20,), 7, dtype=torch.uint8)"), call_seconds=60.0)
    assert proxy(process, "f", lambda x: None)(256).eq(7).all()


def test_an_attempt_that_closed_its_output_still_answers(ask: Ask) -> None:
    assert ask(function("os.close(1)\nos.close(2)\nreturn x"), 5) == 5


def test_once_dead_it_stays_dead_and_says_the_same_again(start: Start) -> None:
    process = start(function("os._exit(3)"))
    call = proxy(process, "f", lambda x: None)
    deaths = []
    for _ in range(3):
        with pytest.raises(AttemptDied) as raised:
            call(1)
        deaths.append(raised.value)
    assert [d.detail for d in deaths] == ["the process ended by itself with exit code 3"] * 3
    process.close()
    process.close()
    assert process.death is deaths[0]


def test_a_closed_attempt_cannot_be_asked(start: Start) -> None:
    process = start(function("return x"))
    process.close()
    with pytest.raises(AttemptDied, match="ended by the judge"):
        proxy(process, "f", lambda x: None)(1)


# Resource limits


def test_its_limits_are_set_before_its_file_is_read(start: Start) -> None:
    names = ["RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_CORE"]
    source = f"import resource\nlimits = [resource.getrlimit(getattr(resource, n)) for n in {names}]\n"
    source += "def f(x): return limits"
    memory, *others = proxy(start(source, total_seconds=60.0), "f", lambda x: None)(1)
    assert others == [(99, 100), (16 << 20, 16 << 20), (64, 64), (0, 0), (0, 0)]
    assert memory[0] == memory[1]
    assert 4 << 30 < memory[0] < 32 << 30, "what torch maps, and 4 GiB"


def test_a_file_larger_than_it_may_write_is_refused(ask: Ask, server: ForkServer) -> None:
    refused = "Permission denied" if server.containment == "landlock" else "File too large"
    with pytest.raises(AttemptRaised, match=refused):
        ask(function("open('large', 'wb').write(b'x' * (17 << 20))"), 1)


# Leftovers


@pytest.mark.parametrize(
    "body",
    [
        "[os.fork() or time.sleep(1000) for _ in range(20)]",
        "if os.fork() == 0:\n    os.setsid()\n    os.fork() or time.sleep(1000)\n    os._exit(0)",
        "if os.fork() == 0:\n    os.setsid()\n    os.fork() or time.sleep(1000)\n    time.sleep(1000)",
        "if os.fork() == 0:\n    os.setpgid(0, 0)\n    time.sleep(1000)",
        "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\nos.fork() or os.fork() or time.sleep(1000)",
        "threading.Thread(target=time.sleep, args=(1000,)).start()",
    ],
    ids=["children", "daemon", "session", "process group", "adopting orphans", "thread"],
)
def test_nothing_that_it_started_outlives_it(ask: Ask, body: str, may_start_processes: bool) -> None:
    """The check is in a fixture that every test of this file uses."""
    source = function(f"{body}\nreturn 7")
    if may_start_processes:
        assert ask(source, 1) == 7
    else:
        refusals = "Resource temporarily unavailable|not permitted|can't start new thread"
        with pytest.raises(AttemptRaised, match=refusals):
            ask(source, 1)


def test_a_child_that_holds_its_connection_does_not_hide_its_end(ask: Ask, may_start_processes: bool) -> None:
    if not may_start_processes:
        pytest.skip("an attempt can start no process here")
    assert died(ask, function("os.fork() and os._exit(4)\ntime.sleep(1000)")).detail.endswith("exit code 4")
    hanging = function("os.fork() or time.sleep(1000)\ntime.sleep(1000)")
    assert died(ask, hanging, call_seconds=0.5).how == "timeout"


# What the learner sees


def test_a_traceback_names_the_attempts_own_lines(ask: Ask) -> None:
    source = "def g(x):\n    return x.nothing\n\ndef f(x):\n    return sorted([x], key=g)\n"
    with pytest.raises(AttemptRaised) as raised:
        ask(source, 1)
    assert raised.value.types[:2] == ("AttributeError", "Exception")
    assert raised.value.lines == "line 5, in f: return sorted([x], key=g)\nline 2, in g: return x.nothing"


@pytest.mark.parametrize(
    ("method", "types", "message"),
    [
        (
            "return '\\x1b[2J\\u202e\\ud800 ok'",
            "E",
            "\N{REPLACEMENT CHARACTER}[2J" + "\N{REPLACEMENT CHARACTER}" * 2 + " ok",
        ),
        ("return 'x' * 10 ** 8", "E", "x" * 2000),
        ("return Odd('cut')", "E", "cut"),
        ("raise ValueError", "Exception", "an exception that cannot be shown"),
        ("return 5", "Exception", "an exception that cannot be shown"),
        ("raise SystemExit", "Exception", "an exception that cannot be shown"),
    ],
)
def test_a_message_is_cut_cleaned_and_never_trusted(ask: Ask, method: str, types: str, message: str) -> None:
    head = "class Odd(str):\n    def __getitem__(self, at): return object()\n"
    head += f"class E(Exception):\n    def __str__(self):\n        {method}"
    with pytest.raises(AttemptRaised) as raised:
        ask(function("raise E", head=head), 1)
    assert (raised.value.types[0], raised.value.message) == (types, message)


def test_the_type_of_an_exception_is_cleaned(ask: Ask) -> None:
    with pytest.raises(AttemptRaised) as raised:
        ask(function("raise type('\\x1b[31m' + 'E' * 500, (Exception,), {})"), 1)
    assert raised.value.types[0] == "\N{REPLACEMENT CHARACTER}[31m" + "E" * 75


def test_what_it_prints_is_kept_cleaned_and_bounded(start: Start) -> None:
    process = start(
        "print('loading')\n"
        + function("print('a\\x1b[31mb', x)\nprint('error', file=sys.stderr)\nos.write(1, b'raw\\n')")
    )
    assert process.take_printed() == "loading\n"
    say = proxy(process, "f", lambda x: None)
    say(1)
    assert process.take_printed() == "a\N{REPLACEMENT CHARACTER}[31mb 1\nerror\nraw\n"
    assert process.take_printed() == ""
    process = start(function("print('x' * 100_000 + 'end')"))
    proxy(process, "f", lambda x: None)(1)
    assert process.take_printed() == "x" * (attempt_module.OUTPUT_KEPT - 4) + "end\n"


def test_what_it_printed_before_it_died_is_still_told(start: Start) -> None:
    process = start(function("print('before the end')\nos._exit(1)"))
    with pytest.raises(AttemptDied):
        proxy(process, "f", lambda x: None)(1)
    assert process.take_printed() == "before the end\n"


def test_attempts_run_beside_each_other_on_one_server(start: Start) -> None:
    processes = [start(function(f"return {n}, x")) for n in range(5)]
    calls = [proxy(process, "f", lambda x: None) for process in processes]
    assert [call(7) for call in calls] == [(n, 7) for n in range(5)]
    processes[2].close()
    assert calls[3](8) == (3, 8)


def test_what_an_attempt_says_fills_nothing_in(ask: Ask) -> None:
    with pytest.raises(AttemptRaised) as raised:
        ask(function("raise ValueError('{0} {error.__class__} {message}')"), X)
    assert str(raised.value) == "ValueError: {0} {error.__class__} {message}"
    assert raised.value.summary.translated(gettext.NullTranslations()) == str(raised.value)


def test_a_sentence_of_ours_is_known_by_its_template(start: Start) -> None:
    told = "{'types': ['E'], 'message': DEFINES, 'fields': {'name': '{x}\\x1b'}, 'lines': [[3, 'f', 'y\\x1b']]}"
    process = start(function(f"os.write(3, frame(2, {told}, ok=False))\ntime.sleep(9)", head=FRAME))
    with pytest.raises(AttemptRaised) as raised:
        process.request("call", {"of": None, "name": "f", "grad": False, "keep": False}, ((1,), {}))
    assert isinstance(raised.value.message, Message)
    assert raised.value.message.template == DEFINES
    assert raised.value.message == "the file must define '{x}\ufffd'; it defines nothing"
    assert raised.value.lines == "line 3, in f: y\ufffd"
