from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
from click.testing import CliRunner, Result

from groundup.cli import context
from groundup.cli.main import cli
from groundup.core.quiz.question import Asked, NotAnAnswer
from groundup.core.registry import Registry
from groundup.core.technique import Day, Roadmap
from groundup.grader.learner.quiz import Quiz, question_kinds, read_quiz, read_quiz_file
from groundup.grader.learner.records import QuizRecord
from groundup.grader.learner.state import State

SEED = 11
QUIZ = Path(__file__).with_name("gae_quiz.yaml")  # a quiz on gae that stays as it is
READ = "groundup.grader.learner.quiz.read_quiz"


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quizzes ask QUIZ."""
    monkeypatch.setattr(READ, lambda technique, kinds: read_quiz_file(QUIZ, technique.id, kinds))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace, which is also the current folder."""
    (tmp_path / "learn.toml").write_text('lang = "en"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEARN_COMMAND", raising=False)
    return tmp_path


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def gae() -> Quiz:
    known = context.registry()
    return read_quiz_file(QUIZ, "rl/gae", question_kinds(known)[0])


def learn(*args: str, typed: list[str] | None = None) -> Result:
    return CliRunner().invoke(cli, ["quiz", *args], input="".join(f"{line}\n" for line in typed or []))


def is_wrong(question: Asked, given: str) -> bool:
    with contextlib.suppress(NotAnAnswer):
        return question.credit(question.read(given)) == 0
    return False


def typed(question: Asked, right: bool = True) -> str:
    """Return what a user would type for ``question``: letters for options, a number otherwise."""
    letters = {str(text): letter for letter, text in question.choices().items()}
    answer = question.right_answer()
    if question.kind == "matching":
        pairs = [pair.split()[0] for pair in question.shown(answer, "en").split("; ")]
        return " ".join(pairs if right else [f"{n}{pair[-1]}" for n, pair in enumerate(pairs[1:] + pairs[:1], start=1)])
    if not letters:
        return (
            str(answer) if right else next(wrong for wrong in map(str, (1, 2, 987654321)) if is_wrong(question, wrong))
        )
    options = getattr(question, "options")  # noqa: B009
    right_letters = "".join(letters[str(options[key])] for key in ([answer] if isinstance(answer, str) else answer))
    return right_letters if right else next(a for a in ("A", "B", "".join(letters.values())) if a != right_letters)


def answers(seed: int = SEED, wrong: tuple[int, ...] = ()) -> list[str]:
    """Answers to the quiz on gae: right ones, except for the questions whose numbers are in ``wrong``."""
    return [typed(q, right=n not in wrong) for n, q in enumerate(gae().drawn(seed), start=1)]


def records(folder: Path) -> list[QuizRecord]:
    with State(folder / ".learn" / "learn.db") as state:
        return state.quizzes()


# A day


def test_a_day_asks_the_quizzes_of_its_techniques_and_goes_on_where_it_stopped(folder: Path) -> None:
    """The quizzes here all ask QUIZ. Day 3 has policy-gradient and advantage."""
    total, seed = len(gae().questions), ("--seed", str(SEED))
    first = learn("day-3", *seed, typed=answers() + answers()[:3])
    assert first.exit_code == 130
    assert "'learn quiz day-3' goes on from there" in re.sub(r"\s+", " ", first.output)
    assert [(r.technique, r.status) for r in records(folder)] == [
        ("rl/advantage", "open"),
        ("rl/policy-gradient", "finished"),
    ]
    second = learn("day-3", typed=answers()[3:])
    assert second.exit_code == 0, second.output
    assert "rl/policy-gradient" not in second.output
    assert f"day-3: {total} of {total} right." in second.output
    third = learn("day-3", *seed, "--json", typed=answers() + answers(wrong=(2,)))
    assert third.exit_code == 1
    data = json.loads(third.stdout)
    assert (data["day"], data["right"], data["total"]) == ("day-3", 2 * total - 1, 2 * total)
    assert [review["technique"] for review in data["quizzes"]] == ["rl/policy-gradient", "rl/advantage"]


def test_a_day_of_one_technique_leaves_out_the_elective_and_needs_no_workspace(nowhere: Path) -> None:
    result = learn("day-4", "--seed", str(SEED), typed=answers())
    assert result.exit_code == 0, result.output
    assert "actor-critic" not in result.output
    assert "There is no workspace here, so nothing is recorded." in result.output


def test_a_day_of_a_roadmap_may_name_its_quizzes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    days = (Day(number=1, title="One", techniques=("rl/gae",), quiz=("mdp", "ppo")),)
    monkeypatch.setitem(context.registry().roadmaps, "fourteen-days", Roadmap(id="fourteen-days", title="T", days=days))
    result = learn("day-1", "--seed", str(SEED), "--json", typed=answers() * 2)
    assert [review["technique"] for review in json.loads(result.stdout)["quizzes"]] == ["rl/mdp", "alignment/ppo"]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["day-3", "--sheet"], "--answers and --sheet go with a technique, not with a day."),
        (["day-14"], "There is no quiz on day-14 yet. There are quizzes on"),
        (["day-99"], "no 'day-99'"),
    ],
)
def test_a_day_that_cannot_be_asked_says_why(nowhere: Path, args: list[str], why: str) -> None:
    result = learn(*args)
    assert result.exit_code == 2
    assert why in result.stderr


