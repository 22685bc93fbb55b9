from __future__ import annotations

import re
from typing import Any

import pytest

from groundup.cli.show import first_hole, holes_so_far, show_next_steps, show_verdict, standing
from groundup.cli.way import Step
from groundup.core.technique import Hole, Source, Technique
from groundup.grader.judging.verdict import Attempt, Diagnosis, HoleState, PropertyResult, Verdict
from groundup.grader.learner.records import Standing

TECHNIQUE = Technique(
    id="toys/scale",
    version=2,
    title={"en": "Scaling", "zh": "缩放"},
    summary="Numbers times a factor.",
    package="groundup.plugins",
    implements="scale",
    holes=(Hole(hints=("?",)), Hole(hints=("?",))),
    sources=(Source(title="A toy", url="https://example.org"),),
)
HOLES = (HoleState(number=1, title="the factor", filled=True), HoleState(number=2, title="the product", filled=True))


def a_property(**fields: Any) -> PropertyResult:
    return PropertyResult(**{"id": "holds", "claim": "It holds.", "status": "held"} | fields)


def a_verdict(*properties: PropertyResult, **fields: Any) -> Verdict:
    given = {
        "technique": "toys/scale",
        "version": 2,
        "passed": False,
        "outcome": "fell_short",
        "score": 0.0,
        "seed": 7,
        "examples": 25,
        "seconds": 0.25,
        "containment": "process",
        "attempt": Attempt(path="workspace/toys/scale.py", sha256="5" * 64),
        "holes": HOLES,
        "properties": properties or (a_property(),),
    }
    return Verdict.model_validate(given | fields)


def printed(capsys: pytest.CaptureFixture[str], verdict: Verdict, lang: str = "en") -> str:
    show_verdict(verdict, TECHNIQUE, lang)
    return capsys.readouterr().out


def offered(capsys: pytest.CaptureFixture[str], verdict: Verdict, file: str | None = None) -> list[str]:
    """Return the commands that are offered as next steps."""
    show_next_steps(verdict, TECHNIQUE, file)
    lines = capsys.readouterr().out.splitlines()
    assert not lines or lines[:2] == ["", "Next"]
    return [line.strip().partition("  ")[0] for line in lines[2:]]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("LEARN_COMMAND", raising=False)


def test_the_steps_of_a_state_machine_stand_each_on_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    failed = a_property(
        status="failed",
        message="the result differs",
        counterexample={"steps": "state.append(0)\nstate.fork(0)\nstate.teardown()"},
    )
    assert (
        "      the result differs\n      steps:\n        state.append(0)\n        state.fork(0)\n"
        "        state.teardown()\n" in printed(capsys, a_verdict(failed))
    )


def test_only_the_first_failure_is_shown_in_detail(capsys: pytest.CaptureFixture[str]) -> None:
    failures = [a_property(id=f"p{n}", status="failed", message=f"case {n}") for n in (1, 2)]
    out = printed(capsys, a_verdict(*failures))
    assert "case 1" in out
    assert "case 2" not in out
    assert out.count("✗") == 2


def test_what_was_not_gradable_hides_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    ours = a_property(id="ours", status="not_gradable", message="the reference fails this case as well")
    theirs = a_property(id="theirs", status="failed", message="the result differs")
    out = printed(capsys, a_verdict(ours, theirs, outcome="not_gradable"))
    assert "the reference fails this case as well" in out
    assert "the result differs" in out
    assert "Not gradable: not your fault; it does not count." in out


def test_what_waits_is_counted_rather_than_listed(capsys: pytest.CaptureFixture[str]) -> None:
    empty = [a_property(id=f"p{n}", status="not_started", claim="Waits.") for n in (1, 2)]
    unreached = a_property(id="p3", status="not_reached", claim="Waits.")
    out = printed(capsys, a_verdict(*empty, unreached))
    assert "Waits." not in out
    assert "  · 2 properties not started: a hole is still empty there\n" in out
    assert "  · 1 property not reached: something else has to hold first\n" in out


def test_after_a_death_nothing_else_was_reached(capsys: pytest.CaptureFixture[str]) -> None:
    died = a_property(status="died", message="timeout: a call took longer than the 5 s it may take")
    unreached = a_property(id="p2", status="not_reached")
    out = printed(capsys, a_verdict(died, unreached, outcome="died"))
    assert "timeout: a call took longer than the 5 s it may take" in out
    assert "1 property not reached: the attempt died before" in out
    assert "The attempt died; 0 of 2 properties had held: score 0%." in out


def test_a_problem_stands_in_place_of_the_properties(capsys: pytest.CaptureFixture[str]) -> None:
    unreached = a_property(status="not_reached", claim="Waits.")
    out = printed(capsys, a_verdict(unreached, problem="The file cannot be loaded: SyntaxError"))
    assert "  The file cannot be loaded: SyntaxError\n" in out
    assert "not reached" not in out


