from __future__ import annotations

import csv
import io
import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundup.grader.batch.files import cell, log, moved_table, results_file, table, write_for
from groundup.grader.batch.gradescope import results
from groundup.grader.batch.moves import Change, Move, Moves, moved
from groundup.grader.batch.names import file_name
from groundup.grader.batch.row import Row
from groundup.grader.judging.verdict import Diagnosis, PropertyResult, Verdict
from groundup.grader.learner.templates import Texts

a_verdict = runpy.run_path(str(Path(__file__).parents[1] / "learner" / "state_soak.py"))["a_verdict"]
SEED = 81985529216486895
PROPERTIES = (
    PropertyResult(id="adds", claim="It adds.", status="held", points=2.0),
    PropertyResult(
        id="scales", claim="It scales.", status="failed", counterexample={"x": "3"}, expected="6", got="5", where="[0]",
        message="the result differs at [0]", printed="hello\n",
    ),
    PropertyResult(id="later", claim="Later.", status="not_reached", points=3.0),
    PropertyResult(id="odd", claim="Odd.", status="not_gradable", message="the reference fails this case as well"),
)  # fmt: skip
# The fields of https://gradescope-autograders.readthedocs.io/en/latest/specs/#output-format, and their types.
VISIBILITY = {"hidden", "after_due_date", "after_published", "visible"}
FORMATS = {"text", "html", "simple_format", "md", "ansi"}
WHOLE = {
    "score", "execution_time", "output", "output_format", "test_output_format", "test_name_format", "visibility",
    "stdout_visibility", "extra_data", "tests", "leaderboard",
}  # fmt: skip
TEST = {
    "score", "max_score", "status", "name", "name_format", "number", "output", "output_format", "tags", "visibility",
    "extra_data",
}  # fmt: skip


def a_row(**changes: Any) -> Row:
    found = Diagnosis(id="forgets", kind="misconception", says="It forgets.")
    verdict: Verdict = a_verdict().model_copy(
        update={"properties": PROPERTIES, "score": 0.3333, "seed": SEED, "diagnosis": (found,), "outcome": "fell_short"}
    )
    row = Row(
        name="anna", round=1, file="anna/gae.py", outcome="fell_short", score=0.3333, points=2.0, out_of=6.0,
        fingerprint="f", command=f"learn grade rl/gae --attempt /x/anna/gae.py --seed {SEED}", verdict=verdict,
    )  # fmt: skip
    return row.model_copy(update=changes)


NOTHING = Row(
    name="bob", round=1, outcome="nothing_to_grade", reason="empty", problem="the file is empty", score=0.0, points=0.0,
    out_of=7.0, fingerprint="g",
)  # fmt: skip
BROKEN = Row(
    name="carl", round=1, outcome="not_gradable", problem="its judge was ended by SIGKILL, 2 times in a row", score=0.0,
    points=0.0, out_of=7.0, fingerprint="h",
)  # fmt: skip
EVERY = [a_row(), NOTHING, BROKEN]


def lines(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))


@pytest.mark.parametrize("row", EVERY, ids=lambda row: row.name)
def test_results_are_as_gradescope_specifies_them(row: Row) -> None:
    told = results(row, Texts("class"))
    assert set(told) <= WHOLE
    assert type(told["score"]) is float
    assert told["visibility"] in VISIBILITY
    assert told["stdout_visibility"] in VISIBILITY
    assert told["output_format"] in FORMATS
    for test in told["tests"]:
        assert set(test) <= TEST
        assert test["visibility"] in VISIBILITY
        assert test["output_format"] in FORMATS
        assert test.get("status", "passed") in {"passed", "failed"}
        assert ("score" in test) == ("max_score" in test)
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_results_tell_a_learner_what_fails_and_on_what() -> None:
    told = results(a_row(), Texts("class"))
    assert told["output"] == "1 of 4 properties hold: 2 of 6 points.\nThis is what forgets does. It forgets."
    adds, scales, later, odd = told["tests"]
    assert (adds["status"], adds["score"], adds["max_score"], adds["output"]) == ("passed", 2.0, 2.0, "")
    assert scales["output"] == (
        "the result differs at [0]\nx = 3\nexpected: 6\ngot: 5\nat: [0]\nit printed on this case:\nhello"
    )
    assert (later["status"], later["output"]) == ("failed", "Something else has to hold first.")
    assert odd["output"].startswith("This could not be judged; it does not count.")
    assert "score" not in odd
    assert results(NOTHING, Texts("class"))["output"] == "There is nothing to grade: the file is empty."
    assert "not your fault" in results(BROKEN, Texts("class"))["output"]