# Asked one by one


def test_a_quiz_that_is_all_right_says_so_and_ends_with_0(folder: Path) -> None:
    result = learn("gae", "--seed", str(SEED), typed=answers())
    assert result.exit_code == 0, result.output
    total = len(gae().questions)
    assert f"{total} of {total} right. Recorded in your workspace, seed {SEED}." in result.output
    assert result.output.count("✓ Right: ") == total
    assert "To read again" not in result.output
    (record,) = records(folder)
    assert (record.status, record.technique, record.seed, record.right, record.questions) == (
        "finished",
        "rl/gae",
        SEED,
        total,
        total,
    )


def test_a_wrong_answer_is_told_with_the_right_one_why_and_who_says_so(folder: Path) -> None:
    result = learn("gae", "--seed", str(SEED), typed=answers(wrong=(1, 11)))
    assert result.exit_code == 1
    assert result.output.count("✗ Not right. The answer is ") == 2
    first = result.output[result.output.index("1/14") : result.output.index("2/14")]
    question = gae().drawn(SEED)[0]
    assert f"The answer is {question.shown(question.right_answer(), 'en')}" in first
    assert "delta_t = r_t + gamma * V(s_t+1) - V(s_t)" in first
    assert "https://arxiv.org/abs/1506.02438" in re.sub(r"\s+", " ", first)
    summary = result.output[result.output.index("12 of 14 right.") :]
    assert "To read again (learn read gae):" in summary
    assert "A worked example  (question 1)" in summary
    assert "Traps  (question 11)" in summary


def test_nonsense_is_asked_again_with_the_reason_and_does_not_count(folder: Path) -> None:
    given = answers()
    nonsense = ["", "   ", "lots", "1.7 GB", "nan"]
    result = learn("gae", "--seed", str(SEED), typed=[*nonsense, given[0], given[1], given[2], "Z", "AB", *given[3:]])
    assert result.exit_code == 0, result.output
    for reason in (
        "Nothing was typed. That does not count.",
        "'lots' is no number such as 1.7 or 1.7e9. That does not count.",
        "'GB' is not understood here: give the number alone. That does not count.",
        "'nan' is no number",
        "'Z' is none of A to D. That does not count.",
        "Only one of them is right: give one letter. That does not count.",
    ):
        assert reason in re.sub(r"\s+", " ", result.output)
    assert records(folder)[0].right == len(given)


def test_a_quiz_that_ends_half_way_goes_on_where_it_stopped(folder: Path) -> None:
    given = answers(wrong=(2,))
    first = learn("gae", "--seed", str(SEED), typed=given[:3])
    assert first.exit_code == 130
    assert "Stopped with 3 of 14 answered; those are kept. 'learn quiz gae' goes on from there." in first.output
    assert "of 14 right" not in first.output
    assert [(r.status, len(r.answers)) for r in records(folder)] == [("open", 3)]
    again = learn("gae", typed=given[3:])
    assert again.exit_code == 1
    assert "You go on where you stopped: 3 of 14 are answered." in re.sub(r"\s+", " ", again.output)
    assert "\n3/14" not in again.output
    asked = gae().drawn(SEED)[3]
    assert f"4/14  {asked.text['en'][:60]}" in again.output
    assert f"13 of 14 right. Recorded in your workspace, seed {SEED}." in again.output
    assert "A worked example" not in again.output
    assert "Where an episode ends  (question 2)" in again.output
    (record,) = records(folder)
    assert (record.status, record.right) == ("finished", 13)