def test_conventions_are_told_apart_from_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    found = [Diagnosis(id="sums", kind=kind, says="It sums.") for kind in ("misconception", "convention")]
    out = printed(capsys, a_verdict(diagnosis=tuple(found)))
    assert "  This is what sums does.\n    It sums.\n" in out
    assert "  A convention that others use: sums.\n    It sums.\n" in out


def test_a_pair_of_mistakes_is_told_as_a_guess(capsys: pytest.CaptureFixture[str]) -> None:
    pair = [Diagnosis(id=name, kind="misconception", says="It does.", perhaps=True) for name in ("sums", "halves")]
    out = printed(capsys, a_verdict(diagnosis=tuple(pair)))
    assert "  Perhaps two things at once:\n  This is what sums does.\n" in out
    unfinished = (HOLES[0], HOLES[1].model_copy(update={"filled": False}))
    assert "  Perhaps one of these, or both:\n" in printed(capsys, a_verdict(diagnosis=tuple(pair), holes=unfinished))
    assert "Perhaps" not in printed(capsys, a_verdict(diagnosis=(pair[0].model_copy(update={"perhaps": False}),)))


@pytest.mark.parametrize(
    ("filled", "statuses", "says"),
    [
        ([True, False], {1: "held", 2: "not_started"}, " Hole 1 of 2 holds. Next: hole 2, the product."),
        ([True, False], {1: "failed", 2: "not_started"}, ""),
        ([True, False], {2: "not_started", None: "not_started"}, " Next: hole 2, the product."),
        ([False, True], {1: "not_started", 2: "not_started"}, " Next: hole 1, the factor."),
        ([True, True], {1: "held", 2: "failed"}, " Hole 1 of 2 holds."),
        ([True, True], {1: "failed", 2: "not_reached"}, ""),
        ([True, True], {1: "held", None: "failed"}, " Hole 2 of 2 holds."),
        ([True, True], {1: "died", 2: "not_reached"}, ""),
    ],
)
def test_up_to_which_hole_it_holds_is_said(filled: list[bool], statuses: dict[int | None, Any], says: str) -> None:
    holes = tuple(h.model_copy(update={"filled": f}) for h, f in zip(HOLES, filled, strict=True))
    found = [a_property(id=f"p{hole}", hole=hole, status=status) for hole, status in statuses.items()]
    assert holes_so_far(a_verdict(*found, holes=holes)) == says


def test_a_death_tells_why_and_where_beside_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    failed = a_property(id="wrong", status="failed", message="the result differs")
    died = a_property(id="slow", status="died", message="timeout: a call used more", where="line 3, in f: while True:")
    out = printed(capsys, a_verdict(failed, died, outcome="died"))
    assert "the result differs" in out
    assert "timeout: a call used more\n      at        line 3, in f: while True:\n" in out


def test_further_cases_are_shown_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    failures = [a_property(id=f"p{n}", status="failed", message=f"case {n}") for n in range(4)]
    show_verdict(a_verdict(*failures, says_most="p3"), TECHNIQUE, "en", all_cases=True)
    shown = re.findall(r"case \d", capsys.readouterr().out)
    assert shown == ["case 0", "case 1", "case 3"]


def test_a_case_takes_no_more_than_twelve_lines(capsys: pytest.CaptureFixture[str]) -> None:
    case = {"x": "torch.tensor([" + "0.25, " * 400 + "])", "gamma": "0.5", "y": "torch.tensor([" + "1.5, " * 400 + "])"}
    out = printed(capsys, a_verdict(a_property(status="failed", message="it differs", counterexample=case)))
    lines = out.partition("it differs\n")[2].partition("\n\n")[0].splitlines()
    assert len(lines) <= 12
    assert "      gamma = 0.5" in lines
    assert len([line for line in lines if re.fullmatch(r" +\.\.\. and \d+ more lines", line)]) == 2


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_no_line_of_prose_is_wider_than_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, lang: str
) -> None:
    from groundup.cli.layout import width

    monkeypatch.setenv("COLUMNS", "60")
    text = {"en": "A claim that goes on and on. ", "zh": "一条很长很长的性质说明，"}[lang] * 8
    failed = a_property(
        status="failed", claim=text, message=text, counterexample={"x": "torch.tensor([0.0, 1.0]) " * 9}
    )
    found = (Diagnosis(id="sums", kind="misconception", says=text),)
    out = printed(capsys, a_verdict(failed, diagnosis=found), lang)
    prose = [line for line in out.splitlines() if not line.startswith("sha256")]
    assert max(map(width, prose)) <= 60
    assert len(prose) > 20


