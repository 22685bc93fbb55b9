from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from groundup.core.errors import UnknownName
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.authoring.check import Check, Finding
from groundup.grader.authoring.rules import RULES as ALL_RULES
from groundup.grader.authoring.soundness import solution as solution_rule
from groundup.grader.authoring.stubs import write_stub
from groundup.grader.judging.exercise import stub
from groundup.grader.judging.judge import Judge

SOLUTION = '''
import torch


def mean(x, weight):
    """Return the weighted mean."""
    # HOLE 1/1: the weighted mean
    total = (x * weight).sum()
    return total / weight.sum()
    # END HOLE
'''
PROPERTIES = """
@given(x=X, weight=WEIGHT)
def test_equals_the_reference(impl, reference, x, weight):
    check(impl(x, weight), reference(x, weight))


@given(x=X)
def test_equal_weights_cancel(impl, x):
    check(impl(x, 2 * ONES), x.mean())
"""
MISCONCEPTIONS = """
[[misconception]]
id = "forgets-the-weights"
in = "mean"
edit = ["(x * weight).sum()", "x.sum()"]
says = "The numbers are added without their weights."
"""
LINEAR = """

@given(x=X, weight=WEIGHT)
def test_it_is_linear(impl, x, weight):
    check(impl(2 * x, weight), 2 * impl(x, weight))
"""
IN_ORDER = "expected = reference(x, weight)\n    check(impl(x.clone(), weight), expected)"
CONVENTION = """
[[convention]]
id = "divides-by-the-count"
in = "mean"
edit = ["total / weight.sum()", "total / len(x)"]
says = "Some divide by how many numbers there are."
source = "nobody in particular"
"""


RULES = ("exercise", "stub", "solution", "misconceptions", "properties")  # the rules that this file tests


def technique(author: Any, **files: str) -> Technique:
    """Make the toy technique; ``files`` replace its own files."""
    own = {"solution": SOLUTION, "misconceptions": MISCONCEPTIONS + CONVENTION, "lesson__md": "# Mean\n"}
    given = own | files
    if "exercise__py" not in given:
        given["exercise__py"] = stub(given["solution"])
    made: Technique = author.technique(given.pop("properties", PROPERTIES), **given)
    return made


def findings(judge: Judge, technique: Technique, *, seeds: int = 1, cheats: bool = False) -> dict[str, Finding]:
    """Run the rules; the rule 'cheats', which takes the longest, only if the test is about it."""
    check = Check(judge, technique, seeds=seeds, rules=(*RULES, "cheats") if cheats else RULES)
    found = list(check.findings())
    assert [f.rule for f in found] == [r for r in ALL_RULES if r in RULES or (cheats and r == "cheats")]
    assert {f.technique for f in found} == {technique.id}
    return {f.rule: f for f in found}


def line_of(author: Any, file: str, text: str) -> str:
    """Return the ``file:line`` of ``text`` in a file of the technique that was made last."""
    path = author.folder / author.packages[-1] / file
    lines = path.read_text().splitlines()
    return f"{path}:{next(n for n, line in enumerate(lines, start=1) if text in line)}"


def problems(judge: Judge, technique: Technique, *, seeds: int = 1, cheats: bool = False) -> dict[str, str]:
    """Return the rules that found problems, with the problems."""
    found = findings(judge, technique, seeds=seeds, cheats=cheats)
    return {rule: "\n".join(f.problems) for rule, f in found.items() if f.problems}


def test_a_sound_technique_is_clean(judge: Judge, author: Any) -> None:
    found = findings(judge, technique(author), seeds=2, cheats=True)
    assert {rule: f.problems for rule, f in found.items() if f.problems} == {}
    assert found["misconceptions"].detail == "1 misconceptions, 2 seeds"
    assert found["cheats"].detail == "10 cheats"


def test_only_the_rules_that_were_asked_for_are_tried(judge: Judge, author: Any) -> None:
    check = Check(judge, technique(author), seeds=1, rules=["stub", "exercise"])
    assert [f.rule for f in check.findings()] == ["exercise", "stub"]
    with pytest.raises(UnknownName, match=r"No rule 'stubs'\. Did you mean 'stub'"):
        Check(judge, technique(author), rules=["stubs"])


@pytest.mark.parametrize("exercise", ["# out of date\n", None], ids=["out of date", "missing"])
def test_a_stub_that_is_not_what_the_solution_makes_is_found(judge: Judge, author: Any, exercise: str | None) -> None:
    toy = technique(author)
    if exercise is None:
        toy.files.exercise.unlink()
    else:
        toy.files.exercise.write_text(exercise)
    told = problems(judge, toy)
    assert list(told) == ["exercise"]
    assert told["exercise"].endswith("is not what the solution makes: 'learn author stubs mean' writes it")


@pytest.mark.soak
def test_a_property_that_needs_no_hole_filled_is_found(judge: Judge, author: Any) -> None:
    idle = PROPERTIES + "\n\n@given(x=X)\ndef test_it_can_be_called(impl, x):\n    assert callable(impl)\n"
    told = problems(judge, technique(author, properties=idle))
    assert "it_can_be_called needs no hole filled: on the stub it ended as 'not gradable'" in told["stub"]


