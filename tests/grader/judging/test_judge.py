from __future__ import annotations

import hashlib
import importlib
import os
import signal
import subprocess
import sys
import threading
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch

from groundup.core.errors import PluginProblem, UsageProblem
from groundup.grader.judging.exercise import stub
from groundup.grader.judging.judge import Judge
from groundup.grader.judging.properties import Properties
from groundup.grader.judging.verdict import PropertyResult, Verdict
from groundup.grader.process.text import LONGEST_SOURCE, read_attempt

pytestmark = pytest.mark.usefixtures("nothing_left")

Author = Any
RIGHT = "def mean(x, weight): return (x * weight).sum() / weight.sum()"
WRONG = "def mean(x, weight): return x.sum() / weight.sum()"


def graded(judge: Judge, technique: Any, source: str, seed: int = 1, **more: Any) -> Verdict:
    return judge.grade(technique, source, "mean.py", seed=seed, **more).verdict


def only(verdict: Verdict) -> PropertyResult:
    (result,) = verdict.properties
    return result


def seen(technique: Any) -> list[Any]:
    """Return the list SEEN, in which the technique's properties record values."""
    found: list[Any] = sys.modules[technique.files.properties_module].SEEN
    return found


# Verdicts


def test_a_right_attempt_passes_and_the_verdict_says_what_was_graded(judge: Judge, author: Author) -> None:
    technique = author.technique()
    verdict = graded(judge, technique, RIGHT, seed=7)
    assert (verdict.outcome, verdict.passed, verdict.score, verdict.held) == ("passed", True, 1.0, 1)
    assert (verdict.technique, verdict.version, verdict.seed, verdict.examples) == ("toys/mean", 1, 7, 25)
    assert (verdict.attempt.path, verdict.attempt.sha256) == ("mean.py", hashlib.sha256(RIGHT.encode()).hexdigest())
    assert (verdict.problem, verdict.diagnosis, verdict.containment) == (None, (), judge.server.containment)
    assert [h.filled for h in verdict.holes] == [True]
    assert only(verdict).claim == "A mean weighs what it adds."
    assert only(verdict).counterexample is None
    assert set(verdict.environment) == {"python", "platform", "threads", "groundup", "torch", "hypothesis", "pytest"}
    assert Verdict.model_validate(verdict.model_dump(exclude={"held"})) == verdict


def test_a_wrong_attempt_fails_on_the_smallest_case(judge: Judge, author: Author) -> None:
    verdict = graded(judge, author.technique(), WRONG)
    result = only(verdict)
    assert (verdict.outcome, verdict.passed, verdict.score, verdict.held) == ("fell_short", False, 0.0, 0)
    assert (result.status, result.message) == ("failed", "the result differs")
    assert result.counterexample == {
        "x": "torch.tensor([0.125, 0.0, 0.0])", "weight": "torch.tensor([0.5, 0.5, 0.5])",
    }  # fmt: skip
    assert (result.expected, result.got) == ("torch.tensor(0.04166667)", "torch.tensor(0.08333334)")
    assert [d.id for d in verdict.diagnosis] == ["forgets-the-weights"]


def test_the_stub_is_not_started_and_its_hole_is_empty(judge: Judge, author: Author) -> None:
    technique = author.technique()
    verdict = graded(judge, technique, stub(technique.files.solution.read_text()))
    assert (verdict.outcome, verdict.passed, verdict.score) == ("not_started", False, 0.0)
    assert (only(verdict).status, only(verdict).message) == ("not_started", "hole 1/1: the weighted mean")
    assert [h.filled for h in verdict.holes] == [False]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("raise NotImplementedError", "not_started"),
        ("raise NotImplementedError('hole 1/1: the weighted mean')", "not_started"),
        ("raise NotImplementedError('later')", "failed"),
        ("x.to(torch.float8_e5m2).add(1)", "failed"),  # torch raises a NotImplementedError of its own here
        ("return x.to_sparse()", "failed"),
    ],
)
def test_only_an_empty_hole_counts_as_not_started(judge: Judge, author: Author, body: str, status: str) -> None:
    assert only(graded(judge, author.technique(), f"import torch\ndef mean(x, weight): {body}")).status == status


SEVERAL = """
@points(2)
def test_first(impl): check(impl(ONES, ONES), torch.tensor(1.0))

@points(3)
@hole(1)
def test_second(impl): check(impl(ONES, 2 * ONES), torch.tensor(1.0))

@after(test_second)
def test_third(impl): impl(ONES, ONES)

@after(test_first)
def test_fourth(impl): impl(ONES, ONES)
"""


def statuses(verdict: Verdict) -> dict[str, str]:
    return {p.id: p.status for p in verdict.properties}


def test_points_add_up_and_what_presupposes_a_failure_is_not_reached(judge: Judge, author: Author) -> None:
    technique = author.technique(SEVERAL)
    verdict = graded(judge, technique, WRONG)
    assert statuses(verdict) == {"first": "held", "second": "failed", "third": "not_reached", "fourth": "held"}
    assert (verdict.outcome, verdict.score) == ("fell_short", round(3 / 7, 4))
    assert [(p.points, p.hole) for p in verdict.properties] == [(2, None), (3, 1), (1, None), (1, None)]
    assert graded(judge, technique, RIGHT).score == 1.0