def test_a_quiz_that_is_finished_is_not_resumed(folder: Path) -> None:
    assert learn("gae", "--seed", str(SEED), typed=answers()).exit_code == 0
    assert "You go on" not in learn("gae").output
    assert [r.status for r in records(folder)] == ["open", "finished"]


@pytest.mark.parametrize("again", [["--fresh"], ["--seed", "12"], ["--fresh", "--seed", "12"]])
def test_fresh_or_another_seed_begins_anew(folder: Path, again: list[str]) -> None:
    learn("gae", "--seed", str(SEED), typed=answers()[:3])
    result = learn("gae", *again)
    assert "\n1/14" in result.output
    assert [(r.status, len(r.answers)) for r in records(folder)] == [("open", 0), ("given_up", 3)]


def test_the_same_seed_resumes_too(folder: Path) -> None:
    learn("gae", "--seed", str(SEED), typed=answers()[:3])
    assert "\n4/14" in learn("gae", "--seed", str(SEED)).output
    assert len(records(folder)) == 1


def test_a_quiz_with_every_answer_but_no_end_is_ended(folder: Path) -> None:
    quiz = gae()
    with State(folder / ".learn" / "learn.db") as state:
        number = state.begin_quiz("rl/gae", SEED, quiz.sha256, len(quiz.questions))
        for question in quiz.drawn(SEED):
            state.answer_quiz(number, question.id, question.right_answer(), True)
    result = learn("gae")
    assert result.exit_code == 0
    assert "14 of 14 right." in result.output
    assert [r.status for r in records(folder)] == ["finished"]


def test_a_quiz_whose_file_has_changed_begins_anew(folder: Path) -> None:
    with State(folder / ".learn" / "learn.db") as state:
        number = state.begin_quiz("rl/gae", SEED, "0" * 64, 3)
        state.answer_quiz(number, "one-step-error", 1.0, False)
    result = learn("gae")
    assert "The quiz has changed since you began it, so it begins anew." in re.sub(r"\s+", " ", result.output)
    assert "\n1/14" in result.output


def test_the_same_seed_asks_the_same_and_another_asks_something_else(nowhere: Path) -> None:
    def asked(seed: int) -> str:
        result = learn("gae", "--seed", str(seed), typed=answers(seed))
        return result.output.replace(f"seed {seed}", "")

    assert asked(SEED) == asked(SEED)
    assert asked(SEED) != asked(SEED + 1)
    orders = {tuple(gae().drawn(seed)[3].choices()["A"].values()) for seed in range(20)}
    assert len(orders) == 4


def test_without_a_workspace_it_works_and_says_that_nothing_is_recorded(nowhere: Path) -> None:
    result = learn("gae", "--seed", str(SEED), typed=answers())
    assert result.exit_code == 0
    assert result.output.count("There is no workspace here, so nothing is recorded.") == 2
    assert list(nowhere.iterdir()) == []
    stopped = learn("gae", typed=["1"])
    assert stopped.exit_code == 130
    assert "Without a workspace nothing is kept." in stopped.output


def test_a_seed_of_its_own_is_drawn_each_time(nowhere: Path) -> None:
    seeds = {re.search(r"seed (\d+)\.", learn("gae").output)[1] for _ in range(5)}  # type: ignore[index]
    assert len(seeds) > 1


def test_it_speaks_chinese(folder: Path) -> None:
    result = learn("gae", "--lang", "zh", "--seed", str(SEED), typed=["不知道", *answers(wrong=(1,))])
    assert result.exit_code == 1
    for text in (
        "共 14 题",
        "答案保存在你的工作区里",
        "不是像 1.7",
        "这次不算",
        "不正确。答案是",
        "出处：",
        "建议重读",
    ):
        assert text in result.output
    assert "14 题答对 13 题。" in result.output
    assert "一个算例（第 1 题）" in result.output
    assert not re.search(r"\b(Your|answer is|Right|Source|question)\b", result.output)


