from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from groundup.core.errors import PluginProblem, UnknownName, UsageProblem
from groundup.core.technique import Technique
from groundup.grader.batch import made_with, run, seeds
from groundup.grader.batch.moves import Moves
from groundup.grader.batch.row import Row, without_times


def rows(tmp_path: Path) -> list[Row]:
    return [
        Row.model_validate_json(line) for line in (tmp_path / "results" / "results.jsonl").read_bytes().splitlines()
    ]


def by_name(tmp_path: Path) -> dict[str, Row]:
    return {row.name: row for row in rows(tmp_path)}


def test_every_submission_has_its_row_and_its_files(grade_all: Any, tmp_path: Path) -> None:
    told: list[Row] = []
    outcome = grade_all(told=told.append)
    found = by_name(tmp_path)
    assert {n: r.outcome for n, r in found.items()} == {
        "anna": "passed", "bob": "fell_short", "carl": "not_started", "dora": "nothing_to_grade",
    }  # fmt: skip
    assert sorted(r.name for r in told) == ["anna", "bob", "carl", "dora"]
    results = tmp_path / "results"
    for name, row in found.items():
        assert (results / "logs" / f"{name}.log").read_text(encoding="utf-8").startswith(f"{name}\n")
        score = json.loads((results / "gradescope" / name / "results.json").read_text(encoding="utf-8"))["score"]
        assert score == pytest.approx(row.score * 3, abs=0.01)
    lines = list(csv.DictReader((results / "results.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert [(line["name"], line["mistakes"]) for line in lines] == [
        ("anna", ""), ("bob", "forgets-the-weights"), ("carl", ""), ("dora", ""),
    ]  # fmt: skip
    assert outcome.summary.as_json() == {
        "submissions": 4,
        "outcomes": {"passed": 1, "fell_short": 1, "not_started": 1, "nothing_to_grade": 1},
        "mean_score": pytest.approx((1 + 0.3333) / 4),
        "median_score": pytest.approx(0.3333 / 2),
        "by_hand": {"dora": "the file is empty"},
        "left_out": [],
    }
    assert outcome.moves is None


def test_all_are_graded_on_the_same_cases(grade_all: Any, handed_in: Path, tmp_path: Path) -> None:
    shutil.copytree(handed_in / "bob", handed_in / "twin")
    grade_all()
    found = by_name(tmp_path)
    bob, twin = found["bob"].verdict, found["twin"].verdict
    assert bob
    assert twin
    assert bob.seed == twin.seed
    assert bob.properties == twin.properties


def test_what_was_interrupted_goes_on_without_grading_anything_twice(
    grade_all: Any, engine: Any, tmp_path: Path
) -> None:
    engine.stop_after = 2
    with pytest.raises(KeyboardInterrupt):
        grade_all()
    assert engine.graded == ["anna", "bob"]
    first = rows(tmp_path)
    engine.stop_after = None
    grade_all()
    assert engine.graded == ["anna", "bob", "carl"]
    assert rows(tmp_path)[: len(first)] == first
    assert len({r.verdict.seed for r in rows(tmp_path) if r.verdict}) == 1
    grade_all()
    assert engine.graded == ["anna", "bob", "carl"]
    assert len(rows(tmp_path)) == 4


def test_only_what_was_handed_in_anew_is_graded_again(
    grade_all: Any, engine: Any, handed_in: Path, tmp_path: Path
) -> None:
    grade_all()
    engine.graded.clear()
    shutil.copy(handed_in / "anna" / "mean.py", handed_in / "dora" / "mean.py")
    shutil.copytree(handed_in / "bob", handed_in / "eve")
    outcome = grade_all()
    assert engine.graded == ["dora", "eve"]
    assert outcome.summary.outcomes == {"passed": 2, "fell_short": 2, "not_started": 1}
    shutil.rmtree(handed_in / "eve")
    assert grade_all().summary.as_json()["submissions"] == 4


def test_one_alone_can_be_graded(grade_all: Any, engine: Any, tmp_path: Path) -> None:
    grade_all(only=("bob",))
    assert [r.name for r in rows(tmp_path)] == ["bob"]
    grade_all()
    assert engine.graded == ["bob", "anna", "carl"]
    with pytest.raises(UnknownName, match=r"No submission 'bobb'\. Did you mean 'bob'?"):
        grade_all(only=("bobb",))


def test_what_could_not_be_graded_is_tried_again_by_the_same_command(
    grade_all: Any, engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = engine._grade
    broken = lambda job: whole(job) if job.name != "bob" else type(whole(job))(job, problem="the judge died")  # noqa: E731
    monkeypatch.setattr(engine, "_grade", broken)
    assert grade_all().summary.outcomes["not_gradable"] == 1
    assert by_name(tmp_path)["bob"].command
    monkeypatch.undo()
    engine.graded.clear()
    outcome = grade_all()
    assert engine.graded == ["bob"]
    assert outcome.summary.outcomes["not_gradable"] == 0


def test_files_of_a_learner_that_were_lost_are_written_again(grade_all: Any, engine: Any, tmp_path: Path) -> None:
    grade_all()
    before = (tmp_path / "results" / "logs" / "bob.log").read_bytes()
    shutil.rmtree(tmp_path / "results" / "logs")
    shutil.rmtree(tmp_path / "results" / "gradescope")
    engine.graded.clear()
    grade_all()
    assert (tmp_path / "results" / "logs" / "bob.log").read_bytes() == before
    assert (tmp_path / "results" / "gradescope" / "anna" / "results.json").exists()
    assert engine.graded == []


def test_points_of_the_instructor_make_the_score(grade_all: Any, tmp_path: Path) -> None:
    grade_all(points={"equals_the_reference": 3.0})  # bob's attempt fails this property
    bob = by_name(tmp_path)["bob"]
    assert bob.out_of == 5.0
    assert (bob.points, bob.score) == (1.0, 0.2)
    assert by_name(tmp_path)["dora"].out_of == 5.0


def test_other_settings_need_another_round(grade_all: Any, mean: Technique, tmp_path: Path) -> None:
    grade_all(seed=7, seed_from="given")
    for wishes, what in (
        ({"seed": 8}, "the seed"),
        ({"seed": 7, "thorough": True}, "the number of examples"),
        ({"seed": 7, "points": {"zeros_stay_zeros": 2.0}}, "the points"),
        ({"seed": 7, "lang": "zh"}, "the language"),
    ):
        with pytest.raises(UsageProblem, match=rf"something else \({what}\): --regrade grades all again"):
            grade_all(**wishes)
    with pytest.raises(UsageProblem, match=r"holds results of toys/mean: name another folder for toys/median"):
        grade_all(technique=mean.model_copy(update={"id": "toys/median"}))
    grade_all()  # without a seed, the earlier one is used


def test_a_secret_gives_the_seed_and_stays_out_of_every_file(
    grade_all: Any, mean: Technique, handed_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = b"a horse that nobody knows"
    printing = (handed_in / "bob" / "mean.py").read_text(encoding="utf-8")
    printing = "import os\n" + printing.replace("    total = ", "    print(dict(os.environ))\n    total = ")
    (handed_in / "bob" / "mean.py").write_text(printing, encoding="utf-8")
    monkeypatch.setenv(seeds.ASKED_BY, secret.decode())
    seed = seeds.derived(secret, mean)
    grade_all(seed=seed, seed_from="secret")
    results = tmp_path / "results"
    everything = {p: p.read_bytes() for p in results.rglob("*") if p.is_file()}
    assert not [p for p, data in everything.items() if secret in data]
    seen = [data for p, data in everything.items() if p.is_relative_to(results / "gradescope")]
    assert len(seen) == 4
    assert any(b"OMP_NUM_THREADS" in data for data in seen)  # the attempt prints its environment
    assert not [data for data in seen if str(seed).encode() in data]
    assert json.loads((results / "run.json").read_text())["rounds"][0]["seed"] == seed


def test_a_round_after_the_technique_changed_says_who_moved_and_why(
    grade_all: Any, mean: Technique, tmp_path: Path
) -> None:
    grade_all(seed=7)
    file = mean.files.solution
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("    total =", "    weight = weight * weight\n    total ="), encoding="utf-8")
    with pytest.raises(UsageProblem, match=r"something else \(the solution\): --regrade"):
        grade_all(seed=7)
    outcome = grade_all(seed=7, regrade=True)
    assert (outcome.number, outcome.changed) == (2, ["the solution"])
    (anna,) = outcome.moves.each
    assert (anna.name, anna.score_before, anna.score, anna.file_changed) == ("anna", 1.0, 0.3333, False)
    assert [(c.property, c.was, c.now) for c in anna.changes] == [
        ("equals_the_reference", "held", "failed"),
        ("twice_the_weights_is_the_same", "held", "not_reached"),
    ]
    page = (tmp_path / "results" / "summary.html").read_text(encoding="utf-8")
    assert re.search(r'anna</th><td class="number">100%</td><td class="number">33%', page)
    assert "Changed since then: the solution." in page
    moved = (tmp_path / "results" / "moved.csv").read_text(encoding="utf-8-sig")
    assert "anna,1.0,0.3333,passed,fell_short,False,equals_the_reference,held,failed" in moved
    assert len(rows(tmp_path)) == 8  # the rows of the first round stay


def test_a_round_is_graded_by_one_judge_and_another_judge_begins_another_round(
    grade_all: Any, engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.stop_after = 1
    with pytest.raises(KeyboardInterrupt):
        grade_all(seed=7)
    engine.stop_after = None
    now = made_with.judged_by()
    assert {"judge", "core", "testing", "Python", "torch", "hypothesis"} <= set(now)
    with monkeypatch.context() as patch:
        patch.setattr(run, "judged_by", lambda: now | {"torch": "0.9", "judge": "another"})
        with pytest.raises(UsageProblem, match=r"else \(the judge's code, torch .* → 0\.9\): --regrade"):
            grade_all(seed=7)
        assert [row.name for row in rows(tmp_path)] == ["anna"]
        with pytest.raises(PluginProblem, match="What grades toys/mean here is not what this class is graded with"):
            grade_all(seed=7, regrade=True)  # judges that are not the ones of the round, as on another node
    assert [row.name for row in rows(tmp_path)] == ["anna"]
    outcome = grade_all(seed=7, regrade=True)
    assert (outcome.number, outcome.changed[0]) == (3, "the judge's code")
    assert {row.name for row in rows(tmp_path) if row.round == 3} == {"anna", "bob", "carl", "dora"}
    page = (tmp_path / "results" / "summary.html").read_text(encoding="utf-8")
    assert f"Changed since then: the judge&#39;s code, torch 0.9 → {now['torch']}." in page


def test_results_of_before_the_judge_was_recorded_are_kept_and_told_of(grade_all: Any, tmp_path: Path) -> None:
    grade_all(seed=7)
    file = tmp_path / "results" / "run.json"
    whole = json.loads(file.read_text())
    del whole["rounds"][0]["judge"]
    file.write_text(json.dumps(whole))
    with pytest.raises(UsageProblem, match="the judge, which was not recorded then"):
        grade_all(seed=7)
    first = rows(tmp_path)
    outcome = grade_all(seed=7, regrade=True)
    assert (outcome.number, outcome.moves) == (2, Moves())
    assert rows(tmp_path)[:4] == first


def test_another_round_that_was_interrupted_goes_on(grade_all: Any, engine: Any, tmp_path: Path) -> None:
    grade_all()
    engine.graded.clear()
    engine.stop_after = 1
    with pytest.raises(KeyboardInterrupt):
        grade_all(regrade=True)
    engine.stop_after = None
    outcome = grade_all(regrade=True)
    assert engine.graded == ["anna", "bob", "carl"]
    assert (outcome.number, outcome.moves) == (2, Moves())
    assert "No result changed." in (tmp_path / "results" / "summary.html").read_text(encoding="utf-8")


def test_what_was_skipped_is_told_wherever_there_are_results(grade_all: Any, handed_in: Path, tmp_path: Path) -> None:
    (handed_in / "eve" / "mean.py").mkdir(parents=True)
    shutil.move(handed_in / "bob" / "mean.py", handed_in / "bob" / "mine.py")
    (handed_in / "bob" / "mean.py").mkdir()
    (handed_in / "dora" / "mean.py").rename(handed_in / "dora" / "hw.zip")
    (handed_in / "stray.py").write_text("")
    outcome = grade_all()
    results = tmp_path / "results"
    told = {
        "bob": "mean.py is a folder: hand in the file mean.py itself",
        "dora": "no mean.py and no other Python file; found hw.zip: hand in mean.py",
        "eve": "no mean.py and no other Python file; mean.py is a folder: hand in the file mean.py itself",
    }
    page = (results / "summary.html").read_text(encoding="utf-8")
    lines = {
        line["name"]: line
        for line in csv.DictReader((results / "results.csv").read_text(encoding="utf-8-sig").splitlines())
    }
    as_json = outcome.summary.as_json()
    for name, says in told.items():
        feedback = json.loads((results / "gradescope" / name / "results.json").read_text(encoding="utf-8"))
        for place in (
            page, feedback["output"], (results / "logs" / f"{name}.log").read_text(encoding="utf-8"),
            lines[name]["problem"] + lines[name]["note"], as_json["by_hand"][name],
        ):  # fmt: skip
            assert says in place
    assert "Left out, because they are in no learner&#39;s folder: stray.py." in page
    assert (lines["stray.py"]["outcome"], lines["stray.py"]["problem"]) == ("left_out", "in no learner's folder")
    assert as_json["left_out"] == ["stray.py"]
    assert lines["bob"]["outcome"] == "fell_short"


def test_the_command_of_a_row_runs_for_any_name(grade_all: Any, handed_in: Path, tmp_path: Path) -> None:
    odd = ["tab\there", "line\nbreak", "\u202egpj", os.fsdecode(b"caf\xe9"), "it's\\x41 $HOME", "\x1b[31m"]
    for name in odd:
        shutil.copytree(handed_in / "bob", handed_in / name)
    grade_all()
    commands = {row.command for row in rows(tmp_path) if row.command}
    assert all(command.isprintable() for command in commands)
    read = set()
    for command in commands:  # bash splits it, and runs a program in place of learn
        script = f'learn() {{ printf "%s\\0" "$@"; cat < "$4" > /dev/null; }}; {command}'
        done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
        read.add(os.fsdecode(done.stdout.split(b"\0")[3]))
    assert read == {str(handed_in / name / "mean.py") for name in ("anna", "bob", "carl", *odd)}


def test_two_classes_come_to_the_same_but_for_the_times(grade_all: Any, tmp_path: Path) -> None:
    grade_all(seed=7)
    first = [without_times(row) for row in rows(tmp_path)]
    shutil.rmtree(tmp_path / "results")
    grade_all(seed=7)
    assert [without_times(row) for row in rows(tmp_path)] == first


def test_the_page_needs_nothing_else_and_runs_nothing_that_a_learner_wrote(
    grade_all: Any, handed_in: Path, tmp_path: Path
) -> None:
    (handed_in / "bob").rename(handed_in / "<script>alert(1)<")
    (handed_in / "dora" / "<img src=x>.py").write_text("")
    grade_all()
    page = (tmp_path / "results" / "summary.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;" in page
    assert not re.search(r"(src|href)=|url\(|@import", page)
    assert "forgets-the-weights" in page
    assert "@media print" in page