def test_what_could_not_be_judged_costs_no_points() -> None:
    held = tuple(p.model_copy(update={"status": "not_gradable" if p.id == "odd" else "held"}) for p in PROPERTIES)
    row = a_row()
    assert row.verdict
    whole = row.model_copy(
        update={"verdict": row.verdict.model_copy(update={"properties": held}), "score": 1.0, "points": 6.0}
    )
    assert results(whole, Texts("class"))["score"] == 7.0  # of the 7 that the assignment counts


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_no_learner_sees_the_seed(lang: str, chinese: Callable[[str], str]) -> None:
    texts = Texts("class", lang, chinese if lang == "zh" else str)
    for row in EVERY:
        told = json.dumps(results(row, texts))
        assert str(SEED) not in told
        assert "--seed" not in told
    assert str(SEED) in log(a_row(), texts)  # the log is the instructor's


def test_a_learners_files_bear_their_name(tmp_path: Path) -> None:
    for name in ("anna", "--help", "=1+1", "李明", "x" * 255, "é" * 255):
        write_for(tmp_path, a_row(name=name), Texts("class"))
        assert json.loads(results_file(tmp_path, name).read_text(encoding="utf-8"))["score"] == 2.3333
    assert file_name("x" * 255) != file_name("x" * 254)
    assert len({p.name for p in (tmp_path / "logs").iterdir()}) == 6


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "=cmd|' /C calc'!A0"])
def test_a_spreadsheet_computes_nothing_that_a_learner_wrote(name: str) -> None:
    assert cell(name) == f"'{name}"
    rows = [a_row(name=name, file=f"{name}/gae.py", problem=name)]
    (line,) = lines(table(rows, list(PROPERTIES)))
    assert line["name"] == f"'{name}"
    assert line["problem"] == f"'{name}"
    assert not re.match(r"[=+\-@\t\r]", line["file"])


def test_the_table_has_a_line_for_each_and_a_column_for_each_property() -> None:
    anna, bob, carl = lines(table(EVERY, list(PROPERTIES)))
    assert (anna["name"], anna["score"], anna["held"], anna["mistakes"]) == ("anna", "0.3333", "1", "forgets")
    assert anna["property:scales"] == "failed"
    assert (bob["outcome"], bob["reason"], bob["property:scales"]) == ("nothing_to_grade", "empty", "")
    assert carl["problem"] == "its judge was ended by SIGKILL, 2 times in a row"


def with_properties(row: Row, *properties: PropertyResult, **changes: Any) -> Row:
    assert row.verdict
    return row.model_copy(update=changes | {"verdict": row.verdict.model_copy(update={"properties": properties})})


def test_who_moved_is_told_with_the_properties_that_made_the_difference() -> None:
    assert moved([(a_row(), a_row(round=2))]) == Moves()
    adds, scales, later, odd = PROPERTIES
    now = with_properties(a_row(), adds, scales.model_copy(update={"status": "held"}), later, odd, score=0.9)
    moves = moved([(a_row(), now), (NOTHING, a_row(name="bob"))])
    assert moves.each == [
        Move("anna", 0.3333, 0.9, "fell_short", "fell_short", False, (Change("scales", "failed", "held"),)),
        Move("bob", 0.0, 0.3333, "nothing_to_grade", "fell_short", True, ()),
    ]
    assert [(r["name"], r["property"], r["was"], r["is"]) for r in lines(moved_table(moves.each))] == [
        ("anna", "scales", "failed", "held"), ("bob", "", "", ""),
    ]  # fmt: skip


def test_those_whose_score_changed_most_come_first() -> None:
    adds, *rest = PROPERTIES
    died = adds.model_copy(update={"status": "died"})
    pairs = [
        (a_row(name=name), with_properties(a_row(name=name), died, *rest, score=score))
        for name, score in (("same", 0.3333), ("little", 0.3), ("most", 0.0), ("up", 0.6))
    ]
    assert [move.name for move in moved(pairs).each] == ["most", "up", "little", "same"]


def test_a_renamed_added_or_removed_property_moves_nobody_and_is_told_once() -> None:
    adds, scales, later, odd = PROPERTIES
    new = PropertyResult(id="fresh", claim="New.", status="held")
    other = scales.model_copy(update={"id": "scales_well"})
    pairs = [(a_row(name=name), with_properties(a_row(name=name), adds, other, odd, new)) for name in "abc"]
    moves = moved(pairs)
    assert moves.each == []
    assert moves.properties() == "renamed: scales → scales_well; added: fresh; gone: later"
    assert moves.as_json() == {
        "moved": [],
        "properties_changed": {"renamed": {"scales": "scales_well"}, "added": ["fresh"], "gone": ["later"]},
    }
    held = other.model_copy(update={"status": "held"})
    (move,) = moved([(a_row(), with_properties(a_row(), adds, held, later, odd))]).each
    assert move.changes == (Change("scales_well", "failed", "held"),)
