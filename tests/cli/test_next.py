"""``learn next``, and the next steps that a pass, ``learn`` alone and ``learn status`` offer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from groundup.cli.context import registry
from groundup.cli.screen import Screen
from groundup.grader.judging.verdict import Attempt, Verdict
from groundup.grader.learner.state import State

LAB = """
from groundup.core.lab import Figure, Lab, Outcome

LAB = Lab(title="A toy's lab", x="x", y="y", uses=("toys/{name}",))


def run(bench):
    bench.point("error", 0.0, 1.0)
    return Outcome(figures=(Figure(name="error", value=1.0),))
"""
QUIZ = """
- id: which
  kind: number
  section: Scaling
  ask: How many?
  answer: 3
  why: Three.
"""
ROADMAP = """
from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Day, Roadmap


@hookimpl
def roadmaps():
    days = [
        Day(number=1, title="First", techniques=["toys/a", "toys/b", "toys/c", "toys/unwritten"], elective=["toys/c"]),
        Day(number=2, title="None", techniques=["toys/also-unwritten"]),
        Day(number=3, title="Third", techniques=["toys/d"]),
    ]
    return [Roadmap(id="short", title="A short one", days=days)]
"""


class Learner:
    """A learner's progress, written to the database directly: nothing is graded or run, no quiz is asked."""

    def __init__(self, learn: Any, folder: Path) -> None:
        self.learn, self.folder = learn, folder

    def state(self) -> State:
        return State(self.folder / ".learn" / "learn.db")

    def graded(self, technique: str, *, passed: bool = True) -> None:
        outcome: Any = "passed" if passed else "fell_short"
        verdict = Verdict(
            technique=technique, version=1, passed=passed, outcome=outcome, score=1.0 if passed else 0.5, seed=0,
            examples=25, seconds=0.1, containment="process", attempt=Attempt(path="x.py", sha256="0" * 64),
            holes=(), properties=(),
        )  # fmt: skip
        with self.state() as state:
            state.record(verdict, "", {})

    def ran(self, technique: str, *, quick: bool = False) -> None:
        run = {"contestant": "yours", "quick": quick, "outcome": {"figures": [], "mark": None}}
        with self.state() as state:
            state.record_lab(technique, [run], b"")

    def asked(self, technique: str) -> None:
        with self.state() as state:
            state.record_quiz(technique, 1, "0" * 64, 1, {"which": (3, True)})

    def next(self) -> list[str]:
        """Return the commands of the next steps."""
        return [step["command"] for step in json.loads(self.learn("next", "--json").stdout)["steps"]]


@pytest.fixture
def learner(learn: Any, plugins: Any, here: Path) -> Learner:
    """A learner who follows a roadmap of three days; ``a`` has a lab and a quiz, the others have neither."""
    plugins.install(ROADMAP)
    plugins.technique("a", lab=LAB.replace("{name}", "a"), quiz__yaml=QUIZ)
    for name in ("b", "c", "d", "beside"):
        plugins.technique(name)
    learn("start", "a")
    settings = here / "workspace" / "learn.toml"
    settings.write_text(settings.read_text().replace('"fourteen-days"', '"short"'))
    return Learner(learn, here / "workspace")


def test_after_a_pass_the_steps_come_in_their_order_and_each_only_until_it_is_done(learner: Learner) -> None:
    learn = learner.learn
    assert learner.next() == ["learn read a"]
    learner.graded("toys/a", passed=False)
    assert learner.next() == ["learn read a"]
    learner.graded("toys/a")
    assert learner.next() == ["learn run a", "learn quiz a", "learn start b"]
    learner.ran("toys/a", quick=True)
    assert learner.next() == ["learn run a", "learn quiz a", "learn start b"]  # a quick run measures nothing
    learner.ran("toys/a")
    assert learner.next() == ["learn quiz a", "learn start b"]
    learner.asked("toys/a")
    assert learner.next() == ["learn start b"]
    learn("start", "b")
    assert learner.next() == ["learn read b"]
    learner.graded("toys/b")
    assert learner.next() == ["learn brief --out brief.html"]  # c is elective, the fourth is not written yet
    learn("brief", "--out", "brief.html")
    assert learner.next() == ["learn start day-3"]
    learn("start", "day-3")
    learner.graded("toys/d")
    learn("brief")
    (step,) = json.loads(learn("next", "--json").stdout)["steps"]
    assert (step["does"], step["purpose"]) == ("start", "a technique beside the roadmap")