def test_a_stub_that_cannot_be_loaded_is_found(judge: Judge, author: Any) -> None:
    broken = SOLUTION + "\n\nDEFAULT = mean(torch.ones(2), torch.ones(2))\n"
    told = problems(judge, technique(author, solution=broken))
    assert list(told) == ["stub"]
    assert "The file cannot be loaded: NotImplementedError: hole 1/1" in told["stub"]


def test_a_solution_that_fails_its_own_property_is_found(judge: Judge, author: Any) -> None:
    wrong = PROPERTIES + "\n\n@given(x=X)\ndef test_means_are_zero(impl, x):\n    check(impl(x, ONES), 0 * x.sum())\n"
    told = problems(judge, technique(author, properties=wrong), seeds=2)
    at = line_of(author, "properties.py", "test_means_are_zero")
    assert told["solution"] == (
        f"{at}: with 5 of 5 seeds, the first 0, means_are_zero ended as 'not gradable': the reference fails this "
        "case as well: Mismatch: the result differs"
    )


@pytest.mark.soak
def test_a_solution_that_is_right_only_sometimes_is_found(judge: Judge, author: Any) -> None:
    moody = SOLUTION.replace("return total /", "return total + (torch.rand(()) < 0.5) if total > 1 else total /")
    told = problems(judge, technique(author, solution=moody, misconceptions=""))
    assert "equals_the_reference" in told["solution"]


@pytest.mark.soak
def test_a_misconception_that_survives_is_found_with_its_seeds(judge: Judge, author: Any) -> None:
    survives = MISCONCEPTIONS + MISCONCEPTIONS.replace("forgets-the-weights", "survives").replace(
        '"x.sum()"', '"(weight * x).sum()"'
    )
    told = problems(judge, technique(author, misconceptions=survives), seeds=2)
    at = line_of(author, "misconceptions.toml", "survives")
    assert told == {"misconceptions": f"{at}: survives passes with 2 seeds, 0, 1: add or sharpen a property"}


def test_a_misconception_that_shows_only_across_the_boundary_dies(judge: Judge, author: Any) -> None:
    in_place = MISCONCEPTIONS.replace("forgets-the-weights", "works-in-place").replace(
        "x.sum()", "x.mul_(weight).sum()"
    )
    properties = PROPERTIES.replace("check(impl(x, weight), reference(x, weight))", IN_ORDER)
    assert problems(judge, technique(author, misconceptions=MISCONCEPTIONS + in_place, properties=properties)) == {}


@pytest.mark.parametrize(
    ("misconceptions", "says"),
    [
        (MISCONCEPTIONS.replace("(x * weight)", "(x * weights)"), "is found 0 times in 'mean', expected once"),
        (MISCONCEPTIONS.replace('in = "mean"', 'in = "means"'), "the solution has no 'means'"),
        (CONVENTION.replace("total / weight.sum()", "total / w.sum()"), "convention 'divides-by-the-count'"),
        (MISCONCEPTIONS.replace("says", "sez"), "misconception 1 (forgets-the-weights)"),
        ("[[misconception]\n", "misconceptions.toml"),
    ],
    ids=["no match", "no function", "convention", "field", "TOML"],
)
def test_an_edit_that_does_not_fit_is_found(judge: Judge, author: Any, misconceptions: str, says: str) -> None:
    told = problems(judge, technique(author, misconceptions=misconceptions))
    assert set(told) - {"properties"} == {"misconceptions"}
    assert says in told["misconceptions"]


def test_a_property_that_finds_nothing_out_is_found(judge: Judge, author: Any) -> None:
    same = (
        PROPERTIES
        + "\n\n@given(x=X)\ndef test_it_keeps_the_dtype(impl, x):\n    assert impl(x, ONES).dtype == x.dtype\n"
    )
    told = problems(judge, technique(author, properties=same))
    assert list(told) == ["properties"]
    at = line_of(author, "properties.py", "test_it_keeps_the_dtype")
    assert told["properties"].startswith(f"{at}: it_keeps_the_dtype finds no misconception out, and no mutant: ")


def test_a_property_that_finds_only_mutants_out_is_told_by_name(judge: Judge, author: Any) -> None:
    linear = PROPERTIES + LINEAR
    found = findings(judge, technique(author, properties=linear))["properties"]
    assert found.problems == ()
    assert found.detail == "3 properties, 1 of which by mutants alone: it_is_linear"


def test_what_properties_find_out_is_known_without_the_rule_of_misconceptions(judge: Judge, author: Any) -> None:
    (found,) = Check(judge, technique(author), seeds=1, rules=["properties"]).findings()
    assert (found.problems, found.detail) == ((), "2 properties")


NARROW = f"""
from groundup.core.testing import about

{PROPERTIES}

@about("dtype")
@given(x=X, weight=WEIGHT)
def test_it_keeps_the_dtype(impl, reference, x, weight):
    check(impl(x, weight), reference(x, weight))
"""


