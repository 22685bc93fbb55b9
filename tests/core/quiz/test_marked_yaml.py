from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.quiz import marked_yaml
from groundup.core.quiz.marked_yaml import Malformed, read_yaml


@pytest.fixture(params=["libyaml", "pure Python"], autouse=True)
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "pure Python":
        monkeypatch.setattr(marked_yaml, "_Loader", yaml.BaseLoader)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing\n", None),
        ("a:\n", {"a": None}),
        ("[1, -2, 1.5, 1e9, 1.7e9, .5, 2.]", [1, -2, 1.5, 1e9, 1.7e9, 0.5, 2.0]),
        ("[true, False, null, ~]", [True, False, None, None]),
        ("[no, yes, on, 12:30, 2024-01-01, 0x10, 1_000, nan, inf, .inf]",
         ["no", "yes", "on", "12:30", "2024-01-01", "0x10", "1_000", "nan", "inf", ".inf"]),
        ("['1', \"true\"]", ["1", "true"]),
        ("a: >-\n  one\n  two\nb: |\n  x\n", {"a": "one two", "b": "x\n"}),
        ('{"a": [1, {"b": "\\u00e9"}]}', {"a": [1, {"b": "é"}]}),
        ("1: one", {"1": "one"}),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert read_yaml(text).value == value


def test_every_value_knows_its_line() -> None:
    document = read_yaml("a: 1\nb:\n  - x\n  -\n    c: >-\n      long\n      text\n    d: [1,\n      2]\n")
    assert document.value == {"a": 1, "b": ["x", {"c": "long text", "d": [1, 2]}]}
    lines = {("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 5, ("b", 1, "c"): 5, ("b", 1, "d"): 8, ("b", 1, "d", 1): 9}
    assert {path: document.line(path) for path in lines} == lines


def test_what_is_missing_is_looked_for_where_it_should_be() -> None:
    document = read_yaml("a: 1\nb:\n  - x: 1\n    y: 2\n")
    assert document.line(("b", 0, "z", "deeper")) == 3
    assert document.line(("nowhere",)) == 1


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "'a' is given twice"),
        ("a: [1, 2\nb: 3\n", 2, "not YAML"),
        ("a: one: two\n", 1, "not YAML.*a colon in it goes in quotes"),
        ("a: &x 1\nb: *x\n", 1, "anchors"),
        ("a:\n  b: !!python/object:os.system x\n", 2, "tags"),
        ("a: 1\n---\nb: 2\n", 2, "a second document"),
        ("a:\n  ? [1]\n  : 2\n", 2, "a key must be a plain word"),
        ("a: \x01\n", 1, "not YAML"),
        ("\n" + "[" * 100 + "]" * 100, 2, "nested more than"),
        ("[" * 200_000, 1, "nested more than"),
        ("{a: " * 200_000, 1, "nested more than"),
    ],
)
def test_what_is_not_read_is_told_with_its_line(text: str, line: int, told: str) -> None:
    with pytest.raises(Malformed, match=told) as problem:
        read_yaml(text)
    assert problem.value.line == line


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["C", "Zl", "Zp"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc", max_size=5), inner),
    max_leaves=6,
)


@given(value=JSON, indent=st.sampled_from([None, 2]))
def test_json_is_read_as_json(value: object, indent: int | None) -> None:
    assert read_yaml(json.dumps(value, indent=indent, ensure_ascii=False)).value == value