def test_what_was_begun_elsewhere_comes_before_the_end_of_the_day(learner: Learner) -> None:
    learner.learn("start", "d")
    for technique in ("toys/a", "toys/b"):
        learner.graded(technique)
    learner.ran("toys/a")
    learner.asked("toys/a")
    assert learner.next() == ["learn read d"]


def test_what_was_left_undone_in_the_day_comes_before_its_brief(learner: Learner) -> None:
    learner.graded("toys/a")
    learner.graded("toys/b")
    assert learner.next() == ["learn run a"]


def test_what_was_touched_last_goes_on(learner: Learner) -> None:
    learner.learn("start", "d")
    learner.graded("toys/a")
    learner.graded("toys/d", passed=False)
    assert learner.next() == ["learn read d"]
    learner.ran("toys/a")
    assert learner.next()[0] == "learn quiz a"


def test_when_all_is_passed_it_is_said(learner: Learner) -> None:
    for technique in json.loads(learner.learn("status", "--json").stdout)["techniques"]:
        learner.graded(technique["id"])
    learner.graded("toys/beside")
    assert learner.next() == []
    for command in (["next"], [], ["status"]):
        assert "You have passed every technique written so far." in learner.learn(*command).stdout


# Output


def test_learn_alone_shows_how_far_one_is_and_offers_the_next_step(learner: Learner) -> None:
    learner.graded("toys/a")
    head, bar, *rest = learner.learn().stdout.splitlines()
    assert head.startswith("workspace: 1 of ")
    assert set(bar) == {"█", "░"}
    assert rest == [
        "",
        "Next",
        "  learn run a    the lab: your own code in a closed loop",
        "  learn quiz a   the quiz, with numbers of its own",
        "  learn start b  the next technique of day-1",
        "  learn next     does the first of these",
        "  learn status   where you stand",
    ]
    learner.ran("toys/a")
    learner.asked("toys/a")
    assert learner.learn().stdout.endswith(
        "Next\n  learn start b  the next technique of day-1\n  learn next     does this\n"
        "  learn status   where you stand\n"
    )


def test_a_half_finished_quiz_is_gone_on_with(learner: Learner) -> None:
    learner.graded("toys/a")
    with learner.state() as state:
        state.answer_quiz(state.begin_quiz("toys/a", 1, "0" * 64, 2), "which", 3, True)
    assert "learn quiz a   the quiz, where you stopped" in learner.learn().stdout


def test_learn_alone_without_a_workspace_says_how_to_begin(learn: Any, here: Path) -> None:
    for command in ([], ["next"]):
        assert re.search(r"\n  learn start day-\d+ +make one, with the first stubs\n", learn(*command).stdout)
    assert list(here.iterdir()) == []
    assert json.loads(learn("next", "--json").stdout) == {"workspace": None, "steps": []}


# Actions


def test_a_hole_is_the_learner_s_and_next_says_where_it_is(learner: Learner) -> None:
    attempt = learner.folder / "toys" / "a.py"
    before = attempt.read_text()
    assert learner.learn("next").stdout == (
        "toys/a: fill hole 1 in workspace/toys/a.py: the factor.\n"
        "\n"
        "Next\n"
        "  learn read a    the lesson\n"
        "  learn grade a   what holds of your attempt\n"
        "  learn hint a 1  a hint\n"
    )
    assert attempt.read_text() == before
    attempt.write_text("def scale(x, by):\n    return x\n")
    assert "every hole is filled in workspace/toys/a.py; it has not passed yet." in learner.learn("next").stdout
    with learner.state() as state:
        assert state.verdicts() == []


def first_line(result: Any) -> str:
    return str(result.stdout.splitlines()[0])


def test_next_puts_the_stubs_of_the_next_technique(learner: Learner) -> None:
    learner.graded("toys/a")
    learner.ran("toys/a")
    learner.asked("toys/a")
    result = learner.learn("next")
    assert (result.exit_code, first_line(result)) == (0, "learn start b  the next technique of day-1")
    assert "  toys/b  workspace/toys/b.py  new" in result.stdout
    assert (learner.folder / "toys" / "b.py").is_file()
    assert not (learner.folder / "toys" / "c.py").exists()


