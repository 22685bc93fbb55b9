from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from groundup.core.errors import PluginProblem
from groundup.core.examples import Examples, quoted, read_examples
from groundup.core.registry import Registry

TEXT = """# A comment.

[[example]]
id = "two-steps"
by = "By hand: 1 + 1."
given.reward = [[1.0, 0.5]]
given.gamma = 0.5
run = "advantage = gae(reward, gamma)"
gives.advantage = [[0.8125, -0.75, 3.0]]
gives.grads = {"heads.0.weight" = [[4.5]], count = 2}

[[example]]
id = "one-step"
by = "By hand."
run = '''
a = 1

b = 2
'''
gives.a = true
gives.text = "half"
tolerance = 1e-3
"""


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def reads(text: str = TEXT) -> Examples:
        path = tmp_path / "examples.toml"
        path.write_text(text, encoding="utf-8")
        return read_examples(path)

    return reads


def test_a_file_is_read_in_its_order(read: Any) -> None:
    one, two = read().all
    assert (one.id, one.by, one.given["gamma"], one.tolerance) == ("two-steps", "By hand: 1 + 1.", 0.5, None)
    assert one.given["reward"] == [[1.0, 0.5]]
    assert (two.id, two.given, two.gives, two.tolerance) == ("one-step", {}, {"a": True, "text": "half"}, 1e-3)


def test_lines_of_code_are_those_of_the_file(read: Any) -> None:
    examples = read()
    lines = TEXT.splitlines()
    assert examples.source(0).splitlines()[7] == "advantage = gae(reward, gamma)"
    assert lines[7].endswith('"advantage = gae(reward, gamma)"')
    assert examples.source(1).splitlines()[15:] == lines[15:18]
    assert examples.at(0, "gives", "advantage", 0, 1) == f"{examples.file.path}:9"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("two-steps.advantage", [[0.8125, -0.75, 3.0]]),
        ("two-steps.advantage[0][1]", -0.75),
        ("two-steps.reward[0]", [1.0, 0.5]),
        ("two-steps.gamma", 0.5),
        ('two-steps.grads["heads.0.weight"][0][0]', 4.5),
        ("two-steps.grads['heads.0.weight'][0]", [4.5]),
        ("two-steps.grads.count", 2),
        ("one-step.a", True),
        ("one-step.text", "half"),
    ],
)
def test_a_value_is_quoted_by_its_name(read: Any, name: str, value: object) -> None:
    assert read().quoted(name) == value


@pytest.mark.parametrize(
    ("name", "line", "why"),
    [
        ("two-steps", 0, "'two-steps' quotes nothing: write the example, a dot and a name, as in "),
        ("two-steps.advantage[-1]", 0, "'two-steps.advantage[-1]' quotes nothing: "),
        ("two-steps.advantage[0", 0, "'two-steps.advantage[0' quotes nothing: "),
        ("two-step.advantage", 0, "no example 'two-step'; did you mean 'two-steps' or 'one-step'?"),
        ("xyz.advantage", 0, "no example 'xyz'; there are two-steps, one-step"),
        ("two-steps.advantages", 3, "two-steps has no 'advantages'; did you mean 'advantage'?"),
        ("two-steps.advantage[0][3]", 3, "two-steps.advantage[0] has no [3]: it is 3 members"),
        ("two-steps.advantage.first", 3, "two-steps.advantage has no .first: it is 1 members"),
        ("two-steps.gamma[0]", 3, "two-steps.gamma has no [0]: it is just 0.5"),
        ("two-steps.grads[0]", 3, "two-steps.grads has no 0; there are heads.0.weight, count"),
        ("one-step.run", 12, "one-step has no 'run'; there are a, text"),
    ],
)
def test_a_quotation_of_what_is_not_there_is_an_error(read: Any, name: str, line: int, why: str) -> None:
    examples = read()
    with pytest.raises(PluginProblem) as raised:
        examples.quoted(name)
    assert str(raised.value).startswith(f"{examples.file.path}{f':{line}' if line else ''}: {why}")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('id = "two-steps"', "", "line 3, example 1, id: this is lacking"),
        ('id = "two-steps"', 'id = "Two steps"', "line 4, example 1, id: this should match pattern"),
        ('id = "one-step"', 'id = "two-steps"', "line 13, example 2, id: there is an example 'two-steps' already"),
        ("given.gamma", "givn.gamma", "line 7, example 1, givn: there is no such key; did you mean 'given' or 'giv"),
        ("gives.advantage", "gives.gamma", "line 9, example 1, gives, gamma: this is given already"),
        ("given.gamma", 'given."a b"', "line 7, example 1, given, a b: 'a b' is no name of a variable"),
        ("given.gamma", "given.lambda", "line 7, example 1, given, lambda: 'lambda' is no name of a variable"),
        ("given.gamma = 0.5", "given.gamma = 1979-05-27", "line 7, example 1, given, gamma: 1979-05-27 is a date: use"),
        ("tolerance = 1e-3", "tolerance = 0.5", "line 22, example 2, tolerance: this should be less than or equal"),
        ("tolerance = 1e-3", "tolerance = 0", "line 22, example 2, tolerance: this should be greater than 0"),
        ("gives.text", "gives.", "line 21: this is no TOML: "),
        ("# A comment.", "worked = 1", "line 1, worked: there is no such key; there are example"),
    ],
)  # fmt: skip
def test_a_broken_file_is_told_with_line_and_key(read: Any, old: str, new: str, told: str) -> None:
    assert old in TEXT
    with pytest.raises(PluginProblem) as raised:
        read(TEXT.replace(old, new, 1))
    assert told in str(raised.value)
    assert "examples.toml, " in str(raised.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    technique: Any = SimpleNamespace(files=SimpleNamespace(examples=tmp_path / "examples.toml"))
    with pytest.raises(PluginProblem, match=r"examples.toml cannot be read"):
        quoted(technique, "two-steps.advantage")


def test_the_worked_example_of_a_built_in_is_quoted() -> None:
    assert quoted(Registry().technique("gae"), "worked-example.advantage[0][0]") == 0.8125
