"""The rule 'examples': the solution gives worked numbers that were found without it."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from groundup.core.errors import PluginProblem
from groundup.grader.authoring.soundness import examples
from groundup.grader.authoring.soundness.examples import check
from groundup.grader.judging.judge import Judge

FILE = "examples.toml"


def told(toy: Any) -> list[str]:
    return check(toy.technique)[1]


def test_sound_examples_are_clean(toy: Any) -> None:
    assert check(toy.technique) == ("3 examples", [])


def test_a_flaw_that_the_slow_way_shares_is_found(toy: Any, judge: Judge) -> None:
    """Solution and property are off by the same factor: the properties hold, only the worked numbers tell."""
    toy.spoil("solution.py", "factor = 0.5", "factor = 1.0")
    toy.spoil("properties.py", "impl(x) + impl(x), x)", "impl(x) + impl(x), x + x)")
    source = (toy.folder / "solution.py").read_text(encoding="utf-8")
    assert judge.grade(toy.technique, source, "half.py", seed=0).verdict.passed
    first, second, third, fourth, fifth = told(toy)
    assert first == f"{toy.at(FILE, 'gives.y')}: two-numbers: y[0]: expected 1.5, got 3.0"
    assert second == f"{toy.at(FILE, 'gives.once')}: twice: once[0]: expected 5.0, got 10.0"
    assert third == f"{toy.at(FILE, 'gives.twice')}: twice: twice[0]: expected 2.5, got 10.0"
    assert fourth == f"{toy.at(FILE, 'gives.result')}: whole-numbers: result.whole[0]: expected 0.5, got 1.0"
    assert fifth == f"{toy.at(FILE, 'gives.slope')}: whole-numbers: slope[0]: expected 0.5, got 1.0"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("gives.y = [1.5, -0.5]", "gives.y = [1.5, -0.50001]", "y[1]: expected -0.50001, got -0.5"),
        ("gives.y = [1.5, -0.5]", "gives.y = [[1.5, -0.5]]", "y: expected shape (1, 2), got a tensor of shape (2,)"),
        ("gives.y = [1.5, -0.5]", "gives.y = [[1.5], -0.5]", "y: expected rows of unequal length, got a tensor of"),
        ("gives.y = [1.5, -0.5]", "gives.y = [2, 0]", "y[0]: expected 2 (int), got 1.5 (float)"),
        ("gives.twice = [2.5]", "gives.twice = [true]", "twice[0]: expected True (bool), got 2.5 (float)"),
        ("gives.y = [1.5, -0.5]", 'gives.y = "half"', "y: expected 'half', got a tensor of shape (2,)"),
        ("gives.y = [1.5, -0.5]", "gives.y = [nan, inf]", "y[0]: expected nan, got 1.5"),
        ("length = 2", "length = 3", "result.length: expected 3, got 2"),
        ("length = 2", "length = true", "result.length: expected True (bool), got 2 (int)"),
        ("length = 2", "length = [2]", "result.length: expected a list, got 2"),
        (
            "length = 2",
            "size = 2",
            "result: expected the keys ['whole', 'size', 'kind'], got ['whole', 'length', 'kind']",
        ),
        ("float64", "float32", "result.kind: expected 'torch.float32', got 'torch.float64'"),
        (
            "gives.once = [5.0]",
            "gives.once = {a = 5.0}",
            "once: expected the keys ['a'], got tensor([5.], dtype=torch.float64)",
        ),
    ],
)
def test_a_value_that_differs_is_told_with_its_place(toy: Any, old: str, new: str, expected: str) -> None:
    toy.spoil(FILE, old, new)
    (found,) = told(toy)
    at, _, words = found.partition(": ")
    assert at == toy.at(FILE, new)
    assert words.partition(": ")[2].startswith(expected)


def test_the_line_of_a_number_deep_inside_is_told(toy: Any) -> None:
    toy.spoil(FILE, "gives.y = [1.5, -0.5]", "gives.y = [\n  1.5,\n  -0.25,\n]")
    (found,) = told(toy)
    assert found == f"{toy.at(FILE, '-0.25')}: two-numbers: y[1]: expected -0.25, got -0.5"


def test_a_list_of_another_length_is_told(toy: Any) -> None:
    toy.spoil(FILE, "twice = half(once)", "twice = half(once).tolist()")
    toy.spoil(FILE, "gives.twice = [2.5]", "gives.twice = [2.5, 2.5]")
    (found,) = told(toy)
    assert found.endswith("twice: expected 2 members, got 1: [2.5]")


def test_nothing_is_none_and_a_tuple_is_a_list(toy: Any) -> None:
    toy.spoil(FILE, "twice = half(once)", "twice = None, float('nan'), -math.inf, [True], half(once)[0]")
    toy.spoil(FILE, "gives.twice = [2.5]", 'gives.twice = ["None", nan, -inf, [true], 2.5]')
    assert told(toy) == []


def test_a_tolerance_widens_what_is_accepted(toy: Any) -> None:
    toy.spoil(FILE, "gives.y = [1.5, -0.5]", "gives.y = [1.5001, -0.5]\ntolerance = 1e-4")
    assert told(toy) == []
    toy.spoil(FILE, "tolerance = 1e-4", "tolerance = 1e-5")
    assert len(told(toy)) == 1


def test_answers_of_less_precision_are_compared_by_theirs(toy: Any) -> None:
    toy.spoil(FILE, "y = half(x)", "y = half(torch.tensor([0.2, 0.3]) + 0 * x.float())")
    toy.spoil(FILE, "gives.y = [1.5, -0.5]", "gives.y = [0.1, 0.15]")
    assert told(toy) == []
    toy.spoil(FILE, "gives.y = [0.1, 0.15]", "gives.y = [0.1001, 0.15]")
    assert len(told(toy)) == 1


def test_a_tolerance_as_large_as_the_number_is_told(toy: Any) -> None:
    toy.spoil(FILE, "gives.y = [1.5, -0.5]", "gives.y = [1.5, -0.005]\ntolerance = 0.01")
    (found,) = told(toy)
    assert found.endswith("y[1]: the tolerance 0.01 rivals -0.005: give more digits and a smaller one")


@pytest.mark.parametrize(
    ("old", "new", "at", "expected"),
    [
        ("y = half(x)", "y = half(x) / nothing", "nothing", "two-numbers raises NameError: name 'nothing' is not"),
        ("twice = half(once)", "twice = half(once).no", ".no", "twice raises AttributeError: "),
        ("y = half(x)", "y = half(x", "half(x", "two-numbers is no Python: "),
        ("twice = half(once)", "twice = = half(once)", "= =", "twice is no Python: invalid syntax"),
    ],
)
def test_a_run_that_fails_is_told_with_its_line(toy: Any, old: str, new: str, at: str, expected: str) -> None:
    toy.spoil(FILE, old, new)
    (found,) = told(toy)
    assert found.startswith(f"{toy.at(FILE, at)}: the run of {expected}")


@pytest.mark.parametrize(
    ("old", "new", "at", "expected"),
    [
        ("y = half(x)", "z = half(x)", "gives.y", "the run of two-numbers does not set 'y'"),
        ("y = half(x)", "y = x / 2", "y = x / 2", "the run of two-numbers does not use half"),
        ("y = half(x)", "y = half(torch.tensor([3.0, -1.0]))", "given.x", "the run of two-numbers does not use"),
        ("gives.y = [1.5, -0.5]", "", "[[example]]", "two-numbers gives nothing: add gives.NAME = ..., a variable"),
        ('by = "By hand: 3 / 2 and -1 / 2."', "", "[[example]]", "two-numbers does not say how its numbers were found"),
        ("By hand: 3 / 2 and -1 / 2.", "By hand.", "By hand.", "two-numbers does not say how its numbers were found"),
        ("given.x = [3.0, -1.0]", "given.x = [[3.0], [-1.0, 2.0]]", "given.x", "two-numbers: the rows of x differ"),
        ("given.x = [3.0, -1.0]", "given.x = [3.0, true]", "given.x", "two-numbers: x mixes bool and float"),
        ("given.x = [3.0, -1.0]", "given.x = [3, -1.0]", "given.x", "two-numbers: x mixes float and int"),
        ("given.x = [3.0, -1.0]", "given.x = ['a', 1]", "given.x", "two-numbers: x mixes int and str"),
    ],
)  # fmt: skip
def test_an_example_that_shows_nothing_is_told(toy: Any, old: str, new: str, at: str, expected: str) -> None:
    toy.spoil(FILE, old, new)
    (found,) = told(toy)
    assert found.startswith(f"{toy.at(FILE, at)}: {expected}")


def test_a_value_that_stands_already_is_not_set_by_the_run(toy: Any) -> None:
    toy.spoil(FILE, "gives.y = [1.5, -0.5]", "gives.y = [1.5, -0.5]\ngives.math = 1")
    (found,) = told(toy)
    assert found == f"{toy.at(FILE, 'gives.math')}: the run of two-numbers does not set 'math'"


def test_a_file_that_cannot_be_read_is_told_with_line_and_key(toy: Any) -> None:
    toy.spoil(FILE, "gives.y", "give.y")
    with pytest.raises(PluginProblem, match="line 6, example 1, give: there is no such key; did you mean 'gives'"):
        told(toy)


def test_examples_of_others_are_optional_but_not_empty(toy: Any) -> None:
    (toy.folder / FILE).write_text("", encoding="utf-8")
    assert told(toy) == [f"{toy.folder / FILE}: 0 examples, at least 1: add [[example]]"]
    (toy.folder / FILE).unlink()
    assert check(toy.technique) == ("no examples", [])


def test_a_built_in_needs_three(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "built_in", lambda technique: True)
    assert told(toy) == []
    path = toy.folder / FILE
    path.write_text(path.read_text(encoding="utf-8").rpartition("[[example]]")[0], encoding="utf-8")
    assert told(toy) == [f"{path}: 2 examples, at least 3: add [[example]]"]
    path.unlink()
    assert told(toy) == [f"there are no worked numbers: expected them at {path}"]


def test_tables_and_texts_in_lists_stay_lists(toy: Any) -> None:
    toy.spoil(FILE, "given.x = [3.0, -1.0]", "given.x = [{n = [3.0]}, {n = [-1.0]}]\ngiven.names = [['n'], []]")
    toy.spoil(FILE, "y = half(x)", "y = half(torch.cat([of[names[0][0]] for of in x]))")
    assert told(toy) == []


def test_a_run_has_the_public_names_of_the_interfaces_module(toy: Any) -> None:
    (toy.folder / "scales.py").write_text("TEN = 10.0\n_HIDDEN = 1\n\n\nclass Scale: ...\n", encoding="utf-8")
    toy.spoil("__init__.py", 'implements="half",', 'implements="half", interface=f"{__name__}.scales:Scale",')
    toy.spoil(FILE, "y = half(x)", "y = half(x) * TEN / 10")
    assert told(toy) == []
    toy.spoil(FILE, "TEN / 10", "_HIDDEN")
    assert "name '_HIDDEN' is not defined" in told(toy)[0]
    toy.spoil(FILE, "_HIDDEN", "TEN / 10")
    toy.spoil("scales.py", "TEN = 10.0", "__all__ = ['Scale']\nTEN = 10.0")
    sys.modules.pop(f"{toy.package}.scales")
    assert "name 'TEN' is not defined" in told(toy)[0]


def test_each_example_has_its_own_tensors(toy: Any) -> None:
    toy.spoil(FILE, "once = half(start)", "once = half(start)\nstart.zero_()\ntorch.manual_seed(0)")
    assert told(toy) == []
    assert told(toy) == []
