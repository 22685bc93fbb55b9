from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from groundup.core.errors import EnvironmentProblem, StateProblem, UsageProblem
from groundup.grader.batch import journal as module
from groundup.grader.batch.journal import ROWS, RUN, Journal, Round
from groundup.grader.batch.row import Row


def a_round(**changes: Any) -> Round:
    return Round(
        technique="rl/gae", version=1, files={"solution": "1", "properties": "1"}, seed=7, seed_from="given",
        thorough=False, points={}, lang="en",
    ).model_copy(update=changes)  # fmt: skip


def a_row(name: str, *, round: int = 1, **changes: Any) -> Row:
    row = Row(name=name, round=round, outcome="passed", score=1.0, points=1.0, out_of=1.0, fingerprint=f"f-{name}")
    return row.model_copy(update=changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of results with the rows of three learners."""
    with Journal(tmp_path / "results") as journal:
        journal.begin(a_round())
        for name in ("anna", "bob", "李明"):
            journal.append(a_row(name))
    return tmp_path / "results"


def names(folder: Path) -> list[str]:
    return [json.loads(line)["name"] for line in (folder / ROWS).read_bytes().splitlines()]


def test_rows_are_found_again(folder: Path) -> None:
    with Journal(folder) as journal:
        assert journal.rounds == [a_round()]
        assert journal.standing("bob") == ("f-bob", "passed")
        assert journal.row("李明") == a_row("李明", at=journal.row("李明").at)  # type: ignore[union-attr]
        assert journal.standing("carl") is None


@pytest.mark.parametrize("kept", range(1, 60, 7))
def test_a_torn_last_line_is_taken_away_and_the_rest_stays(folder: Path, kept: int) -> None:
    file = folder / ROWS
    whole = file.read_bytes()
    line = whole.splitlines(keepends=True)[-1]
    file.write_bytes(whole[: -len(line)] + line[:-kept])
    with Journal(folder) as journal:
        assert journal.standing("李明") is None
        journal.append(a_row("李明", score=0.5))
        assert journal.row("anna") is not None
    assert names(folder) == ["anna", "bob", "李明"]


def test_a_last_line_of_zeros_as_power_cuts_leave_it_is_taken_away(folder: Path) -> None:
    with (folder / ROWS).open("ab") as file:
        file.write(b"\0" * 100 + b"\n")
    with Journal(folder) as journal:
        assert journal.standing("李明") is not None
    assert names(folder) == ["anna", "bob", "李明"]


def test_a_damaged_line_in_the_middle_is_told_and_nothing_is_deleted(folder: Path) -> None:
    lines = (folder / ROWS).read_bytes().splitlines(keepends=True)
    damaged = b"".join([lines[0], b'{"name": "bob"}\n', lines[2]])
    (folder / ROWS).write_bytes(damaged)
    with pytest.raises(StateProblem, match=r"results\.jsonl, line 2 cannot be read .* Delete that line"):
        Journal(folder)
    assert (folder / ROWS).read_bytes() == damaged


def test_a_row_that_does_not_fit_on_the_disk_leaves_no_part_of_itself(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (folder / ROWS).read_bytes()
    write = module.os.write
    with Journal(folder) as journal:
        monkeypatch.setattr(module.os, "write", lambda to, data: write(to, data[:40]))
        with pytest.raises(EnvironmentProblem, match="No space left on device"):
            journal.append(a_row("carl"))
        monkeypatch.undo()
        assert (folder / ROWS).read_bytes() == before
        journal.append(a_row("carl"))
    assert names(folder) == ["anna", "bob", "李明", "carl"]


def test_the_newest_row_of_a_round_counts_and_the_rounds_before_are_remembered(folder: Path) -> None:
    with Journal(folder) as journal:
        journal.append(a_row("anna", score=0.25))
        journal.finish()
        journal.begin(a_round(version=2))
        assert journal.standing("anna") is None
        journal.append(a_row("anna", round=2, score=0.5))
        journal.append(a_row("anna", round=2, score=0.75))
    with Journal(folder) as journal:
        assert journal.row("anna").score == 0.75  # type: ignore[union-attr]
        assert journal.earlier("anna").score == 0.25  # type: ignore[union-attr]
        assert journal.earlier("bob").score == 1.0  # type: ignore[union-attr]
        assert journal.row("bob") is None
        assert [r.finished for r in journal.rounds] == [True, False]


def test_two_cannot_write_at_once(folder: Path) -> None:
    with Journal(folder), pytest.raises(UsageProblem, match="is being written by another 'learn grade-many'"):
        Journal(folder)
    Journal(folder).close()


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UsageProblem, match=r"holds other files \(thesis\.tex\)"):
        Journal(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UsageProblem, match="is a file"):
        Journal(tmp_path / "thesis.tex")
    with pytest.raises(UsageProblem, match="is not a folder"):
        Journal(tmp_path / "thesis.tex" / "results")


def test_a_folder_in_which_no_round_was_begun_can_be_begun_in(tmp_path: Path) -> None:
    Journal(tmp_path / "results").close()  # as after a refused command line
    with Journal(tmp_path / "results") as journal:
        journal.begin(a_round())
        journal.append(a_row("anna"))
    (tmp_path / "results" / RUN).unlink()
    with pytest.raises(UsageProblem, match=r"holds other files \(results\.jsonl\)"):
        Journal(tmp_path / "results")


def test_results_of_which_nobody_knows_what_they_were_graded_with_are_told_of(folder: Path) -> None:
    (folder / RUN).write_text("{")
    with pytest.raises(StateProblem, match="nobody knows what the results were graded with"):
        Journal(folder)


def test_what_a_round_grades_otherwise_is_named() -> None:
    assert a_round().differences(a_round(finished=True, seed_from="drawn")) == []
    other = a_round(
        version=2, files={"solution": "1", "properties": "2", "misconceptions": "1"}, seed=8, points={"a": 1},
        judge={"judge": "b", "testing": "a", "torch": "2.7"},
    )  # fmt: skip
    assert other.differences(a_round(judge={"judge": "a", "testing": "a", "torch": "2.6"})) == [
        "the properties", "the known mistakes", "the judge's code", "torch 2.6 → 2.7", "the technique's version",
        "the seed", "the points",
    ]  # fmt: skip


def test_rounds_of_before_the_judge_was_recorded_are_read_and_differ(folder: Path) -> None:
    run = json.loads((folder / RUN).read_text())
    del run["rounds"][0]["judge"]  # as an earlier version wrote it
    (folder / RUN).write_text(json.dumps(run))
    with Journal(folder) as journal:
        assert a_round(judge={"torch": "2.7"}).differences(journal.rounds[-1]) == [
            "the judge, which was not recorded then"
        ]
        assert journal.standing("bob") == ("f-bob", "passed")
