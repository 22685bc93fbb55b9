from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from groundup.core.errors import UnknownName, UsageProblem
from groundup.grader.batch.points import read_points, score, weighted
from groundup.grader.judging.scoring import score_of
from groundup.grader.judging.verdict import PropertyResult, Status

a_verdict = runpy.run_path(str(Path(__file__).parents[1] / "learner" / "state_soak.py"))["a_verdict"]
NAMES = ["adds_up", "is_fast"]


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "points.toml"
    path.write_text(text, encoding="utf-8")
    return path


def result(name: str, status: Status, points: float = 1.0) -> PropertyResult:
    return PropertyResult(id=name, claim=name, status=status, points=points)


def test_points_are_given_by_the_name_of_the_test_or_of_the_property(tmp_path: Path) -> None:
    assert read_points(file(tmp_path, "[points]\ntest_adds_up = 3\n"), NAMES) == {"adds_up": 3.0}
    assert read_points(file(tmp_path, "[points]\nis_fast = 0.5\n"), NAMES) == {"is_fast": 0.5}


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("[points]\ntest_add_up = 3\n", UnknownName, "Did you mean 'test_adds_up'?"),
        ("[points]\nnothing_like_it = 3\n", UnknownName, "There are test_adds_up, test_is_fast."),
        ("[point]\ntest_adds_up = 3\n", UnknownName, "No table in .*'point'. Did you mean 'points'?"),
        ("[points]\ntest_adds_up = -1\n", UsageProblem, "test_adds_up = -1 is not a number of points"),
        ("[points]\ntest_adds_up = nan\n", UsageProblem, "is not a number of points"),
        ("[points]\ntest_adds_up = true\n", UsageProblem, "test_adds_up = True is not a number of points"),
        ("[points]\ntest_adds_up = '3'\n", UsageProblem, "test_adds_up = '3' is not a number of points"),
        ("[points]\ntest_adds_up = 1\nadds_up = 2\n", UsageProblem, "'adds_up' is given twice"),
        ("[points]\nadds_up = 0\nis_fast = 0\n", UsageProblem, "gives every property 0 points"),
        ("[points]\n", UsageProblem, r"a table \[points\] is wanted, with lines such as test_adds_up = 3"),
        ("", UsageProblem, "gives no points"),
        ("points = 3\n", UsageProblem, "gives no points"),
        ("[points\n", UsageProblem, "is not TOML"),
    ],
)
def test_what_is_wrong_with_points_is_told(tmp_path: Path, text: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        read_points(file(tmp_path, text), NAMES)


def test_points_that_are_not_there_are_told_of(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="cannot be read: No such file"):
        read_points(tmp_path / "none.toml", NAMES)


def test_other_points_make_another_score() -> None:
    verdict = a_verdict().model_copy(
        update={"properties": (result("adds_up", "held"), result("is_fast", "failed")), "score": 0.5}
    )
    assert weighted(verdict, {}).score == 0.5
    heavier = weighted(verdict, {"adds_up": 3.0})
    assert heavier.score == 0.75
    assert [p.points for p in heavier.properties] == [3.0, 1.0]
    assert weighted(verdict, {"adds_up": 0.0}).score == 0.0


def test_scores_are_reckoned_as_the_judge_reckons_them() -> None:
    for results in (
        [],
        [result("a", "held")],
        [result("a", "not_gradable")],
        [result("a", "held", 2.0), result("b", "died"), result("c", "not_gradable", 5.0), result("d", "not_reached")],
    ):
        assert score(results) == score_of(results)
