from __future__ import annotations

import json
import os
import runpy
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from groundup.core.errors import StateProblem
from groundup.grader.judging.verdict import Diagnosis, PropertyResult
from groundup.grader.learner import database as database_module
from groundup.grader.learner import tables
from groundup.grader.learner.chain import link_all
from groundup.grader.learner.migrations import MIGRATIONS
from groundup.grader.learner.state import State

SOAK = Path(__file__).with_name("state_soak.py")
ELSEWHERE = os.environ.get("GROUNDUP_TEST_DATABASE")  # an SQLAlchemy URL: the tests run on that database too

a_verdict = runpy.run_path(str(SOAK))["a_verdict"]


@pytest.fixture(params=["sqlite", "elsewhere"] if ELSEWHERE else ["sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    if request.param == "sqlite":
        return tmp_path / "learn.db"
    assert ELSEWHERE
    engine = sa.create_engine(ELSEWHERE)
    tables = sa.MetaData()
    tables.reflect(engine)
    tables.drop_all(engine)
    engine.dispose()
    return ELSEWHERE


@pytest.fixture
def state(database: Path | str) -> Iterator[State]:
    with State(database) as state:
        yield state


def run_sql(file: Path, *statements: str) -> list[Any]:
    with closing(sqlite3.connect(file)) as connection, connection:
        return [connection.execute(statement).fetchall() for statement in statements][-1]


def soak(mode: str, job: str, how_many: int, folder: Path, seed: int = 0) -> list[tuple[int, str]]:
    command = [sys.executable, "-W", "error", str(SOAK), mode, job, str(how_many), str(folder), str(seed)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = (line.split(" ", 1) for line in ended.stdout.splitlines())
    return [(int(number), what) for number, what in lines]


def assert_whole(file: Path, reported: list[str]) -> None:
    """Check that every reported row (id and digest) is in the database, and that the database is intact."""
    there = {f"{number} {sha256}" for number, sha256 in run_sql(file, "SELECT id, sha256 FROM verdicts")}
    assert set(reported) <= there
    assert run_sql(file, "PRAGMA integrity_check") == [("ok",)]


# Records


def test_a_verdict_comes_back_as_it_was_given(state: State) -> None:
    given = a_verdict(
        seed=2**127 - 1,
        given_at=datetime(2026, 3, 1, 12, 30, 0, 123456, timezone(timedelta(hours=8))),
        properties=(
            PropertyResult(
                id="halves",
                claim="減半",
                status="failed",
                counterexample={"x": "3"},
                printed="\0 \udcff \ud83d",
                points=2.0,
            ),
        ),
        diagnosis=(Diagnosis(id="doubles", kind="misconception", says="It doubles."),),
        problem="none",
    )
    state.record(given, "", {})
    assert state.verdicts() == [given]


def test_a_verdict_is_there_for_the_next_command(database: Path | str) -> None:
    given = a_verdict()
    with State(database) as state:
        state.record(given, "", {})
    with State(database) as state:
        assert state.verdicts(given.technique) == [given]


def test_a_verdict_s_columns_say_what_it_says(state: State) -> None:
    given = a_verdict("x = 1", given_at=datetime(2026, 3, 1, 1, tzinfo=timezone(timedelta(hours=8))))
    number = state.record(given, "x = 1", {})
    with state.database.transaction() as connection:
        row = connection.execute(sa.select(tables.verdicts)).mappings().one()
    assert dict(row) == {
        "id": number,
        "learner": "",
        "technique": given.technique,
        "technique_version": 1,
        "given_at": datetime(2026, 2, 28, 17, tzinfo=UTC),
        "passed": False,
        "outcome": "fell_short",
        "score": 0.5,
        "counts": True,
        "seed": "7",
        "sha256": given.attempt.sha256,
        "source": b"x = 1",
        "containment": "namespaces",
        "environment": {"python": "3.11"},
        "verdict": row["verdict"],
        "before": None,
        "digest": row["digest"],
    }
    assert json.loads(row["verdict"])["properties"][0]["id"] == "halves"


def test_verdicts_come_newest_first_of_one_technique_or_of_all(state: State) -> None:
    for seed, technique in enumerate(["rl/gae", "rl/ppo", "rl/gae"]):
        state.record(a_verdict(technique=technique, seed=seed), "", {})
    assert [v.seed for v in state.verdicts()] == [2, 1, 0]
    assert [v.seed for v in state.verdicts("rl/gae")] == [2, 0]
    assert state.verdicts("rl/dqn") == []


@pytest.mark.parametrize(
    "source", ["", "x = 1\r\n\ty = '數'\n", "\0", b"# \xff\xfe latin".decode("utf-8", "surrogateescape")]
)
def test_an_attempt_s_source_comes_back_byte_for_byte(state: State, source: str) -> None:
    given = a_verdict(source)
    state.record(given, source, {})
    assert state.source(given.attempt.sha256) == source
    assert state.source("0" * 64) is None


def test_a_grading_replaces_the_cases_of_its_own_technique_only(state: State) -> None:
    long = bytes(range(256)) * 64
    state.record(a_verdict(technique="rl/gae"), "", {b"\0key": {b"", b"\xff"}, b"other": {long}})
    state.record(a_verdict(technique="rl/ppo"), "", {b"key": {b"ppo"}})
    assert state.cases("rl/gae") == {b"\0key": {b"", b"\xff"}, b"other": {long}}
    state.record(a_verdict(technique="rl/gae"), "", {b"key": {b"new"}})
    assert state.cases("rl/gae") == {b"key": {b"new"}}
    state.record(a_verdict(technique="rl/gae"), "", {})
    assert state.cases("rl/gae") == {}
    assert state.cases("rl/ppo") == {b"key": {b"ppo"}}


def test_a_verdict_and_its_cases_are_kept_together_or_not_at_all(state: State) -> None:
    state.record(a_verdict(), "", {b"key": {b"old"}})

    def break_off(*call: Any) -> None:
        if "INSERT INTO cases" in call[2]:
            raise KeyboardInterrupt

    sa.event.listen(state.database.engine, "before_cursor_execute", break_off)
    with pytest.raises(KeyboardInterrupt):
        state.record(a_verdict(seed=8), "", {b"key": {b"new"}})
    assert [v.seed for v in state.verdicts()] == [7]
    assert state.cases(a_verdict().technique) == {b"key": {b"old"}}


def test_the_best_verdict_is_a_passed_one_then_the_highest_then_the_newest(state: State) -> None:
    assert state.best("rl/gae") is None
    for seed, score in enumerate([0.25, 0.75, 0.75, 0.5]):
        state.record(a_verdict(technique="rl/gae", seed=seed, score=score), "", {})
    best = state.best("rl/gae")
    assert best is not None
    assert best.seed == 2
    assert not state.ever_passed("rl/gae")
    state.record(a_verdict(technique="rl/gae", seed=9, score=0.5, passed=True, outcome="passed"), "", {})
    best = state.best("rl/gae")
    assert best is not None
    assert best.seed == 9
    assert state.ever_passed("rl/gae")
    assert not state.ever_passed("rl/ppo")


def test_a_standing_is_the_latest_score_the_attempts_and_the_newest_version_passed(state: State) -> None:
    passed = {"passed": True, "outcome": "passed", "score": 1.0}
    for other in (passed, passed | {"version": 2}, {"version": 3, "score": 0.25}):
        state.record(a_verdict(technique="rl/gae", **other), "", {})
    state.record(latest := a_verdict(technique="rl/ppo"), "", {})
    standings = state.last_scores()
    assert list(standings) == ["rl/gae", "rl/ppo"]
    gae, ppo = standings.values()
    assert (gae.score, gae.outcome, gae.attempts, gae.ever_passed) == (0.25, "fell_short", 3, True)
    assert (gae.version, gae.passed_version) == (3, 2)
    assert [gae.is_older(version) for version in (2, 3)] == [False, True]  # the pass counts, not later verdicts
    assert [ppo.is_older(version) for version in (1, 2)] == [False, True]
    assert (ppo.score, ppo.attempts, ppo.ever_passed, ppo.given_at) == (0.5, 1, False, latest.given_at)


def test_a_grading_that_was_not_gradable_does_not_count_in_a_standing(state: State) -> None:
    broken = {"outcome": "not_gradable", "score": 0.0}
    state.record(a_verdict(technique="rl/gae", score=0.75), "", {})
    state.record(a_verdict(technique="rl/gae", **broken), "", {})
    state.record(a_verdict(technique="rl/ppo", **broken), "", {})
    standings = state.last_scores()
    assert list(standings) == ["rl/gae"]
    assert (standings["rl/gae"].score, standings["rl/gae"].attempts) == (0.75, 1)


@pytest.mark.parametrize(
    "without_score",
    [
        {"outcome": "not_started"},
        {"outcome": "fell_short", "problem": "The file cannot be loaded: SyntaxError: invalid syntax"},
        {"outcome": "died", "problem": "The file cannot be loaded: timeout: too slow."},
    ],
    ids=["a stub", "a file that cannot be loaded", "a file that hangs when loaded"],
)
def test_what_was_not_begun_or_not_loaded_is_kept_and_has_no_part_in_a_standing(
    state: State, without_score: dict[str, Any]
) -> None:
    state.record(a_verdict(technique="rl/gae", passed=True, outcome="passed", score=1.0), "", {})
    event = a_verdict(technique="rl/gae", score=0.0, **without_score)
    state.record(event, "", {})
    state.record(a_verdict(technique="rl/ppo", score=0.0, **without_score), "", {})
    standings = state.last_scores()
    assert list(standings) == ["rl/gae"]
    assert (standings["rl/gae"].score, standings["rl/gae"].outcome, standings["rl/gae"].attempts) == (1.0, "passed", 1)
    assert state.verdicts("rl/gae")[0] == state.latest("rl/gae") == event


def test_all_standings_take_two_queries_and_parse_no_verdict(state: State) -> None:
    for technique in ("rl/gae", "rl/ppo", "rl/dqn"):
        state.record(a_verdict(technique=technique), "", {})
    with state.database.transaction(writes=True) as connection:
        connection.execute(sa.update(tables.verdicts).values(verdict="not JSON"))
        link_all(connection)
    statements: list[str] = []
    sa.event.listen(state.database.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    assert len(state.last_scores()) == 3
    assert sum(statement.startswith("SELECT") for statement in statements) == 2  # one reads the chain


def test_events_come_back_oldest_first(state: State) -> None:
    before = datetime.now(UTC)
    state.note("rl/gae", "started")
    state.note("rl/gae", "reset", "gae.1.py")
    state.note("rl/ppo", "gave_up")
    events = state.events("rl/gae")
    assert [(e.technique, e.kind, e.detail) for e in events] == [
        ("rl/gae", "started", ""),
        ("rl/gae", "reset", "gae.1.py"),
    ]
    assert before <= events[0].at <= events[1].at <= datetime.now(UTC)


def test_a_hint_asked_for_twice_is_one_hint(state: State) -> None:
    assert state.hints_used("rl/gae") == 0
    for technique, kind, detail in [
        ("rl/gae", "hint", "1/1"),
        ("rl/gae", "hint", "1/2"),
        ("rl/gae", "hint", "1/1"),
        ("rl/gae", "started", "1/3"),
        ("rl/ppo", "hint", "1/4"),
    ]:
        state.note(technique, kind, detail)  # type: ignore[arg-type]
    assert state.hints_used("rl/gae") == 2


def test_learners_who_share_a_database_see_their_own_rows_only(database: Path | str) -> None:
    with State(database, "ada") as ada, State(database, "alan") as alan:
        ada.record(a_verdict("ada", passed=True, outcome="passed"), "ada", {b"key": {b"ada"}})
        ada.note("alignment/toy-rule", "hint", "1/1")
        alan.record(a_verdict("alan"), "alan", {b"key": {b"alan"}})
        technique = a_verdict().technique
        assert ada.cases(technique) == {b"key": {b"ada"}}
        assert alan.cases(technique) == {b"key": {b"alan"}}
        assert [len(who.verdicts()) for who in (ada, alan)] == [1, 1]
        assert [who.ever_passed(technique) for who in (ada, alan)] == [True, False]
        assert [who.last_scores()[technique].attempts for who in (ada, alan)] == [1, 1]
        assert [who.hints_used(technique) for who in (ada, alan)] == [1, 0]
        assert alan.events(technique) == []
        assert alan.source(a_verdict("ada").attempt.sha256) is None


# Quizzes


def begun(state: State, technique: str = "rl/gae", seed: int = 7) -> int:
    return state.begin_quiz(technique, seed, "0" * 64, 3)


def test_a_quiz_comes_back_with_its_answers_in_the_order_given(state: State) -> None:
    before = datetime.now(UTC)
    number = begun(state, seed=2**63 - 1)
    given: list[tuple[str, Any, bool]] = [("size", 1.7, True), ("colour", "grün", False), ("all", ["b", "a"], True)]
    for answer in given:
        state.answer_quiz(number, *answer)
    (quiz,) = state.quizzes("rl/gae")
    assert (quiz.number, quiz.technique, quiz.seed, quiz.sha256) == (number, "rl/gae", 2**63 - 1, "0" * 64)
    assert (quiz.questions, quiz.status, quiz.right, quiz.ended_at) == (3, "open", 2, None)
    assert [(a.question, a.answer, a.right) for a in quiz.answers] == given
    assert before <= quiz.began_at <= quiz.answers[0].at <= quiz.answers[2].at <= datetime.now(UTC)


def test_an_answer_is_there_for_the_next_command(database: Path | str) -> None:
    with State(database) as state:
        number = begun(state)
        state.answer_quiz(number, "size", 1.7, True)
    with State(database) as state:
        assert [a.question for a in state.quizzes()[0].answers] == ["size"]
        state.answer_quiz(number, "colour", "red", False)
        state.finish_quiz(number)
        (quiz,) = state.quizzes()
        assert (quiz.status, len(quiz.answers)) == ("finished", 2)
        assert quiz.ended_at is not None


def test_the_first_answer_to_a_question_counts(state: State) -> None:
    number = begun(state)
    state.answer_quiz(number, "size", 1.0, False)
    state.answer_quiz(number, "size", 1.7, True)
    assert [(a.answer, a.right) for a in state.quizzes()[0].answers] == [(1.0, False)]


def test_a_quiz_begun_gives_up_the_open_one_of_its_technique_only(state: State) -> None:
    finished = begun(state)
    state.finish_quiz(finished)
    for technique in ("rl/ppo", "rl/gae", "rl/gae"):
        begun(state, technique)
    assert [(q.technique, q.status) for q in state.quizzes()] == [
        ("rl/gae", "open"),
        ("rl/gae", "given_up"),
        ("rl/ppo", "open"),
        ("rl/gae", "finished"),
    ]
    assert [q.ended_at is None for q in state.quizzes("rl/gae")] == [True, False, False]


def test_a_quiz_answered_at_once_is_finished_and_leaves_the_open_one_open(state: State) -> None:
    half = begun(state)
    number = state.record_quiz("rl/gae", 8, "1" * 64, 4, {"size": (1.7, True), "colour": ("red", False)})
    whole, still_open = state.quizzes("rl/gae")
    assert (whole.number, whole.status, whole.questions, whole.right) == (number, "finished", 4, 1)
    assert (still_open.number, still_open.status) == (half, "open")
    assert state.record_quiz("rl/gae", 8, "1" * 64, 4, {}) > number


def test_a_quiz_answered_at_once_is_kept_whole_or_not_at_all(state: State) -> None:
    def break_off(*call: Any) -> None:
        if "INSERT INTO quiz_answers" in call[2]:
            raise KeyboardInterrupt

    sa.event.listen(state.database.engine, "before_cursor_execute", break_off)
    with pytest.raises(KeyboardInterrupt):
        state.record_quiz("rl/gae", 8, "1" * 64, 4, {"size": (1.7, True)})
    assert state.quizzes() == []


def test_learners_who_share_a_database_sit_their_own_quizzes(database: Path | str) -> None:
    with State(database, "ada") as ada, State(database, "alan") as alan:
        hers, his = begun(ada), begun(alan)
        ada.answer_quiz(hers, "size", 1.7, True)
        begun(alan)
        assert [(q.status, q.right) for q in ada.quizzes()] == [("open", 1)]
        assert [(q.number == his, q.status) for q in alan.quizzes()] == [(False, "open"), (True, "given_up")]


# Rows and tables of other versions


def rewrite(state: State, number: int, **changes: Any) -> None:
    """Change the JSON of verdict ``number``: a callable edits it, a string replaces it."""
    verdicts = tables.verdicts
    with state.database.transaction(writes=True) as connection:
        one = verdicts.c.id == number
        whole = json.loads(connection.execute(sa.select(verdicts.c.verdict).where(one)).scalar_one())
        connection.execute(sa.update(verdicts).where(one).values(verdict=json.dumps(whole | changes)))
        link_all(connection)


def test_fields_that_another_groundup_wrote_are_left_out(state: State) -> None:
    given = a_verdict()
    number = state.record(given, "", {})
    whole = json.loads(given.model_dump_json())
    assert "held" in whole  # a computed field, which reading must ignore
    properties = [p | {"mood": "grim", "deep": {"x": 1}} for p in whole["properties"]]
    rewrite(
        state,
        number,
        **whole | {"properties": properties, "attempt": whole["attempt"] | {"size": 3}, "weather": "fair"},
    )
    assert state.verdicts() == [given]
    assert state.problems == {}


def test_a_verdict_from_before_the_plugin_contract_was_kept_is_read(state: State) -> None:
    number = state.record(given := a_verdict(contract=1), "", {})
    verdicts = tables.verdicts
    older = {k: v for k, v in json.loads(given.model_dump_json(round_trip=True)).items() if k != "contract"}
    with state.database.transaction(writes=True) as connection:
        connection.execute(sa.update(verdicts).where(verdicts.c.id == number).values(verdict=json.dumps(older)))
        link_all(connection)
    assert [v.contract for v in state.verdicts()] == [None]
    assert state.problems == {}


ALTERATIONS: dict[str, Any] = {
    "passed": True, "outcome": "passed", "score": 1.0, "technique": "rl/ppo", "technique_version": 9, "seed": "1",
    "sha256": "0" * 64, "containment": "the strongest", "counts": False, "learner": "somebody else", "before": 1,
    "digest": "0" * 64,
}  # fmt: skip


@pytest.mark.parametrize("column", [*ALTERATIONS, "verdict"])
def test_a_verdict_that_was_edited_is_told_and_does_not_count(state: State, column: str) -> None:
    values = ALTERATIONS | {"verdict": a_verdict(seed=2, score=1.0, passed=True).model_dump_json(round_trip=True)}
    numbers = [state.record(a_verdict(seed=seed, score=seed / 4), "", {}) for seed in (1, 2, 3)]
    edited = sa.update(tables.verdicts).where(tables.verdicts.c.id == numbers[1])
    with state.database.transaction(writes=True) as connection:
        connection.execute(edited.values({column: values[column] if column != "before" else None}))
    reader = state.for_learner("somebody else") if column == "learner" else state
    found = {v.seed for v in reader.verdicts()}
    assert 2 not in found
    assert not reader.ever_passed(values["technique"] if column == "technique" else a_verdict().technique)
    assert numbers[1] in reader.problems
    assert "was changed after it was recorded" in str(reader.problems[numbers[1]])
    state.last_scores()
    state.record(a_verdict(seed=4), "", {})
    assert 4 in {v.seed for v in state.verdicts()}, "what is recorded after that counts"


def test_the_verdict_after_a_removed_one_does_not_count(state: State) -> None:
    numbers = [state.record(a_verdict(seed=seed), "", {}) for seed in (1, 2, 3, 4)]
    with state.database.transaction(writes=True) as connection:
        connection.execute(sa.delete(tables.verdicts).where(tables.verdicts.c.id == numbers[1]))
    assert [v.seed for v in state.verdicts()] == [4, 1]
    assert list(state.problems) == [numbers[2]]


def test_the_chains_of_two_learners_are_apart(database: Path | str) -> None:
    with State(database, learner="one") as one:
        other = one.for_learner("other")
        for seed in (1, 2, 3):
            one.record(a_verdict(seed=seed), "", {})
            other.record(a_verdict(seed=seed), "", {})
        with one.database.transaction(writes=True) as connection:
            connection.execute(sa.delete(tables.verdicts).where(tables.verdicts.c.learner == "other"))
        assert [v.seed for v in one.verdicts()] == [3, 2, 1]
        assert one.problems == other.problems == {}


def test_verdicts_of_before_the_chain_count(database: Path | str) -> None:
    with State(database) as state:
        for seed in (1, 2):
            state.record(a_verdict(seed=seed), "", {})
        with state.database.transaction(writes=True) as connection:
            for column in ("before", "digest"):
                connection.exec_driver_sql(f"ALTER TABLE verdicts DROP COLUMN {column}")
            connection.execute(sa.update(tables.schema).values(version=3))
    with State(database) as state:
        state.record(a_verdict(seed=3), "", {})
        assert [v.seed for v in state.verdicts()] == [3, 2, 1]
        assert state.problems == {}


@pytest.mark.parametrize("text", ["{", "null", "[]", "{}", '{"technique": 3, "extra": 4}', "\udcff"])
def test_a_row_that_cannot_be_read_is_told_and_hides_no_other(state: State, text: str) -> None:
    numbers = [state.record(a_verdict(seed=seed, score=seed / 4), "", {}) for seed in (1, 2, 3)]
    with state.database.transaction(writes=True) as connection:
        verdicts = tables.verdicts
        broken = sa.update(verdicts).where(verdicts.c.id == numbers[2])
        connection.execute(broken.values(verdict=text.encode("ascii", "backslashreplace").decode()))
        link_all(connection)
    assert [v.seed for v in state.verdicts()] == [2, 1]
    assert list(state.problems) == [numbers[2]]
    assert f"Verdict {numbers[2]} " in str(state.problems[numbers[2]])
    best = state.best(a_verdict().technique)
    assert best is not None
    assert best.seed == 2
    assert state.last_scores()[a_verdict().technique].attempts == 3


def test_a_database_of_a_newer_groundup_is_refused_and_left_as_it_is(database: Path | str) -> None:
    with State(database) as state, state.database.transaction(writes=True) as connection:
        connection.execute(sa.update(tables.schema).values(version=99))
    with pytest.raises(StateProblem, match=r"newer Groundup \(schema 99, this one knows 4\)\. Update"):
        State(database)
    with state.database.transaction() as connection:
        assert connection.execute(sa.select(tables.schema.c.version)).all() == [(99,)]
    state.close()


def test_a_database_of_before_learns_which_verdicts_have_no_score(database: Path | str) -> None:
    """Version 1 had no column for this: a file that could not be loaded had a score of 0."""
    given = {
        "rl/half": a_verdict(technique="rl/half"),
        "rl/nought": a_verdict(technique="rl/nought", score=0.0),
        "rl/stub": a_verdict(technique="rl/stub", score=0.0, outcome="not_started"),
        "rl/broken": a_verdict(technique="rl/broken", score=0.0, problem="The file cannot be loaded: SyntaxError"),
        "rl/hangs": a_verdict(technique="rl/hangs", score=0.0, outcome="died", problem="It cannot be loaded: timeout"),
        "rl/ours": a_verdict(technique="rl/ours", score=0.0, outcome="not_gradable"),
        "rl/unreadable": a_verdict(technique="rl/unreadable", score=0.0),
    }
    with State(database) as state:
        for verdict in given.values():
            state.record(verdict, "", {})
        with state.database.transaction(writes=True) as connection:
            spoilt = sa.update(tables.verdicts).where(tables.verdicts.c.technique == "rl/unreadable")
            connection.execute(spoilt.values(verdict="["))
            connection.exec_driver_sql("ALTER TABLE verdicts DROP COLUMN counts")
            connection.execute(sa.update(tables.schema).values(version=1))
    for _ in range(2):
        with State(database) as state:
            assert set(state.last_scores()) == {"rl/half", "rl/nought", "rl/unreadable"}
            assert {v.technique: v for v in state.verdicts()} == {
                name: verdict for name, verdict in given.items() if name != "rl/unreadable"
            }


def test_answers_of_before_have_the_credit_that_they_were_marked_with(database: Path | str) -> None:
    """Version 2 knew right and wrong only, and no answers that learners mark themselves."""
    with State(database) as state:
        number = state.begin_quiz("rl/gae", 7, "0" * 64, 2)
        state.answer_quiz(number, "size", 1.7, True)
        state.answer_quiz(number, "colour", "red", False)
        with state.database.transaction(writes=True) as connection:
            for column in ("credit", "by_oneself", "confidence"):
                connection.exec_driver_sql(f"ALTER TABLE quiz_answers DROP COLUMN {column}")
            connection.exec_driver_sql("ALTER TABLE quizzes DROP COLUMN by_oneself")
            connection.execute(sa.update(tables.schema).values(version=2))
    with State(database) as state:
        (quiz,) = state.quizzes("rl/gae")
        assert [(a.question, a.credit, a.by_oneself, a.confidence) for a in quiz.answers] == [
            ("size", 1.0, False, None),
            ("colour", 0.0, False, None),
        ]
        assert (quiz.questions, quiz.by_oneself, quiz.asked, quiz.right, quiz.credit) == (2, 0, 2, 1, 1.0)


def test_what_learners_mark_themselves_is_kept_apart(state: State) -> None:
    number = state.begin_quiz("rl/gae", 7, "0" * 64, 2, by_oneself=1)
    state.answer_quiz(number, "why", {"text": "so", "points": [1, 2]}, True, 1.0, True)
    state.answer_quiz(number, "order", ["b", "a"], False, 0.25, False, "sure")
    (quiz,) = state.quizzes("rl/gae")
    assert (quiz.asked, quiz.questions, quiz.right, quiz.credit) == (3, 2, 0, 0.25)
    assert quiz.answers[0].answer == {"text": "so", "points": [1, 2]}
    assert [a.confidence for a in quiz.answers] == [None, "sure"]


def test_an_older_database_takes_each_migration_once_and_keeps_its_rows(
    database: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = a_verdict()
    with State(database) as state:
        state.record(given, "", {})
    ran: list[int] = []

    def to_version_5(connection: sa.Connection) -> None:
        ran.append(5)
        connection.exec_driver_sql("CREATE TABLE lessons (id INTEGER)")

    def to_version_6(connection: sa.Connection) -> None:
        ran.append(6)
        connection.exec_driver_sql("INSERT INTO lessons VALUES (6)")

    for further in ([to_version_5], [to_version_5, to_version_6], [to_version_5, to_version_6]):
        monkeypatch.setattr(database_module, "MIGRATIONS", [*MIGRATIONS, *further])
        with State(database) as state:
            assert state.verdicts() == [given]
    assert ran == [5, 6]
    with State(database) as state, state.database.transaction() as connection:
        assert connection.exec_driver_sql("SELECT version FROM schema").all() == [(6,)]
        assert connection.exec_driver_sql("SELECT id FROM lessons").all() == [(6,)]


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    database: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with State(database) as state:
        state.record(a_verdict(), "", {})

    def to_version_5(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE lessons (id INTEGER)")
        connection.exec_driver_sql("DELETE FROM verdicts")
        connection.exec_driver_sql("INSERT INTO nowhere VALUES (1)")

    with monkeypatch.context() as patch:
        patch.setattr(database_module, "MIGRATIONS", [*MIGRATIONS, to_version_5])
        with pytest.raises(StateProblem, match="nowhere"):
            State(database)
    with State(database) as state:
        assert len(state.verdicts()) == 1
        with state.database.transaction() as connection:
            assert not sa.inspect(connection).has_table("lessons")


# Databases that cannot be used


def test_a_full_disk_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Path) -> Any:
        return shutil._ntuple_diskusage(1 << 30, 1 << 30, 0)  # type: ignore[attr-defined]

    monkeypatch.setattr(shutil, "disk_usage", full)
    (tmp_path / "learn.db").mkdir()
    with pytest.raises(StateProblem, match=r"learn\.db cannot grow\. Make room on the disk and try again"):
        State(tmp_path / "learn.db")


def test_a_file_that_is_no_database_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "learn.db"
    file.write_bytes(b"my notes" * 1000)
    with pytest.raises(StateProblem, match=r"learn\.db is damaged\. Move it elsewhere"):
        State(file)
    assert file.read_bytes() == b"my notes" * 1000


def test_damage_inside_a_database_is_named_when_it_is_met(tmp_path: Path) -> None:
    file = tmp_path / "learn.db"
    with State(file) as state:
        for seed in range(50):
            state.record(a_verdict(seed=seed), "x" * 2000, {})
    whole = file.read_bytes()
    file.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    with State(file) as state, pytest.raises(StateProblem, match=r"learn\.db is damaged"):
        state.verdicts()
    assert len(file.read_bytes()) == len(whole)


def test_a_place_that_cannot_hold_a_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateProblem, match=r"file/learn\.db cannot be used.*Make it and its folder writable"):
        State(tmp_path / "file" / "learn.db")
    (tmp_path / "learn.db").mkdir()
    with pytest.raises(StateProblem, match=r"learn\.db cannot be used.*unable to open"):
        State(tmp_path / "learn.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StateProblem, match=r"learn\.db cannot be used.*Make it and its folder writable"):
            State(tmp_path / "learn.db")
    finally:
        tmp_path.chmod(0o700)


def test_a_read_only_database_says_so_when_it_is_written(tmp_path: Path) -> None:
    with State(tmp_path / "learn.db") as state:
        state.record(a_verdict(), "", {})
    with State(f"sqlite:///file:{tmp_path}/learn.db?mode=ro&uri=true") as state:
        assert len(state.verdicts()) == 1
        with pytest.raises(
            StateProblem, match=r"Make it and its folder writable.*\(attempt to write a readonly database\)"
        ):
            state.note("rl/gae", "started")


@pytest.mark.parametrize("url", ["no url", "nosuchdatabase://host/class", "mysql+nosuchdriver://me:secret@host/class"])
def test_a_url_that_does_not_work_is_a_problem_of_the_settings(url: str) -> None:
    with pytest.raises(StateProblem, match=r"'database' in learn\.toml does not work here") as problem:
        State(url)
    assert "secret" not in str(problem.value)


def test_a_password_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlcipher3", sqlite3)  # the only SQLite dialect with a password in its URL
    with pytest.raises(StateProblem, match=r"nowhere/learn\.db cannot be used") as problem:
        State(f"sqlite+pysqlcipher://:secret@/{tmp_path}/nowhere/learn.db")
    assert "secret" not in str(problem.value)


# SQLite: nothing reported is lost


def test_a_commit_is_on_disk_and_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    with State(tmp_path / "learn.db") as state, State(tmp_path / "learn.db") as reader:
        state.note("rl/gae", "started")
        with state.database.transaction(writes=True) as connection:
            pragmas = ("journal_mode", "synchronous")
            assert [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas] == ["wal", 3]
            connection.execute(sa.delete(tables.events))
            assert len(reader.events("rl/gae")) == 1


@pytest.mark.parametrize("place", ["no shared memory", "no shared files"])
def test_without_a_write_ahead_log_a_database_works_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    database: Path | str = tmp_path / "learn.db"
    if place == "no shared memory":
        database = f"sqlite:///file:{tmp_path}/learn.db?vfs=unix-dotfile&uri=true"  # for places without shared memory
    else:
        monkeypatch.setattr(database_module, "_takes_wal", lambda connection: False)
    with State(database) as one, State(database) as other:
        for state in (one, other):
            state.record(a_verdict(), "", {})
        assert len(one.verdicts()) == len(other.verdicts()) == 2
        with one.database.transaction() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "delete"


def test_nothing_but_the_database_is_left_in_its_folder(tmp_path: Path) -> None:
    with State(tmp_path / "new" / "learn.db") as state:
        state.note("rl/gae", "started")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["learn.db"]


def test_a_database_in_memory_works() -> None:
    with State("sqlite://") as state:
        state.record(a_verdict(), "", {})
        assert len(state.verdicts()) == 1


def test_a_writer_waits_for_another_to_finish(tmp_path: Path) -> None:
    with (
        State(tmp_path / "learn.db") as state,
        closing(sqlite3.connect(tmp_path / "learn.db", isolation_level=None, check_same_thread=False)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        other.execute(
            "INSERT INTO events (learner, technique, kind, detail, at) VALUES ('', 'rl/gae', 'hint', '1', '2026-01-01')"
        )
        finish = threading.Timer(0.3, lambda: other.execute("COMMIT"))
        finish.start()
        state.note("rl/gae", "hint", "2")  # raises if SQLite does not wait for the lock
        finish.join()
        assert state.hints_used("rl/gae") == 2


def test_a_database_that_is_held_for_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.05)
    with (
        State(tmp_path / "learn.db") as state,
        closing(sqlite3.connect(tmp_path / "learn.db", isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateProblem, match=r"learn\.db is held by another process.*try again"):
            state.note("rl/gae", "started")


def test_processes_that_start_at_once_in_an_empty_folder_lose_nothing(tmp_path: Path) -> None:
    for number in range(3):
        folder = tmp_path / str(number)
        reported = [what for _, what in soak("race", "record_ten", 8, folder)]
        assert len(set(reported)) == 80
        assert_whole(folder / ".learn" / "learn.db", reported)
        with State(folder / ".learn" / "learn.db") as state:
            verdicts = state.verdicts()
            assert len(verdicts) == 80
            # each grading replaces the cases of the one before: those of the last one are left
            assert state.cases(verdicts[0].technique) == {
                b"halves": {(state.source(verdicts[0].attempt.sha256) or "").encode()}
            }


def assert_kills_lose_nothing(folder: Path, how_many: int, seed: int) -> None:
    reported = soak("kill", "record", how_many, folder, seed)
    assert {number for number, _ in reported} == set(range(how_many))  # each reported something before its kill
    assert_whole(folder / ".learn" / "learn.db", [what for _, what in reported])


def assert_kills_at_the_first_creation_leave_a_database_that_works(folder: Path, how_many: int, seed: int) -> None:
    reported = soak("kill", "first", how_many, folder, seed)
    by_folder: dict[int, list[str]] = {number: [] for number in range(how_many)}
    for number, what in reported:
        by_folder[number].append(what)
    for number, rows in by_folder.items():
        file = folder / str(number) / ".learn" / "learn.db"
        with State(file) as state:
            new = state.record(a_verdict("new"), "new", {})
        assert_whole(file, [*rows, f"{new} {a_verdict('new').attempt.sha256}"])


def test_a_kill_at_any_moment_loses_no_verdict_that_was_reported(tmp_path: Path) -> None:
    assert_kills_lose_nothing(tmp_path, 20, seed=1)


def test_a_kill_while_the_database_is_made_leaves_one_that_works(tmp_path: Path) -> None:
    assert_kills_at_the_first_creation_leave_a_database_that_works(tmp_path, 20, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_kills_lose_no_verdict_that_was_reported(tmp_path: Path, seed: int) -> None:
    assert_kills_lose_nothing(tmp_path / "record", 200, seed)
    assert_kills_at_the_first_creation_leave_a_database_that_works(tmp_path / "first", 200, seed)


def test_importing_the_state_imports_nothing_heavy_but_sqlalchemy() -> None:
    code = "import sys, groundup.grader.learner.state, groundup.grader.learner.workspace; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "sqlalchemy" in imported
    assert not {"torch", "numpy", "pytest", "hypothesis", "sqlalchemy.orm", "rich"} & set(imported)


# Labs


def test_the_latest_picture_of_a_lab_is_the_newest_that_there_is(state: State) -> None:
    assert state.latest_picture("rl/gae") is None
    for picture in (b"first", b"second", b""):
        state.record_lab("rl/gae", [{"contestant": "reference"}], picture)
    state.record_lab("alignment/ppo", [], b"another's")
    assert state.latest_picture("rl/gae") == b"second"