@pytest.mark.soak
def test_a_property_that_finds_what_its_claim_does_not_speak_of_is_found(judge: Judge, author: Any) -> None:
    told = problems(judge, technique(author, properties=NARROW))
    assert list(told) == ["properties"]
    at = line_of(author, "properties.py", "test_it_keeps_the_dtype")
    assert told["properties"].startswith(f"{at}: it_keeps_the_dtype speaks of dtype alone, and finds forgets-the-weigh")
    about = MISCONCEPTIONS.replace('in = "mean"', 'about = "dtype"\nin = "mean"')
    assert problems(judge, technique(author, properties=NARROW, misconceptions=about)) == {}
    why = "[argued.it_keeps_the_dtype]\nforgets-the-weights = 'It says so in its first line.'\n"
    assert problems(judge, technique(author, properties=NARROW, proof__toml=why)) == {}


def test_a_technique_without_a_misconception_is_found(judge: Judge, author: Any) -> None:
    told = problems(judge, technique(author, misconceptions=CONVENTION))
    assert list(told) == ["misconceptions"]  # not 'properties': mutants count as detected mistakes
    assert "no [[misconception]]: name what learners get wrong" in told["misconceptions"]


def test_a_grade_that_takes_too_long_is_found(judge: Judge, author: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solution_rule, "LONGEST_GRADE", 0.0)
    (finding,) = Check(judge, technique(author), seeds=1, rules=["budget"]).findings()
    (told,) = finding.problems
    assert "a grade of the solution takes " in told
    assert "draw smaller cases" in told


def test_a_cheat_that_passes_is_found(judge: Judge, author: Any) -> None:
    blunt = """
@given(x=X, weight=WEIGHT)
def test_the_sign_is_right(impl, x, weight):
    answer = impl(x, weight)
    assert answer.isfinite() and answer.dtype == x.dtype and answer.shape == ()
    assert answer.sign() == (x * weight).sum().sign()
"""
    told = problems(judge, technique(author, properties=blunt), cheats=True)
    assert set(told) <= {"cheats", "misconceptions"}  # it finds this one in few of its draws
    assert told["cheats"].endswith("properties.py: the cheat 'doubled' passes with seed 0: add or sharpen a property")


@pytest.mark.soak
def test_where_no_answer_holds_a_float_none_is_spoilt(judge: Judge, author: Any) -> None:
    counts = SOLUTION.replace("return total / weight.sum()", "return int(total > 0)")
    properties = (
        "\n\n@given(x=X)\ndef test_it_counts(impl, reference, x):\n    assert impl(x, ONES) == reference(x, ONES)\n"
    )
    wrong = MISCONCEPTIONS.replace("x.sum()", "-x.sum()")
    toy = technique(author, solution=counts, properties=properties, misconceptions=wrong)
    assert findings(judge, toy, cheats=True)["cheats"] == Finding(toy.id, "cheats", (), "4 cheats", seconds=ANY)


def test_a_solution_that_cannot_be_loaded_spoils_no_other_rule(judge: Judge, author: Any) -> None:
    broken = SOLUTION + "\n\nimport nothing_of_that_name\n"
    told = problems(judge, technique(author, solution=broken), cheats=True)
    assert set(told) == {"stub", "solution", "misconceptions", "cheats", "properties"}
    for rule in ("stub", "solution", "misconceptions", "cheats"):
        assert "nothing_of_that_name" in told[rule]


def test_a_missing_file_is_a_finding_rather_than_a_crash(judge: Judge, author: Any) -> None:
    toy = technique(author)
    toy.files.solution.unlink()
    told = problems(judge, toy)
    assert "solution.py" in told["exercise"]


def test_a_misconception_that_ends_the_process_is_a_finding_rather_than_the_end(judge: Judge, author: Any) -> None:
    exits = MISCONCEPTIONS + MISCONCEPTIONS.replace("forgets-the-weights", "exits").replace('"x.sum()"', '"exit()"')
    assert problems(judge, technique(author, misconceptions=exits)) == {}


# Stubs


def test_a_stub_is_written_only_where_it_differs(author: Any) -> None:
    toy = technique(author)
    assert write_stub(toy) is False
    toy.files.exercise.write_text("# out of date\n")
    assert write_stub(toy) is True
    assert toy.files.exercise.read_text() == stub(SOLUTION)


def test_a_solution_whose_marks_are_off_has_no_stub(author: Any) -> None:
    from groundup.core.errors import PluginProblem

    toy = technique(author, solution=SOLUTION.replace("# END HOLE", "# END"), exercise__py="# as it was\n")
    with pytest.raises(PluginProblem, match=r"solution\.py, line \d+: a hole without '# END HOLE'"):
        write_stub(toy)
    assert toy.files.exercise.read_text() == "# as it was\n"


def test_a_built_in_stub_comes_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gae = Registry().technique("gae").model_copy()
    monkeypatch.setattr(gae.files, "exercise", tmp_path / "rl" / "gae.py")
    assert write_stub(gae) is True
    assert (tmp_path / "rl" / "__init__.py").read_text() == '"""Stubs of the track rl."""\n'
