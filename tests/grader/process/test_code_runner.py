"""Programs that an attempt passes to the runner: their results, and what neither they nor the attempt can do."""

from __future__ import annotations

from typing import Any

import pytest

from groundup.core.interfaces.code_runner import CodeRunner
from groundup.core.technique import Technique
from groundup.core.testing.subprocess_runner import SubprocessRunner
from groundup.grader.judging.judge import Judge
from groundup.grader.judging.verdict import Verdict
from groundup.grader.process import attempt
from groundup.grader.process.code_runner import JailedRunner
from groundup.grader.process.fork_server import ForkServer

pytestmark = pytest.mark.usefixtures("nothing_left")

SOLUTION = '''
def mean(programs, tests, runner):
    """Return the share of programs that pass all tests."""
    # HOLE 1/1: the reward of each program is 1 where it runs to its end with the tests after it; return their mean
    ran = [runner.run("\\n".join([program, *tests]), seconds=0.5) for program in programs]
    return sum(result.outcome == "ended" for result in ran) / len(ran)
    # END HOLE
'''
PROPERTIES = """
from groundup.core.interfaces.code_runner import CodeRunner

RIGHT, WRONG = "def double(x): return 2 * x", "def double(x): return x"
ENDLESS, LEAVES = "while True: pass", "import sys\\nsys.exit(0)"
TESTS = ["assert double(2) == 4", "assert double(0) == 0"]


@claim("The reward is the share of programs that run to the end of the tests.")
@given(programs=st.lists(st.sampled_from((RIGHT, WRONG, LEAVES)), min_size=1, max_size=3))
def test_programs_are_run(impl, code_runner, programs):
    events = []
    reward = impl(programs, TESTS, handed(code_runner, events))
    assert reward == programs.count(RIGHT) / len(programs)
    assert len(events) == len(programs)


@claim("A program that does not end earns nothing.")
def test_a_program_that_does_not_end_earns_nothing(impl, code_runner):
    assert impl([ENDLESS, RIGHT], TESTS, code_runner) == 0.5
"""


@pytest.fixture
def technique(author: Any) -> Technique:
    made: Technique = author.technique(PROPERTIES, solution=SOLUTION, misconceptions="")
    return made


def graded(judge: Judge, technique: Technique, body: str) -> Verdict:
    return judge.grade(technique, f"def mean(programs, tests, runner):\n    {body}\n", "mean.py", seed=0).verdict


def test_an_attempt_has_programs_run_that_it_could_not_run_itself(judge: Judge, technique: Technique) -> None:
    solution = judge.grade(technique, SOLUTION, "mean.py", seed=0).verdict
    assert [(p.status, p.message) for p in solution.properties] == [("held", None)] * 2


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("return 1.0", "fell_short"),
        ("return sum(runner.run(p).outcome == 'ended' for p in programs) / len(programs)", "fell_short"),
        ("runner.run(7)", "fell_short"),
        ("runner.run('pass', seconds=1e9)", "fell_short"),
        ("runner.run('#' * (1 << 20))", "fell_short"),
        ("runner.server.close()", "fell_short"),
        ("runner.run('import os\\nwhile True: os.fork()')\n    return 1.0", "fell_short"),
    ],
)
def test_what_an_attempt_does_with_it_ends_in_a_verdict(
    judge: Judge, technique: Technique, body: str, outcome: str
) -> None:
    assert graded(judge, technique, body).outcome == outcome


def test_programs_have_so_much_time_in_all(judge: Judge, technique: Technique, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "MOST_SECONDS", 0.3)
    verdict = graded(judge, technique, "while True: runner.run('while True: pass', seconds=0.1)")
    assert verdict.outcome == "died"
    assert str(verdict.properties[0].message).startswith("timeout: the parts that it was given worked for more than")


def outcomes(runner: CodeRunner) -> dict[str, Any]:
    programs = {
        "ends": "print('hello')",
        "raises": "print('before')\nraise ValueError('no')",
        "is no Python": "def",
        "leaves": "import sys\nsys.exit(3)",
        "drops dead": "import os\nos._exit(4)",
        "is a program": "assert __name__ == '__main__'",
    }
    return {what: runner.run(code) for what, code in programs.items()}


@pytest.mark.parametrize("jailed", [True, False])
def test_what_became_of_a_program_is_told(server: ForkServer, jailed: bool) -> None:
    found = outcomes(JailedRunner(server) if jailed else SubprocessRunner())
    assert {what: result.outcome for what, result in found.items()} == {
        "ends": "ended", "raises": "raised", "is no Python": "raised", "leaves": "raised",
        "drops dead": "died", "is a program": "ended",
    }  # fmt: skip
    assert found["ends"].printed == "hello\n"
    assert (found["raises"].error, found["raises"].printed) == ("ValueError: no", "before\n")


@pytest.mark.parametrize("runner", ["jailed", "trusted"])
def test_a_program_that_goes_on_is_ended(server: ForkServer, runner: str) -> None:
    made = JailedRunner(server) if runner == "jailed" else SubprocessRunner()
    assert made.run("while True: pass", seconds=0.2).outcome == "timeout"
    assert made.run("pass").outcome == "ended"


@pytest.mark.parametrize(
    "code",
    [
        "import socket\nsocket.create_connection(('1.1.1.1', 80), timeout=1)",
        "import subprocess\nsubprocess.run(['true'], check=True)",
        f"open({__file__!r}).read()",
        "import groundup.solutions",
        "b = [bytearray(1 << 30) for _ in range(64)]",
    ],
)
def test_a_program_reaches_nothing(server: ForkServer, code: str) -> None:
    assert JailedRunner(server).run(code).outcome != "ended"


def test_a_program_begins_with_gradients_on(server: ForkServer) -> None:
    assert JailedRunner(server).run("import torch\nassert torch.is_grad_enabled()").outcome == "ended"


def test_programs_leave_nothing_to_each_other(server: ForkServer) -> None:
    runner = JailedRunner(server)
    runner.run("import builtins\nbuiltins.left = 1")
    assert "NameError" in runner.run("left").error


@pytest.mark.parametrize("seconds", [0, -1, 5.5, float("nan"), "1"])
def test_a_time_that_no_program_may_have_is_refused(server: ForkServer, seconds: Any) -> None:
    for runner in (JailedRunner(server), SubprocessRunner()):
        with pytest.raises(ValueError, match="more than 0 s and at most 5 s"):
            runner.run("pass", seconds)