# As data


def test_json_is_the_review_and_the_questions_go_to_stderr(folder: Path) -> None:
    result = learn("gae", "--json", "--seed", str(SEED), typed=answers(wrong=(4,)))
    assert result.exit_code == 1
    review = json.loads(result.stdout)
    assert (review["technique"], review["seed"], review["right"], review["total"]) == ("rl/gae", SEED, 13, 14)
    assert (review["recorded"], review["finished"], review["study"]) == (True, True, ["The formula"])
    fourth = review["questions"][3]
    assert (fourth["id"], fourth["kind"], fourth["right"], len(fourth["choices"])) == ("lambda-one", "single", False, 4)
    assert fourth["right_answer"].endswith("The discounted return from step t on, minus V(s_t)")
    assert fourth["source"]["where"] == "eq. 18"
    assert "Your answer" in result.stderr


def test_json_of_a_quiz_that_stopped_holds_no_answer_of_open_questions(folder: Path) -> None:
    result = learn("gae", "--json", "--seed", str(SEED), typed=answers()[:2])
    assert result.exit_code == 130
    review = json.loads(result.stdout)
    assert (review["answered"], review["finished"], review["right"]) == (2, False, 2)
    assert [q["right_answer"] is None for q in review["questions"]] == [False] * 2 + [True] * 12
    assert [q["explanation"] is None for q in review["questions"]] == [False] * 2 + [True] * 12


# From a file


def file_of(folder: Path, wrong: tuple[int, ...] = (), **changes: object) -> str:
    given = {q.id: a for q, a in zip(gae().questions, answers(wrong=wrong), strict=True)}
    file = folder / "answers.json"
    file.write_text(json.dumps({"seed": SEED, **given, **changes}))
    return str(file)


