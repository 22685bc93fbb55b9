from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from groundup.core.errors import PluginProblem
from groundup.core.toml_file import TomlFile, read_toml, unknown

TEXT = '''# a comment with [brackets] and = signs
id = "toys/a"   # and one behind
"a key" = 'it # is "plain"'
dotted.inner.key = 1
long = """\\
  first "quoted" \\
  second"""
raw = \'\'\'
x = [1]
[not.a.header]
\'\'\'
when = 1979-05-27 07:32:00

list = [ # begins
  "one",
  [2, 3], { four = 4, five.six = 5 },

  """
seven""",
]

[limits]
call_seconds = 3.0

[[hole]]
hints = ["a"]

  [[hole.part]]
  n = 1

  [[hole.part]]
  n = 2

[[hole]] # the second
hints = [
  "b",
  "c",
]

[hole.more]
deep = true

[lab.figures."a figure"]
name = "x"
'''


def lines(text: str) -> dict[tuple[str | int, ...], int]:
    return TomlFile(Path("a.toml"), text, tomllib.loads(text)).lines


def test_every_part_of_a_file_knows_its_line() -> None:
    found = lines(TEXT)
    rows = TEXT.splitlines()

    def at(place: tuple[str | int, ...]) -> str:
        return rows[found[place] - 1].strip()

    assert at(("id",)) == 'id = "toys/a"   # and one behind'
    assert at(("a key",)) == '"a key" = \'it # is "plain"\''
    assert at(("dotted",)) == at(("dotted", "inner")) == at(("dotted", "inner", "key")) == "dotted.inner.key = 1"
    assert at(("when",)).startswith("when = 1979")
    assert at(("list",)) == "list = [ # begins"
    assert at(("list", 0)) == '"one",'
    assert at(("list", 1, 1)) == at(("list", 2, "five", "six")) == "[2, 3], { four = 4, five.six = 5 },"
    assert (at(("list", 3)), rows[found["list", 3]]) == ('"""', 'seven""",')
    assert at(("limits",)) == "[limits]"
    assert at(("limits", "call_seconds")) == "call_seconds = 3.0"
    assert (at(("hole", 0)), at(("hole", 1))) == ("[[hole]]", "[[hole]] # the second")
    assert found["hole",] == found["hole", 0]
    assert (at(("hole", 0, "part", 0, "n")), at(("hole", 0, "part", 1, "n"))) == ("n = 1", "n = 2")
    assert at(("hole", 1, "hints", 1)) == '"c",'
    assert at(("hole", 1, "more", "deep")) == "deep = true"
    assert at(("lab", "figures", "a figure", "name")) == 'name = "x"'
    assert ("not",) not in found


def test_the_lines_are_those_of_all_that_is_read() -> None:
    def places(value: object, before: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
        parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return {before}.union(*(places(part, (*before, step)) for step, part in parts))

    assert set(lines(TEXT)) == places(tomllib.loads(TEXT))
    root = Path(__file__).parents[2]
    for path in [*root.glob("plugins/*/*/*.toml"), root / "pyproject.toml"]:
        text = path.read_text("utf-8")
        assert set(lines(text)) == places(tomllib.loads(text)), path


def test_what_is_lacking_is_told_where_it_would_stand() -> None:
    file = TomlFile(Path("a.toml"), TEXT, tomllib.loads(TEXT))
    assert file.line(("title",)) == 1
    assert file.line(("hole", 1, "code")) == file.lines["hole", 1]
    told = str(file.problem([(("hole", 1, "hints", 1), "too short"), ((), "no title"), (("a key",), "odd")]))
    second = file.lines["hole", 1, "hints", 1]
    assert told == f"a.toml, line 1: no title; line 3, a key: odd; line {second}, hole 2, hints 2: too short"
    many = [(("list", n % 4), "bad") for n in range(5)]
    assert str(file.problem(many)).endswith("list 2: bad; and 2 more")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id = 'a'\ntitle 'b'\n", "a.toml, line 2: this is no TOML: expected '=' after a key in a key/value pair"),
        ("id = 'a'\nid = 'b'\n", "a.toml, line 2: this is no TOML: cannot overwrite a value"),
        ("id = 'a'\n\nhints = [", "a.toml, line 3: this is no TOML: "),
        (f"n = {'1' * 5000}\n", "a.toml, line 1: this is no TOML: "),
    ],
)
def test_a_file_that_is_no_toml_is_told_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.toml").write_text(text, "utf-8")
    with pytest.raises(PluginProblem) as told:
        read_toml(tmp_path / "a.toml")
    assert f"{tmp_path}/{says}" in str(told.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(PluginProblem, match=r"a\.toml cannot be read: No such file"):
        read_toml(tmp_path / "a.toml")
    (tmp_path / "a.toml").write_bytes(b"a = 1\nb = '\xff'\n")
    with pytest.raises(PluginProblem, match=r"a\.toml, line 2: this is not UTF-8"):
        read_toml(tmp_path / "a.toml")
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert read_toml(tmp_path / "a.toml").data == {"a": 1}


def test_an_unknown_key_is_told_the_nearest_or_all() -> None:
    assert unknown("titel", ["title", "version"]) == "there is no such key; did you mean 'title'?"
    assert unknown("colour", ["title", "version"]) == "there is no such key; there are title, version"