def test_an_attempt_that_dies_keeps_what_held_and_is_not_asked_again(judge: Judge, author: Author) -> None:
    source = "import os\ndef mean(x, weight):\n    print('dying')\n"
    source += "    return x.mean() if weight.sum() == 3 else os._exit(4)"
    verdict = graded(judge, author.technique(SEVERAL), source)
    assert statuses(verdict) == {"first": "held", "second": "died", "third": "not_reached", "fourth": "not_reached"}
    assert (verdict.outcome, verdict.diagnosis, verdict.problem) == ("died", (), None)
    died = verdict.properties[1]
    assert (died.message, died.printed) == ("exit: the process ended by itself with exit code 4", "dying\n")


def test_a_call_that_hangs_is_told_with_its_case(judge: Judge, author: Author) -> None:
    verdict = graded(judge, author.technique(), "def mean(x, weight):\n    while True: pass")
    assert (verdict.outcome, only(verdict).status) == ("died", "died")
    assert only(verdict).message == "timeout: a call used more than the 1 s of CPU time it may use"
    assert set(only(verdict).counterexample or {}) == {"x", "weight"}


@pytest.mark.parametrize(
    ("source", "problem", "status", "outcome"),
    [
        ("def mean(x:", "The file cannot be loaded: SyntaxError: '(' was never closed (line 1: def mean(x:)",
         "not_reached", "fell_short"),
        ("def g(x): return x", "The file cannot be loaded: NameError: the file must define 'mean'; it defines g",
         "not_reached", "fell_short"),
        ("1 / 0", "The file cannot be loaded: ZeroDivisionError: division by zero (line 1, in <module>: 1 / 0)",
         "not_reached", "fell_short"),
        ("import os\nos._exit(3)", "The file cannot be loaded: exit: the process ended by itself with exit code 3.",
         "died", "died"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_loaded_says_why(
    judge: Judge, author: Author, source: str, problem: str, status: str, outcome: str
) -> None:
    verdict = graded(judge, author.technique(), source)
    assert (verdict.problem, only(verdict).status, verdict.outcome) == (problem, status, outcome)
    assert not verdict.passed


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("x.numpy()", "the answer holds a value of type numpy.ndarray, which cannot leave the attempt's process: "
         "return tensors, numbers, text, lists, tuples, or dicts whose keys are text"),
        ("float(x.mean())", "the result is no tensor"),
        ("None", "the result is no tensor"),
        ("[x, {'\\x1b[2J': x}]", "the result is no tensor"),
        ("x", "the result has another shape"),
        ("x.double().mean()", "the result has another dtype"),
        ("x.mean() * float('nan')", "the result differs"),
        ("x.nothing", "it raised AttributeError: 'Tensor' object has no attribute 'nothing'"),
        ("exec('raise KeyboardInterrupt')", "it raised KeyboardInterrupt"),
        ("x.new_zeros(300, 300)", "the result has another shape"),
        ("[x.new_zeros(300, 300)]", "the result is no tensor"),
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_right_is_failed_and_told(
    judge: Judge, author: Author, answer: str, message: str
) -> None:
    verdict = graded(judge, author.technique(), f"def mean(x, weight): return {answer}")
    assert (verdict.outcome, only(verdict).status, only(verdict).message) == ("fell_short", "failed", message)
    assert len(verdict.model_dump_json()) < 20_000


@pytest.mark.parametrize("copies", [0, 1])
def test_a_call_that_changes_its_inputs_is_one_failed_property(server: Any, author: Author, copies: int) -> None:
    technique = author.technique(
        """
@given(x=X, weight=WEIGHT)
def test_equals_the_reference(impl, reference, x, weight): check(impl(x, weight), reference(x, weight))

@given(x=X)
def test_another(impl, reference, x): check(impl(x, ONES), reference(x, ONES))
"""
    )
    source = "def mean(x, weight):\n    y = (x * weight).sum() / weight.sum()\n    x.add_(1)\n    return y"
    verdict = Judge(server, copies=copies).grade(technique, source, "mean.py", seed=1).verdict
    assert statuses(verdict) == {"equals_the_reference": "held", "another": "held", "leaves_its_inputs_alone": "failed"}
    told = verdict.properties[-1]
    assert (verdict.outcome, verdict.says_most) == ("fell_short", told.id)
    assert told.message == "the call changed its input 'x' in place"
    assert (told.counterexample or {})["x"] == "torch.tensor([0.0, 0.0, 0.0])"
    again = Judge(server).replay(technique, source, "mean.py", property=told.id, seed=1)
    assert again.result.message == told.message


def test_another_failure_is_worked_on_before_a_changed_input(judge: Judge, author: Author) -> None:
    verdict = graded(judge, author.technique(), "def mean(x, weight): return x.add_(1).sum()")
    assert list(statuses(verdict).values()) == ["failed", "failed"]
    assert verdict.says_most == "equals_the_reference"


def test_an_answer_that_the_property_cannot_use_is_the_attempts_fault(judge: Judge, author: Author) -> None:
    technique = author.technique("def test_a(impl): assert impl(ONES, ONES) + 1 == 2")
    result = only(graded(judge, technique, "def mean(x, weight): return 'text'"))
    assert (result.status, result.message) == (
        "failed", "the answer cannot be used: TypeError: can only concatenate str (not \"int\") to str",
    )  # fmt: skip
    assert only(graded(judge, technique, RIGHT)).status == "held"


def test_a_property_may_fail_in_pytests_own_ways(judge: Judge, author: Author) -> None:
    technique = author.technique(
        "def test_fail(impl): impl(ONES, 2 * ONES) == 1 or pytest.fail('not the mean')\n"
        "@given(x=X)\ndef test_raises(impl, x):\n    with pytest.raises(Exception): impl(x, None)\n"
    )
    assert graded(judge, technique, RIGHT).passed
    wrong = graded(judge, technique, "def mean(x, weight): return x.mean() + (weight is not None)")
    assert [(p.status, p.message) for p in wrong.properties] == [
        ("failed", "not the mean"), ("failed", "DID NOT RAISE Exception"),
    ]  # fmt: skip


def test_what_it_printed_on_the_failing_case_is_shown_cleaned(judge: Judge, author: Author) -> None:
    source = "def mean(x, weight):\n    print('\\x1b[31mx is', x.tolist())\n    return x.sum() / weight.sum()"
    result = only(graded(judge, author.technique(), source))
    assert result.printed == "\N{REPLACEMENT CHARACTER}[31mx is [0.125, 0.0, 0.0]\n"


def test_no_text_of_an_attempt_reaches_the_verdict_uncleaned(judge: Judge, author: Author) -> None:
    technique = author.technique(
        "def test_a(impl):\n    got = impl(ONES, ONES)\n    assert got == 1, f'it said {got}'\n"
        "def test_b(impl):\n    got = impl(ONES, ONES)\n    if got != 1: raise Mismatch(got, got, got, got)\n"
        "def test_c(impl):\n    got = impl(ONES, ONES)\n    if got != 1: raise ValueError(got)"
    )
    verdict = graded(judge, technique, "def mean(x, weight): return '\\x1b[2J\\u202e\\ud800 text'")
    clean = "\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} text"
    a, b, c = verdict.properties
    assert (a.message, b.message, b.expected, b.got, b.where) == (f"it said {clean}", clean, clean, clean, clean)
    assert c.message == f"the answer cannot be used: ValueError: {clean}"


def test_an_attempt_that_answers_the_same_case_in_two_ways_is_told_so(judge: Judge, author: Author) -> None:
    source = "calls = []\ndef mean(x, weight):\n    calls.append(1)\n"
    source += "    return (x * weight).sum() / weight.sum() + (len(calls) == 3)"
    result = only(graded(judge, author.technique(), source))
    assert result.status == "failed"
    assert result.message == "the same case was answered in two ways, once wrong: the result differs"


def test_claims_are_told_in_the_learners_language(server: Any, author: Author) -> None:
    technique = author.technique()
    assert only(graded(Judge(server, "zh"), technique, RIGHT)).claim == "加权平均。"
    assert only(graded(Judge(server, "fr"), technique, RIGHT)).claim == "A mean weighs what it adds."


# What can never count as held


CALLED = "impl(ONES, ONES)"
NEVER_HELD = {
    "a property without impl": ("def test_a(): pass", "the property was not given the attempt: no fixture 'impl'"),
    "an impl of its own": (
        "@pytest.fixture\ndef impl(): return lambda x, w: x.mean()\ndef test_a(impl): impl(ONES, ONES)",
        "the property was not given the attempt: no fixture 'impl'",
    ),
    "an impl swapped by another fixture": (
        "@pytest.fixture(autouse=True)\ndef swap(request, impl):\n"
        "    request.node.funcargs['impl'] = lambda x, w: x.mean()\ndef test_a(impl): impl(ONES, ONES)",
        "the property was not given the attempt: no fixture 'impl'",
    ),
    "a given impl": (
        "@given(impl=st.just(lambda x, w: x))\ndef test_a(impl): impl(ONES, ONES)",
        "the property was not given the attempt: no fixture 'impl'",
    ),
    "a property that never calls it": ("def test_a(impl): pass", "the property never called the attempt"),
    "an async property": (f"async def test_a(impl): {CALLED}", "the property never called the attempt"),
    "assumptions that nothing meets": (
        f"@given(x=X)\ndef test_a(impl, x):\n    {CALLED}\n    assume(False)",
        "Unsatisfiable: Unable to satisfy assumptions of test_a.",
    ),
    "a filter that nothing passes": (
        f"@given(x=X.filter(lambda x: False))\ndef test_a(impl, x): {CALLED}",
        "Unsatisfiable: Unable to satisfy assumptions of test_a.",
    ),
    "a mark that skips": (f"@pytest.mark.skip\ndef test_a(impl): {CALLED}", "Skipped: unconditional skip"),
    "a condition that skips": (
        f"@pytest.mark.skipif(True, reason='not today')\ndef test_a(impl): {CALLED}", "Skipped: not today",
    ),
    "skipping itself": (f"def test_a(impl):\n    {CALLED}\n    pytest.skip('not today')", "Skipped: not today"),
    "skipping itself on a case": (
        f"@given(x=X)\ndef test_a(impl, x):\n    {CALLED}\n    pytest.skip('not today')", "Skipped: not today",
    ),
    "an expected failure that is not run": (f"@pytest.mark.xfail(run=False)\ndef test_a(impl): {CALLED}", ""),
    "an expected failure": (
        f"@pytest.mark.xfail\ndef test_a(impl):\n    {CALLED}\n    assert False",
        "the reference fails this case as well: AssertionError: ",
    ),
    "expecting a failure from within": (
        f"def test_a(impl):\n    {CALLED}\n    pytest.xfail('known')",
        "the reference fails this case as well: XFailed: known",
    ),
    "a fixture that is not there": (f"def test_a(impl, refrence): {CALLED}", "there is no fixture 'refrence'"),
    "a fixture that raises": (
        f"@pytest.fixture\ndef broken(): raise OSError('disk')\ndef test_a(impl, broken): {CALLED}", "OSError: disk",
    ),
    "an exit": (f"def test_a(impl):\n    {CALLED}\n    raise SystemExit(0)", "SystemExit: 0"),
    "a mistake in the property": (
        f"@given(x=X)\ndef test_a(impl, x):\n    {CALLED}\n    undefined",
        "the reference fails this case as well: NameError: name 'undefined' is not defined",
    ),
    "a mistake in the property's strategy": (
        f"@given(x=X.map(lambda x: undefined))\ndef test_a(impl, x): {CALLED}",
        "NameError: name 'undefined' is not defined",
    ),
    "a claim that the reference breaks": (
        f"@given(x=X)\ndef test_a(impl, x): assert_equal({CALLED}, 3)",
        "the reference fails this case as well: Mismatch: the result differs",
    ),
    "arguments that cannot cross": (
        "def test_a(impl): impl(ONES, object())", "the reference fails this case as well: TypeError",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NEVER_HELD)
def test_what_cannot_be_graded_never_counts_for_the_attempt_or_against_it(
    judge: Judge, author: Author, name: str
) -> None:
    properties, message = NEVER_HELD[name]
    verdict = graded(judge, author.technique(properties), RIGHT)
    assert (verdict.outcome, verdict.passed, verdict.score) == ("not_gradable", False, 0.0)
    assert only(verdict).status == "not_gradable"
    assert (only(verdict).message or "").startswith(message)


@pytest.mark.parametrize(
    "hidden",
    [
        "def test_b(impl): impl(ONES, ONES)\ntest_b.__test__ = False",
        "class Odd:\n    __name__ = 'test_b'\n    def __call__(self): pass\ntest_b = Odd()",
        "import functools\ntest_b = functools.partial(test_a)\ntest_b.__name__ = 'test_b'\ntest_b.__test__ = False",
    ],
)
def test_a_property_that_pytest_does_not_run_did_not_hold(judge: Judge, author: Author, hidden: str) -> None:
    verdict = graded(judge, author.technique(f"def test_a(impl): {CALLED}\n{hidden}"), RIGHT)
    assert [(p.id, p.status, p.message) for p in verdict.properties] == [
        ("a", "held", None), ("b", "not_gradable", "pytest did not run it"),
    ]  # fmt: skip
    assert not verdict.passed


def test_what_cannot_be_graded_does_not_lower_the_score_of_the_rest(judge: Judge, author: Author) -> None:
    technique = author.technique(f"def test_a(impl): {CALLED}\ndef test_b(impl): undefined")
    verdict = graded(judge, technique, RIGHT)
    assert statuses(verdict) == {"a": "held", "b": "not_gradable"}
    assert (verdict.outcome, verdict.passed, verdict.score) == ("not_gradable", False, 1.0)


def test_an_expected_failure_of_the_attempt_is_a_failure(judge: Judge, author: Author) -> None:
    technique = author.technique("@pytest.mark.xfail\ndef test_a(impl): assert impl(ONES, 2 * ONES) == 1")
    assert graded(judge, technique, WRONG).outcome == "fell_short"


@pytest.mark.parametrize("catching", ["except BaseException: pass", "except: pass", "finally: return"])
@pytest.mark.parametrize("given", ["", "@given(x=X)\n"])
def test_a_property_cannot_hide_that_the_attempt_died(judge: Judge, author: Author, catching: str, given: str) -> None:
    argument = ", x" if given else ""
    technique = author.technique(
        f"def test_first(impl): {CALLED}\n"
        f"{given}def test_a(impl{argument}):\n    try: impl(ONES, None)\n    {catching}\n"
        f"def test_last(impl): {CALLED}"
    )
    source = "import os\ndef mean(x, weight): return x.mean() if weight is not None else os._exit(2)"
    verdict = graded(judge, technique, source)
    assert statuses(verdict) == {"first": "held", "a": "died", "last": "not_reached"}


@pytest.mark.parametrize("order", ["[1.0, 2.0]", "[2.0, 1.0]"])
def test_a_property_with_several_parameters_holds_only_with_all_of_them(
    judge: Judge, author: Author, order: str
) -> None:
    technique = author.technique(
        f"@pytest.mark.parametrize('w', {order})\ndef test_a(impl, w): assert impl(ONES, w * ONES) == 1"
    )
    assert graded(judge, technique, RIGHT).outcome == "passed"
    assert graded(judge, technique, WRONG).outcome == "fell_short"


@pytest.mark.parametrize(
    ("properties", "problem"),
    [
        ("def test_a(impl:", "cannot be loaded: SyntaxError: '(' was never closed"),
        ("import nowhere\ndef test_a(impl): pass", "cannot be loaded: ModuleNotFoundError: No module named 'nowhere'"),
        ("pytest.skip('why', allow_module_level=True)\ndef test_a(impl): pass", "cannot be loaded: Skipped: why"),
        ("pytest.importorskip('nowhere')\ndef test_a(impl): pass", "cannot be loaded: Skipped: "),
        ("", "declares no property: functions named test_<claim>"),
        ("def check_a(impl): pass", "declares no property: functions named test_<claim>"),
        (f"class TestA:\n    def test_a(self, impl): {CALLED}\ndef test_b(impl): {CALLED}",
         "cannot be run: properties.py::TestA::test_a is no function of the file named test_<claim>"),
        (f"def testing(impl): {CALLED}\ndef test_b(impl): {CALLED}",
         "cannot be run: properties.py::testing is no function of the file named test_<claim>"),
        ("def test_a(impl):\n    yield 1", "cannot be run: 'yield' keyword is allowed in fixtures, but not in tests"),
        (f"def test_a(impl):\n    {CALLED}\n    pytest.exit('bye')", "cannot be run: _pytest.outcomes.Exit: bye"),
    ],
)  # fmt: skip
def test_properties_that_cannot_be_run_are_the_plugins_problem(
    judge: Judge, author: Author, properties: str, problem: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(PluginProblem) as raised:
        graded(judge, author.technique(properties), RIGHT)
    assert problem in str(raised.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("solution", "problem"),
    [
        ("def mean(x:", "The solution of toys/mean cannot be loaded: SyntaxError: '(' was never closed"),
        ("import nowhere", "The solution of toys/mean cannot be loaded: ModuleNotFoundError: No module named 'nowhere"),
        ("def other(x): pass", "The solution of toys/mean cannot be loaded: "),
        ("def mean(x, weight): return x", "solution.py marks no hole"),
    ],
)
def test_a_broken_solution_is_the_plugins_problem(judge: Judge, author: Author, solution: str, problem: str) -> None:
    with pytest.raises(PluginProblem, match=problem.replace("(", r"\(")):
        graded(judge, author.technique(solution=solution, misconceptions=""), RIGHT)


def test_a_missing_file_is_the_plugins_problem(judge: Judge, author: Author) -> None:
    for missing in ("properties.py", "solution.py"):
        technique = author.technique()
        (technique.files.folder / missing).unlink()
        with pytest.raises(PluginProblem, match=missing):
            graded(judge, technique, WRONG)


# Files beside the properties


EVIL = "import pytest\n@pytest.fixture\ndef impl(): return lambda x, weight: (x * weight).sum() / weight.sum()\n"
EVIL += "@pytest.hookimpl(tryfirst=True)\ndef pytest_pyfunc_call(pyfuncitem): return True\n"
EVIL += "def pytest_collection_modifyitems(items): items.clear()\nprint('loaded')\n"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("conftest.py", EVIL),
        ("pytest.ini", "[pytest]\naddopts = -k nothing -p evil\npython_functions = nothing\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "-k nothing -p evil"\n'),
        ("setup.cfg", "[tool:pytest]\naddopts = -k nothing -p evil\n"),
        ("tox.ini", "[pytest]\naddopts = -k nothing -p evil\n"),
    ],
)
@pytest.mark.parametrize("beside", ["the properties", "the plugin"])
def test_no_file_beside_the_properties_reaches_the_judge(
    judge: Judge, author: Author, file: str, text: str, beside: str, capfd: pytest.CaptureFixture[str]
) -> None:
    technique = author.technique()
    folder = technique.files.folder if beside == "the properties" else technique.files.folder.parent
    (folder / file).write_text(text)
    (author.folder / "evil.py").write_text(EVIL)
    assert graded(judge, technique, RIGHT).outcome == "passed"
    assert graded(judge, technique, WRONG).outcome == "fell_short"
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTEST_ADDOPTS": "-k nothing"},
        {"PYTEST_ADDOPTS": "-p evil"},
        {"PYTEST_PLUGINS": "evil"},
        {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": ""},
        {"HYPOTHESIS_PROFILE": "evil", "HYPOTHESIS_STORAGE_DIRECTORY": "/nowhere"},
        {"PYTHONWARNINGS": "error"},
    ],
)
def test_no_variable_of_the_environment_reaches_the_judge(
    judge: Judge, author: Author, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    technique = author.technique()
    (author.folder / "evil.py").write_text(EVIL)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    assert graded(judge, technique, RIGHT).outcome == "passed"
    assert graded(judge, technique, WRONG).outcome == "fell_short"
    assert "evil" not in sys.modules
    assert dict(os.environ) == before


def test_no_installed_pytest_plugin_reaches_the_judge(judge: Judge, author: Author) -> None:
    technique = author.technique()
    (author.folder / "evil.py").write_text(EVIL)
    info = author.folder / "evil-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pytest11]\nevil = evil\n")
    names = [e.name for e in importlib.metadata.entry_points(group="pytest11")]
    assert "evil" in names
    assert graded(judge, technique, WRONG).outcome == "fell_short"
    assert "evil" not in sys.modules


@pytest.mark.parametrize("profile", ["ci", "evil"])
def test_no_hypothesis_profile_reaches_the_judge(
    judge: Judge, author: Author, profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hypothesis.settings.register_profile("evil", derandomize=True, database=None, max_examples=1, phases=[])
    loaded = hypothesis.settings.get_current_profile_name()
    technique = author.technique(RECORDING)
    try:
        hypothesis.settings.load_profile(profile)
        failed = judge.grade(technique, WRONG, "mean.py", seed=1)
        assert failed.verdict.outcome == "fell_short"
        assert failed.cases
        draws = [taken(technique)]
        for seed in (1, 2):
            graded(judge, technique, RIGHT, seed=seed)
            draws.append(taken(technique))
        assert [len(d) for d in draws[1:]] == [25, 25]
        assert draws[1] != draws[2]
    finally:
        hypothesis.settings.load_profile(loaded)


def test_the_judge_leaves_the_process_as_it_found_it(judge: Judge, author: Author) -> None:
    technique = author.technique()
    graded(judge, technique, RIGHT)  # the first grading imports modules, which stay

    def state() -> Any:
        return (
            dict(os.environ), list(sys.meta_path), list(sys.path), list(warnings.filters), Path.cwd(), sys.stdout,
            hypothesis.settings.get_current_profile_name(), signal.getsignal(signal.SIGINT), threading.active_count(),
            set(sys.modules),
        )  # fmt: skip

    before = state()
    for source in (RIGHT, WRONG, "def mean(x:", "import os\nos._exit(1)"):
        graded(judge, technique, source)
    assert state() == before


GRADES_ALONE = """
import importlib, sys

folder, package = sys.argv[1:]
sys.path.append(folder)

from groundup.core.registry import Registry
from groundup.grader.judging.judge import Judge

technique = Registry([(package, lambda: importlib.import_module(package))]).technique("mean")
print(sorted(Judge(None).killers(technique, "def mean(x, weight): return x.sum()", seed=1)))
"""


def test_nothing_is_written_where_a_learner_stands(tmp_path: Path, author: Author) -> None:
    here = tmp_path / "here"
    here.mkdir()
    package = author.technique(RECORDING).package
    ended = subprocess.run(
        [sys.executable, "-c", GRADES_ALONE, author.folder, package],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "['a']\n", "")
    assert list(here.iterdir()) == []


# Cases and seeds


RECORDING = """
SEEN = []

@given(x=X, weight=WEIGHT, n=st.integers(), text=st.text())
def test_a(impl, reference, x, weight, n, text):
    SEEN.append((x.tolist(), weight.tolist(), n, text))
    check(impl(x, weight), reference(x, weight))
"""


def taken(technique: Any) -> list[Any]:
    taken = list(seen(technique))
    seen(technique).clear()
    return taken


def test_a_seed_draws_the_same_cases_again_and_another_draws_others(judge: Judge, author: Author) -> None:
    technique = author.technique(RECORDING)
    draws = []
    for seed in (5, 5, 6):
        graded(judge, technique, RIGHT, seed=seed)
        draws.append(taken(technique))
    assert len(draws[0]) == 25
    assert draws[0] == draws[1] != draws[2]


def test_a_seed_finds_the_same_counterexample_again(judge: Judge, author: Author) -> None:
    technique = author.technique()
    one, other = (graded(judge, technique, WRONG, seed=11) for _ in range(2))
    assert only(one) == only(other)
    assert (one.diagnosis, one.score) == (other.diagnosis, other.score)


def test_a_grading_without_a_seed_takes_a_fresh_one_and_records_it(judge: Judge, author: Author) -> None:
    technique = author.technique(RECORDING)
    verdicts = [judge.grade(technique, RIGHT, "mean.py").verdict for _ in range(2)]
    taken(technique)
    assert verdicts[0].seed != verdicts[1].seed
    graded(judge, technique, RIGHT, seed=verdicts[0].seed)
    again = taken(technique)
    graded(judge, technique, RIGHT, seed=verdicts[0].seed)
    assert taken(technique) == again


def test_modules_loaded_in_between_do_not_change_what_a_seed_draws(
    judge: Judge, author: Author, monkeypatch: pytest.MonkeyPatch
) -> None:
    technique = author.technique(
        "SEEN = []\n@given(numbers=st.lists(st.integers(), min_size=40))\n"
        "def test_a(impl, numbers): SEEN.append((impl(ONES, ONES), numbers)[1])"
    )
    graded(judge, technique, RIGHT, seed=5)
    before = taken(technique)
    (author.folder / "full_of_constants.py").write_text(f"N = {list(range(1000, 2000))}")
    monkeypatch.setitem(sys.modules, "full_of_constants", importlib.import_module("full_of_constants"))
    graded(judge, technique, RIGHT, seed=5)
    assert taken(technique) == before


def test_properties_do_not_change_each_others_cases(judge: Judge, author: Author) -> None:
    alone = author.technique(RECORDING)
    graded(judge, alone, RIGHT, seed=5)
    first = "@given(x=X)\ndef test_other(impl, x): impl(x, x * 0 + 1)\n"
    beside = author.technique(first + RECORDING)
    graded(judge, beside, RIGHT, seed=5)
    assert taken(alone) == taken(beside)


def test_the_seed_of_the_cases_is_not_told_to_the_attempt(judge: Judge, author: Author) -> None:
    technique = author.technique("SEEN = []\ndef test_a(impl): SEEN.append(impl(ONES, ONES))")
    source = "import torch\ndef mean(x, weight): return torch.initial_seed()"
    told = []
    for seed in (1, 1, 2):
        graded(judge, technique, source, seed=seed)
        told += taken(technique)
    assert told[0] == told[1] != told[2]
    assert not {1, 2} & set(told)
    assert all(0 <= t < 1 << 63 for t in told)


def test_cases_that_failed_before_are_tried_first(judge: Judge, author: Author) -> None:
    technique = author.technique(RECORDING)
    failed = judge.grade(technique, WRONG, "mean.py", seed=1)
    taken(technique)
    shown = only(failed.verdict).counterexample or {}
    smallest = [eval(shown[name], {"torch": torch}).tolist() for name in ("x", "weight")]
    assert list(failed.cases) == [b"toys/mean:test_a"]
    again = judge.grade(technique, RIGHT, "mean.py", seed=2, cases=failed.cases)
    assert list(taken(technique)[0][:2]) == smallest
    assert again.verdict.passed
    assert again.cases == {}, "a case that no longer fails is not kept"
    fresh = judge.grade(technique, WRONG, "mean.py", seed=3, cases=failed.cases)
    assert only(fresh.verdict).counterexample == only(failed.verdict).counterexample
    assert fresh.cases == failed.cases


def test_cases_of_one_technique_are_not_those_of_another(judge: Judge, author: Author) -> None:
    one, other = author.technique(RECORDING), author.technique(RECORDING, name="other-mean")
    failed = judge.grade(one, WRONG, "mean.py", seed=1)
    taken(one)
    graded(judge, other, RIGHT, seed=2)
    without = taken(other)
    assert judge.grade(other, RIGHT, "mean.py", seed=2, cases=failed.cases).cases == failed.cases
    assert taken(other) == without


@pytest.mark.parametrize(
    "cases", [{b"toys/mean:test_a": {b"", b"\xff" * 50}}, {b"": {b""}}, {b"toys/mean:test_a": set()}]
)
def test_kept_cases_that_make_no_sense_do_no_harm(judge: Judge, author: Author, cases: dict[bytes, set[bytes]]) -> None:
    assert graded(judge, author.technique(RECORDING), RIGHT, cases=cases).passed


def test_thorough_grading_tries_more(judge: Judge, author: Author) -> None:
    technique = author.technique(RECORDING)
    verdict = graded(judge, technique, RIGHT, thorough=True)
    assert (verdict.examples, len(taken(technique))) == (200, 200)


def test_an_example_given_by_the_author_is_tried(judge: Judge, author: Author) -> None:
    technique = author.technique(
        "@given(x=X)\n@example(x=ONES * 77)\ndef test_a(impl, reference, x): check(impl(x, ONES), reference(x, ONES))"
    )
    source = "def mean(x, weight): return (x * weight).sum() / weight.sum() + (x.max() > 50)"
    result = only(graded(judge, technique, source))
    assert (result.status, result.counterexample) == ("failed", {"x": "torch.tensor([77.0, 77.0, 77.0])"})


DRAWING = """
@given(data=st.data())
def test_a(impl, reference, data):
    x = data.draw(X, label="numbers")
    check(impl(x, ONES), reference(x, ONES))
    weight = data.draw(WEIGHT)
    check(impl(x, weight), reference(x, weight))
    data.draw(st.integers())
"""


def test_what_a_property_draws_as_it_goes_is_shown_and_drawn_again(judge: Judge, author: Author) -> None:
    technique = author.technique(DRAWING)
    assert graded(judge, technique, RIGHT).passed
    verdict = graded(judge, technique, WRONG)
    assert (only(verdict).status, [d.id for d in verdict.diagnosis]) == ("failed", ["forgets-the-weights"])
    assert only(verdict).counterexample == {
        "data 1": "torch.tensor([0.125, 0.0, 0.0])", "data 2": "torch.tensor([0.5, 0.5, 0.5])",
    }  # fmt: skip


MACHINE_SOLUTION = """
class Counter:
    def __init__(self, start=0):
        # HOLE 1/1: the count
        self.count = start
        # END HOLE

    def add(self, n):
        self.count = self.count + n
        return self.count

    def reset(self):
        self.count = 0
"""
MACHINE = """
from hypothesis.stateful import initialize, invariant, rule

class AgainstANumber(ImplMachine):
    @initialize(start=st.integers(0, 3))
    def begin(self, start):
        self.counter, self.model = self.impl(start), start

    @rule(n=st.integers(0, 9))
    def add(self, n):
        self.model += n
        assert_equal(self.counter.add(n), self.model, what="the count")

    @rule()
    def reset(self):
        self.counter.reset()
        self.model = 0

@state_machine(AgainstANumber)
def test_counts_like_a_number(impl): ...
"""
MACHINE_MISTAKES = """
[[misconception]]
id = "resets-to-one"
in = "Counter.reset"
edit = ["self.count = 0", "self.count = 1"]
says = "w"

[[misconception]]
id = "forgets-its-start"
in = "Counter.__init__"
edit = ["self.count = start", "self.count = 0"]
says = "w"
"""


def counting(author: Author) -> Any:
    manifest = author.manifest.replace('implements="mean"', 'implements="Counter"')
    return author.technique(MACHINE, solution=MACHINE_SOLUTION, misconceptions=MACHINE_MISTAKES, manifest=manifest)


def test_a_state_machine_is_a_property_like_any_other(judge: Judge, author: Author) -> None:
    technique = counting(author)
    assert graded(judge, technique, MACHINE_SOLUTION).passed
    verdict = graded(judge, technique, MACHINE_SOLUTION.replace("self.count = 0", "self.count = 3 - 2"))
    assert (only(verdict).status, [d.id for d in verdict.diagnosis]) == ("failed", ["resets-to-one"])
    assert (only(verdict).expected, only(verdict).got) == ("0", "1")
    steps = (only(verdict).counterexample or {})["steps"].splitlines()
    assert [s.partition("(")[0] for s in steps] == ["state.begin", "state.reset", "state.add"]


def test_a_state_machine_whose_attempt_dies_has_died(judge: Judge, author: Author) -> None:
    source = MACHINE_SOLUTION.replace("self.count = 0", "__import__('os')._exit(9)")
    verdict = graded(judge, counting(author), source)
    assert (only(verdict).status, only(verdict).message) == (
        "died",
        "exit: the process ended by itself with exit code 9",
    )


def test_a_state_machine_draws_the_same_steps_for_the_same_seed(judge: Judge, author: Author) -> None:
    recording = MACHINE.replace("self.model += n", "self.model += n; SEEN.append(n)").replace(
        "class Ag", "SEEN = []\nclass Ag"
    )
    manifest = author.manifest.replace('implements="mean"', 'implements="Counter"')
    technique = author.technique(
        recording, solution=MACHINE_SOLUTION, misconceptions=MACHINE_MISTAKES, manifest=manifest
    )
    draws = []
    for seed in (1, 1, 2):
        graded(judge, technique, MACHINE_SOLUTION, seed=seed)
        draws.append(taken(technique))
    assert len(draws[0]) > 25
    assert draws[0] == draws[1] != draws[2]


# Files that change


def test_properties_and_solution_are_read_again_when_they_have_changed(judge: Judge, author: Author) -> None:
    technique = author.technique(misconceptions="")
    files = technique.files
    assert graded(judge, technique, RIGHT).passed
    files.properties.write_text(
        files.properties.read_text() + "\n\ndef test_more(impl): assert impl(ONES, ONES) == 2\n"
    )
    verdict = graded(judge, technique, RIGHT)
    assert statuses(verdict) == {"equals_the_reference": "held", "more": "not_gradable"}
    files.solution.write_text(files.solution.read_text().replace("total / weight.sum()", "2 * total / weight.sum()"))
    verdict = graded(judge, technique, RIGHT)
    assert statuses(verdict) == {"equals_the_reference": "failed", "more": "failed"}


def test_a_property_that_was_removed_or_renamed_is_no_longer_asked_for(judge: Judge, author: Author) -> None:
    technique = author.technique(SEVERAL)
    files = technique.files
    assert len(graded(judge, technique, RIGHT).properties) == 4
    files.properties.write_text(files.properties.read_text().replace("test_first", "test_renamed"))
    assert list(statuses(graded(judge, technique, RIGHT))) == ["renamed", "second", "third", "fourth"]


def test_another_techniques_module_of_the_same_short_name_is_not_taken_for_it(judge: Judge, author: Author) -> None:
    one = author.technique()
    other = author.technique("def test_x(impl): impl(ONES, ONES)", name="other")
    for _ in range(2):
        assert list(statuses(graded(judge, one, RIGHT))) == ["equals_the_reference"]
        assert list(statuses(graded(judge, other, RIGHT))) == ["x"]


# Ctrl-C


def test_ctrl_c_during_a_call_ends_the_grading_and_the_process(judge: Judge, author: Author) -> None:
    technique = author.technique(manifest=author.manifest.replace("call_seconds=1.0", "call_seconds=50.0"))
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        graded(judge, technique, "def mean(x, weight):\n    while True: pass")
    timer.join()
    assert graded(judge, technique, RIGHT).passed


def test_a_property_that_is_interrupted_interrupts_the_grading(judge: Judge, author: Author) -> None:
    with pytest.raises(KeyboardInterrupt):
        graded(judge, author.technique(f"def test_a(impl):\n    {CALLED}\n    raise KeyboardInterrupt"), RIGHT)


# For authors


def test_the_killers_of_a_trusted_source_are_found_without_a_process(author: Author) -> None:
    judge = Judge(None)  # type: ignore[arg-type]
    technique = author.technique(SEVERAL)
    assert judge.killers(technique, WRONG, seed=1) == {"second"}
    assert judge.killers(technique, RIGHT, seed=1) == set()
    assert Properties(technique).names == ["first", "second", "third", "fourth"]


def test_a_property_that_presupposes_another_is_tried_on_its_own_for_authors(author: Author) -> None:
    technique = author.technique(
        "def test_a(impl): assert impl(ONES, ONES) == 1\n@after(test_a)\ndef test_b(impl): assert impl(ONES, ONES) == 1"
    )
    assert Judge(None).killers(technique, "def mean(x, weight): return x.sum()", seed=1) == {"a", "b"}  # type: ignore[arg-type]


# The learner's file


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"x = 1\n", "x = 1\n"), (b"", ""), (b"x = 1\r\n", "x = 1\r\n"), ("# 加权\n".encode(), "# 加权\n"),
        (b"\xef\xbb\xbfx = 1\n", "\ufeffx = 1\n"), (b"\0", "\0"),
    ],
)  # fmt: skip
def test_an_attempt_is_read_as_it_is(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "mean.py"
    path.write_bytes(content)
    assert read_attempt(path) == text


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda p: None, "There is no file {path}."),
        (lambda p: p.mkdir(), "{path} is not a file."),
        (os.mkfifo, "{path} is not a file."),
        (lambda p: p.write_bytes("é".encode("latin-1")), "{path} is not UTF-8 text (byte 0): save it as UTF-8."),
        (lambda p: p.write_bytes("x = 1".encode("utf-16")), "{path} is not UTF-8 text (byte 0): save it as UTF-8."),
        (lambda p: p.write_bytes(b"#" * (128 * 1024 + 1)), "{path} is larger than 128 KiB: that is no attempt."),
        (lambda p: p.symlink_to(p.parent / "nowhere"), "There is no file {path}."),
    ],
)
def test_what_cannot_be_an_attempt_is_named(tmp_path: Path, make: Callable[[Path], Any], problem: str) -> None:
    path = tmp_path / "mean.py"
    make(path)
    with pytest.raises(UsageProblem) as raised:
        read_attempt(path)
    assert str(raised.value) == problem.format(path=path)


@pytest.mark.parametrize("character", ["\x01", "é", "加", "🙂", "#"])
def test_the_longest_attempt_can_be_graded(judge: Judge, author: Author, tmp_path: Path, character: str) -> None:
    count = (LONGEST_SOURCE - len(RIGHT.encode()) - 3) // len(character.encode())
    path = tmp_path / "mean.py"
    path.write_text(f"# {character * count}\n{RIGHT}", encoding="utf-8")
    verdict = graded(judge, author.technique(f"def test_a(impl): {CALLED}"), read_attempt(path))
    assert (verdict.problem, verdict.outcome) == (None, "passed")


def test_what_the_judge_hands_to_properties_is_not_the_solution(judge: Judge, author: Author) -> None:
    technique = author.technique(
        "SEEN = []\ndef test_a(impl, reference): SEEN.extend([impl, reference, impl(ONES, ONES)])"
    )
    graded(judge, technique, RIGHT)
    impl, reference, answer = seen(technique)
    assert impl is not reference
    assert isinstance(reference, types.FunctionType)
    assert not isinstance(impl, types.FunctionType)
    assert torch.equal(answer, torch.tensor(1.0))