def test_the_whole_digest_is_shown_however_narrow(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert f"workspace/toys/scale.py\nsha256 {'5' * 64}\n" in printed(capsys, a_verdict())


def test_a_name_cannot_turn_the_text_around(capsys: pytest.CaptureFixture[str]) -> None:
    attempt = Attempt(path="we\u202eird\x1b[31m.py", sha256="5" * 64)
    assert printed(capsys, a_verdict(attempt=attempt)).splitlines()[1] == "we\ufffdird\ufffd[31m.py"


# Next steps


def test_a_failure_is_followed_by_hint_lesson_and_replay(capsys: pytest.CaptureFixture[str]) -> None:
    failed = a_property(status="failed", hole=2)
    commands = ["learn hint scale 2", "learn read scale", "learn replay scale", "learn grade scale --seed 7"]
    assert offered(capsys, a_verdict(failed)) == commands
    thorough = a_verdict(failed, examples=200)
    assert offered(capsys, thorough) == [*commands[:3], "learn grade scale --seed 7 --thorough"]


def test_a_failure_that_no_hole_owns_has_a_hint_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert offered(capsys, a_verdict(a_property(status="failed")))[0] == "learn hint scale"


def test_where_nothing_failed_there_is_nothing_to_replay(capsys: pytest.CaptureFixture[str]) -> None:
    holes = (HOLES[0], HOLES[1].model_copy(update={"filled": False}))
    verdict = a_verdict(a_property(status="not_started"), holes=holes)
    assert offered(capsys, verdict) == ["learn hint scale 2", "learn read scale"]


def test_a_file_outside_the_workspace_is_replayed_from_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    steps = offered(capsys, a_verdict(a_property(status="failed", hole=1)), "my file.py")
    at = "--attempt 'my file.py' --seed 7"
    assert steps == ["learn read scale", f"learn replay scale {at}", f"learn grade scale {at}"]


def test_after_a_pass_comes_the_solution(capsys: pytest.CaptureFixture[str]) -> None:
    passed = a_verdict(passed=True, outcome="passed", score=1.0)
    assert offered(capsys, passed) == ["learn solution scale", "learn status"]
    assert offered(capsys, passed, "my.py") == []  # nothing was recorded, so 'learn solution' would refuse


def test_after_a_pass_the_way_on_comes_before_the_solution(capsys: pytest.CaptureFixture[str]) -> None:
    steps = [Step("run", "run scale", "the lab"), Step("brief", "brief --out brief.html", "the day")]
    show_next_steps(a_verdict(passed=True, outcome="passed", score=1.0), TECHNIQUE, None, steps)
    assert capsys.readouterr().out == (
        "\nNext\n"
        "  learn run scale               the lab\n"
        "  learn brief --out brief.html  the day\n"
        "  learn solution scale          the reference, to compare with\n"
    )


@pytest.mark.parametrize("outcome", ["fell_short", "died"])
def test_a_file_that_was_not_loaded_is_told_no_score(capsys: pytest.CaptureFixture[str], outcome: Any) -> None:
    unreached = a_property(status="not_reached")
    out = printed(capsys, a_verdict(unreached, outcome=outcome, score=0.0, problem="The file cannot be loaded: crash"))
    assert "The file cannot be loaded: crash\n\n  Not loaded, and so without a score.\n" in out
    assert "%" not in out


def test_what_was_not_gradable_is_for_the_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert offered(capsys, a_verdict(outcome="not_gradable"))[0] == "learn doctor"


def test_commands_are_offered_as_this_user_calls_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEARN_COMMAND", "./learn")
    assert offered(capsys, a_verdict(a_property(status="failed")))[0] == "./learn hint scale"


def test_the_hole_to_look_at_is_the_first_that_is_empty_or_fails() -> None:
    failed = a_property(status="failed", hole=2)
    early = a_property(id="early", status="failed", hole=1)
    assert first_hole(a_verdict(failed, early)) == 1
    assert first_hole(a_verdict(early, holes=(HOLES[0], HOLES[1].model_copy(update={"filled": False})))) == 1
    assert first_hole(a_verdict(failed)) == 2
    assert first_hole(a_verdict(failed, holes=(HOLES[0].model_copy(update={"filled": False}), HOLES[1]))) == 1
    assert first_hole(a_verdict(a_property(hole=1))) is None


# Standing


@pytest.mark.parametrize(
    ("score", "outcome", "version", "passed_version", "says"),
    [
        (0.0, "fell_short", 2, None, "0%"),
        (0.5, "fell_short", 2, None, "50%"),
        (0.25, "died", 2, None, "25%, died"),
        (1.0, "passed", 2, 2, "passed"),
        (0.5, "fell_short", 2, 2, "passed; the latest 50%"),
        (1.0, "passed", 1, 1, "passed, of the older version 1: grade it again"),
        (0.5, "fell_short", 1, None, "50%, of the older version 1: grade it again"),
        (0.5, "fell_short", 2, 1, "passed, of the older version 1; the latest 50%"),
    ],
)
def test_a_standing_is_told_in_a_few_words(
    score: float, outcome: Any, version: int, passed_version: int | None, says: str
) -> None:
    import click

    given = a_verdict().given_at
    row = Standing(score, outcome, given, 3, version, passed_version)
    assert click.unstyle(standing(TECHNIQUE.version, row, started=True)) == says


def test_what_was_never_graded_is_started_or_nothing() -> None:
    assert (standing(TECHNIQUE.version, None, True), standing(TECHNIQUE.version, None, False)) == ("started", "")