def test_answers_in_a_file_are_judged_and_recorded(folder: Path) -> None:
    result = learn("gae", "--answers", file_of(folder))
    assert result.exit_code == 0, result.output
    assert f"14 of 14 right. Recorded in your workspace, seed {SEED}." in result.output
    assert "Your answer" not in result.output
    assert [(r.status, r.seed, r.right) for r in records(folder)] == [("finished", SEED, 14)]
    result = learn("gae", "--answers", file_of(folder, wrong=(2, 3)), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["right"] == 12


def test_a_question_without_an_answer_is_not_right_and_told_as_such(nowhere: Path) -> None:
    result = learn("gae", "--answers", file_of(nowhere, **{"two-steps": None}))
    assert result.exit_code == 1
    assert result.output.count("Not answered. The answer is ") == 1
    assert "13 of 14 right." in result.output


def test_bad_answers_end_with_2_and_file_line_and_question(folder: Path) -> None:
    (folder / "mine.yaml").write_text(f"seed: {SEED}\none-step-error: many\n\nlambda-on: A\n")
    result = learn("gae", "--answers", "mine.yaml")
    assert result.exit_code == 2
    assert "mine.yaml:2: one-step-error: 'many' is no number" in result.stderr
    assert "mine.yaml:4: lambda-on: no such question; did you mean 'lambda-one'?" in result.stderr
    assert result.stdout == ""
    assert not (folder / ".learn" / "learn.db").exists() or records(folder) == []
    assert learn("gae", "--answers", "nowhere.yaml").exit_code == 2


def test_a_sheet_can_be_filled_in(folder: Path) -> None:
    sheet = learn("gae", "--sheet", "--seed", str(SEED))
    assert sheet.exit_code == 0
    right = dict(zip((f"{q.id}:" for q in gae().questions), answers(), strict=True))
    lines = [f"{line} {right[line]}" if line in right else line for line in sheet.output.splitlines()]
    (folder / "sheet.yaml").write_text("\n".join(lines))
    result = learn("gae", "--answers", "sheet.yaml")
    assert result.exit_code == 0, result.output
    assert records(folder)[0].seed == SEED


@pytest.mark.parametrize("options", [["--sheet", "--json"], ["--sheet", "--fresh"], ["--answers", "a.yaml", "--fresh"]])
def test_options_that_do_not_go_together_are_told(nowhere: Path, options: list[str]) -> None:
    (nowhere / "a.yaml").write_text("")
    assert learn("gae", *options).exit_code == 2


# Names


def test_a_technique_of_no_such_name_is_told_with_the_one_that_was_meant(nowhere: Path) -> None:
    result = learn("kv-cach")
    assert result.exit_code == 2
    assert "Did you mean 'inference/kv-cache'?" in result.stderr


def test_a_technique_without_a_quiz_is_told_with_those_that_have_one(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    technique = context.registry().technique("gae")
    monkeypatch.setattr(technique.files, "quiz", nowhere / "none.yaml")
    result = learn("gae")
    assert result.exit_code == 2
    others = ", ".join(sorted(t.name for t in Registry().techniques.values() if t.name != "gae"))
    assert f"There is no quiz on rl/gae yet. There are quizzes on {others}." in result.stderr


def test_a_broken_quiz_file_ends_with_3_and_its_place(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nowhere / "broken.yaml").write_text("questions:\n  - id: x\n")
    monkeypatch.setattr(READ, read_quiz)
    monkeypatch.setattr(context.registry().technique("gae").files, "quiz", nowhere / "broken.yaml")
    result = learn("gae")
    assert result.exit_code == 3
    assert "broken.yaml:2: questions[1].kind: no kind" in result.stderr


# Killed


ASKING = f"""
from pathlib import Path

from groundup.cli.entry import main
from groundup.grader.learner import quiz

quiz.read_quiz = lambda technique, kinds: quiz.read_quiz_file(Path({str(QUIZ)!r}), technique.id, kinds)
main()
"""


def test_a_kill_in_mid_quiz_loses_no_answer_that_was_acknowledged(folder: Path) -> None:
    given = answers(wrong=(2,))
    for killed in range(4):
        learner = subprocess.Popen(
            [sys.executable, "-c", ASKING, "quiz", "gae", "--seed", str(SEED)],
            cwd=folder,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert learner.stdin
        assert learner.stdout
        acknowledged = 0
        with learner:
            for answer in given[2 * killed : 2 * killed + 2]:
                learner.stdin.write(answer + "\n")
                learner.stdin.flush()
                acknowledged += until_acknowledged(learner.stdout)
            learner.send_signal(signal.SIGKILL)
        assert learner.returncode == -signal.SIGKILL
        (record,) = records(folder)
        assert (record.status, len(record.answers)) == ("open", 2 * killed + acknowledged)
    assert learn("gae", typed=given[8:]).exit_code == 1
    assert [(r.status, r.right) for r in records(folder)] == [("finished", 13)]


def until_acknowledged(output: IO[str]) -> bool:
    """Read until an answer has been judged. False if the output ends before that."""
    return any(re.search("[✓✗] ", line) for line in output)


def test_it_needs_no_torch() -> None:
    code = (
        "import sys; sys.argv = ['learn', 'quiz', 'gae', '--sheet'];"
        "from groundup.cli.main import cli; cli.main(standalone_mode=False);"
        "print(sorted({'torch', 'numpy', 'pytest', 'hypothesis'} & set(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr.strip() == "[]"


# Kinds that need more than one line, confidence, and points in part

TOY = """questions:
  - id: what-changes
    kind: multiple
    text: {en: Which of them?, zh: 哪些？}
    options: {a1: one, b1: two, c1: three, d1: four}
    answer: [a1, b1]
    explanation: So it is.
    section: S
  - id: what-it-prints
    kind: output
    text: {en: What does it print?, zh: 它打印什么？}
    code: |
      for x in xs:
          print(x / 2)   # a comment that is much longer than a narrow terminal, so that it would be wrapped if it could
    cases:
      - {values: {xs: [1, 3]}, prints: "0.5\\n1.5"}
      - {values: {xs: [2, 3]}, prints: "1.0\\n1.5"}
    explanation: So it is.
    section: S
  - id: why
    kind: free
    text: {en: Why?, zh: 为什么？}
    rubric: [{en: It says a., zh: 说到了甲。}, {en: It says b., zh: 说到了乙。}]
    answer: {en: Because of a and b., zh: 因为甲和乙。}
    explanation: So it is.
    section: S
"""


@pytest.fixture
def toy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace in which the quiz on gae is another one."""
    file = folder / "toy.yaml"
    file.write_text(TOY, "utf-8")
    found = read_quiz_file(file, "rl/gae", question_kinds(context.registry())[0])
    monkeypatch.setattr("groundup.grader.learner.quiz.read_quiz", lambda technique, kinds: found)
    return folder


def one_of_two(question: str, seed: int = 3) -> str:
    """Return the letter of one right option."""
    known = read_quiz_file(Path("toy.yaml"), "rl/gae", question_kinds(context.registry())[0])
    (asked,) = (q for q in known.drawn(seed) if q.id == question)
    return next(letter for letter, text in asked.choices().items() if text["en"] == "one")


def test_confidence_points_in_part_and_one_s_own_marks_are_recorded_and_summed_up(toy: Path) -> None:
    lines = ["4", "3", one_of_two("what-changes"), "1", "0.50 | 1.5", "I do not know", "7", "2"]
    if "xs = [2, 3]" in learn("gae", "--sheet", "--seed", "3").output:
        lines[4] = "1|1.5"
    result = learn("gae", "--seed", "3", "--confidence", typed=lines)
    assert result.exit_code == 1, result.output
    assert "'4' is none of 1, 2 and 3." in result.output
    assert "Right in part: 0.50 of a point." in result.output
    assert "'7' is no point: give the numbers that are met, 1 to 2, or 0 for none." in result.output
    assert "1 of 2 right. 1.50 points, as some are right in part." in result.output
    assert "Marked by yourself, and not counted there: 0.50 of 1 question." in result.output
    assert "Of the 1 that you were sure of, 0 right." in result.output
    assert "Of the 1 that you guessed, 1 right." in result.output
    (record,) = records(toy)
    assert (record.questions, record.by_oneself, record.right, record.credit) == (2, 1, 1, 1.5)
    assert [a.confidence for a in record.answers] == ["sure", "guess", None]
    assert record.answers[2].answer == {"text": "I do not know", "points": [2]}


def test_a_listing_is_shown_as_it_is_also_in_a_narrow_terminal(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    result = learn("gae", "--seed", "3", typed=["A"])
    shown = [line for line in result.output.splitlines() if "a comment that is" in line]
    (code,) = (line for line in TOY.splitlines() if "a comment that is" in line)
    assert shown == [f"         {code.removeprefix(' ' * 6)}"]
    assert "```" not in result.output


def test_a_quiz_that_was_stopped_goes_on_with_its_confidence_and_its_own_marks(toy: Path) -> None:
    first = learn("gae", "--seed", "3", "--confidence", typed=["2", "A"])
    assert first.exit_code == 130
    second = learn("gae", "--lang", "zh", "--json", typed=["0", "因为", "1 2"])
    review = json.loads(second.stdout)
    assert [q["confidence"] for q in review["questions"]] == ["unsure", None, None]
    assert (review["total"], review["by_oneself"], review["own_points"]) == (2, 1, 1.0)
    assert review["questions"][2]["rubric"] == ["说到了甲。", "说到了乙。"]
    assert review["questions"][2]["right_answer"] == "因为甲和乙。"
    assert "一个好的回答：" in second.stderr


def test_a_file_of_answers_may_hold_words_and_the_points_in_them(toy: Path) -> None:
    sheet = learn("gae", "--sheet", "--seed", "3").output
    assert "# ```python\n" in sheet
    for answer, points in (("hm", 0.0), ("{text: hm, points: [1, 2]}", 1.0), ("{text: hm}", 0.0)):
        (toy / "answers.yaml").write_text(sheet.replace("why:", f"why: {answer}"), "utf-8")
        review = json.loads(learn("gae", "--answers", "answers.yaml", "--json").stdout)
        assert (review["right"], review["total"], review["own_points"]) == (0, 2, points)
    (toy / "answers.yaml").write_text(sheet.replace("why:", "why: {points: [1]}"), "utf-8")
    refused = learn("gae", "--answers", "answers.yaml")
    assert refused.exit_code == 2
    assert "why: an answer in words is {text: ..., points: [1, 3]}" in refused.output


@pytest.mark.parametrize("other", ["--sheet", "--answers"])
def test_confidence_is_for_a_quiz_that_is_asked(toy: Path, other: str) -> None:
    result = learn("gae", "--confidence", *([other, "toy.yaml"] if other == "--answers" else [other]))
    assert result.exit_code == 2
    assert "--confidence is for a quiz that is asked here." in result.output