def test_next_runs_the_lab(learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    from groundup.cli import run

    ran: list[Any] = []
    monkeypatch.setattr(run, "_run", lambda *given: ran.append(given) or [])
    learner.graded("toys/a")
    result = learner.learn("next")
    assert first_line(result) == "learn run a  the lab: your own code in a closed loop"
    ((technique, _, reference, quick, *_),) = ran
    assert (technique.id, reference, quick) == ("toys/a", False, False)


def test_next_begins_the_quiz_and_what_follows_is_told_at_its_end(
    learn: Any, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn("start", "gae")
    learner = Learner(learn, here / "workspace")
    learner.graded("rl/gae")
    learner.ran("rl/gae")
    stopped = learn("next", input="")
    assert first_line(stopped) == "learn quiz gae  the quiz, with numbers of its own"
    assert stopped.exit_code == 130
    with learner.state() as state:
        assert [quiz.status for quiz in state.quizzes()] == ["open"]
    (here / "answers.yaml").write_text(learn("quiz", "gae", "--sheet").stdout)
    finished = learn("quiz", "gae", "--answers", "answers.yaml")
    assert finished.stdout.endswith("\nNext\n  learn brief --out brief.html  day-4 as a page, with its evidence\n")


def test_at_the_end_of_a_day_next_writes_the_brief(learner: Learner, here: Path) -> None:
    for technique in ("toys/a", "toys/b"):
        learner.graded(technique)
    learner.ran("toys/a")
    learner.asked("toys/a")
    result = learner.learn("next")
    assert result.stdout.startswith(
        "learn brief --out brief.html  day-1 as a page, with its evidence\n\nWrote brief.html: "
    )
    assert (here / "brief.html").is_file()
    assert learner.next() == ["learn start day-3"]


def test_a_brief_as_data_is_no_page(learner: Learner) -> None:
    for technique in ("toys/a", "toys/b"):
        learner.graded(technique)
    learner.ran("toys/a")
    learner.asked("toys/a")
    learner.learn("brief", "--json")
    assert learner.next() == ["learn brief --out brief.html"]


def test_a_step_that_cannot_be_done_ends_as_its_own_command_does(learner: Learner, here: Path) -> None:
    for technique in ("toys/a", "toys/b"):
        learner.graded(technique)
    learner.ran("toys/a")
    learner.asked("toys/a")
    (here / "brief.html").write_text("mine")
    result = learner.learn("next")
    assert result.exit_code == 2
    assert "'learn brief' did not write it" in result.stderr
    assert (here / "brief.html").read_text() == "mine"


@pytest.mark.usefixtures("grading")
def test_a_verdict_that_passes_names_the_way_on(learner: Learner, plugins: Any) -> None:
    learner.learn("start", "b")
    solution = plugins.site / plugins.packages[2] / "solution.py"
    (learner.folder / "toys" / "b.py").write_text(solution.read_text())
    result = learner.learn("grade", "b")
    assert result.stdout.endswith(
        "\nNext\n"
        "  learn read a      the lesson of what you have begun\n"
        "  learn solution b  the reference, to compare with\n"
    )


def test_watch_names_the_way_on_after_a_pass(learner: Learner, capsys: pytest.CaptureFixture[str]) -> None:
    learner.graded("toys/a")
    learner.graded("toys/b", passed=False)
    with learner.state() as state:
        (passed,), (short,) = state.verdicts("toys/a"), state.verdicts("toys/b")
    screen = Screen("en")
    for verdict, names_it in ((passed, True), (short, False)):
        technique = registry().technique(verdict.technique)
        screen.begin(technique, learner.folder / technique.file)
        screen.tell("verdict", verdict.model_dump(mode="json", round_trip=True))
        assert ("\nNext\n  learn run a" in capsys.readouterr().out) is names_it


def test_next_speaks_chinese(learner: Learner) -> None:
    assert "填" in learner.learn("next", "--lang", "zh").stdout
    learner.graded("toys/a")
    assert "learn next     执行其中的第一步" in learner.learn("--lang", "zh").stdout
    learner.ran("toys/a")
    learner.asked("toys/a")
    result = learner.learn("next", "--lang", "zh")
    assert first_line(result) == "learn start b  day-1 的下一项技术"
    assert "workspace/toys/b.py  新建" in result.stdout
