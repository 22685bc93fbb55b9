from __future__ import annotations

import importlib
import itertools
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundup.core.declared import Translated
from groundup.core.errors import PluginProblem
from groundup.core.lab import Foil, LabFigure
from groundup.core.manifest import languages
from groundup.core.technique import CONTRACT, Technique, say

numbers = itertools.count()
MANIFEST = """id = "toys/scale"
version = 3
title = "Scaling"
summary = "Numbers times a factor."
headline = "Twice is by the square."
level = 2
minutes = 20
implements = "scale"
requires = ["rl/gae"]
given = ["policy"]

[limits]
call_seconds = 2.5

[[hole]]
hints = ["Which dtype?", "That of x:"]
code = '''
factor = torch.tensor(by, dtype=x.dtype)
'''

[[hole]]
hints = ["Multiply."]

[[source]]
title = "A toy"
url = "https://example.org"
where = "page 2"
seen = "2.13.0"

[[change]]
version = 2
text = "Factors may be negative."

[[change]]
version = 3
text = "The dtype is that of x."

[lab]
title = "Scaling twice"
uses = ["toys/scale"]
x = "step"
y = "size"

[lab.names]
size = "size"

[lab.figures.left]
name = "left after {steps} steps"
unit = "B"
published = "an eighth (a paper)"
by_arithmetic = "1 / 2^{steps} = {expected:.3f}"

[lab.mark]
says = "At least {share:.0%} are left."

[lab.foil]
technique = "toys/scale"
name = "without a factor"
misconception = "adds"
"""
CHINESE = """title = "缩放"

[[hole]]
hints = ["什么类型？", "x 的类型："]

[[hole]]
hints = ["相乘。"]

[[change]]
text = "系数可以为负。"

[lab]
x = "步"

[lab.names]
size = "大小"

[lab.figures.left]
name = "{steps} 步后剩余"
by_arithmetic = "1 / 2^{steps} = {expected:.3f}"

[lab.mark]
says = "至少剩 {share:.0%}。"

[lab.foil]
name = "不乘系数"
"""
Read = Callable[..., Technique]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an importable package, with a manifest in two languages."""
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / f"toy_manifest_{next(numbers)}"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "technique.toml").write_text(MANIFEST, "utf-8")
    (folder / "technique.zh.toml").write_text(CHINESE, "utf-8")
    importlib.invalidate_caches()
    return folder


def read(package: Path) -> Technique:
    return Technique.from_package(package.name)


def spoil(package: Path, old: str, new: str, file: str = "technique.toml") -> int:
    """Replace ``old``, which must occur, and return the number of the line on which it begins."""
    path = package / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    return text[: text.index(old)].count("\n") + 1


# Reading


def test_every_field_is_read_from_its_place(package: Path) -> None:
    toy = read(package)
    assert (toy.id, toy.version, toy.contract, toy.package) == ("toys/scale", 3, CONTRACT, package.name)
    assert (toy.level, toy.minutes, toy.implements, toy.requires, toy.given) == (
        2,
        20,
        "scale",
        ("rl/gae",),
        ("policy",),
    )
    assert toy.call_seconds == 2.5
    assert [[say(hint) for hint in hole.hints] for hole in toy.holes] == [["Which dtype?", "That of x:"], ["Multiply."]]
    assert [hole.code for hole in toy.holes] == ["factor = torch.tensor(by, dtype=x.dtype)\n", ""]
    assert (toy.sources[0].where, toy.sources[0].seen) == ("page 2", "2.13.0")
    assert [(c.version, say(c.text)) for c in toy.changed_since(2)] == [(3, "The dtype is that of x.")]
    assert toy.lab is not None
    assert toy.lab.figures["left"].unit == "B"
    assert toy.lab.foil is not None
    assert (toy.lab.foil.misconception, say(toy.lab.foil.name, "zh")) == ("adds", "不乘系数")
    assert toy.files.manifest == package / "technique.toml"


def test_a_manifest_in_python_is_where_there_is_none_in_toml(package: Path) -> None:
    (package / "technique.toml").unlink()
    assert Technique.model_construct(package=package.name, imports=()).files.manifest == package / "__init__.py"
    with pytest.raises(PluginProblem, match=r"technique\.toml cannot be read: No such file"):
        read(package)


def test_texts_are_said_in_the_language_that_is_asked_for(package: Path) -> None:
    toy = read(package)
    assert (say(toy.title), say(toy.title, "zh"), say(toy.title, "fr")) == ("Scaling", "缩放", "Scaling")
    assert say(toy.summary, "zh") == "Numbers times a factor."  # this text has no translation
    assert [say(hint, "zh") for hole in toy.holes for hint in hole.hints] == ["什么类型？", "x 的类型：", "相乘。"]
    assert [say(c.text, "zh") for c in toy.changes] == ["系数可以为负。", "The dtype is that of x."]
    assert dict(toy.title.items()) == {"en": "Scaling", "zh": "缩放"}
    assert ("zh" in toy.title, "zh" in toy.summary, len(toy.title), len(toy.summary)) == (True, False, 2, 1)
    assert (set(toy.title), toy.title.keys(), toy.title.values()) == ({"en", "zh"}, ["en", "zh"], ["Scaling", "缩放"])
    with pytest.raises(KeyError, match="fr"):
        _ = toy.title["fr"]


def test_what_is_written_down_holds_every_language(package: Path) -> None:
    toy = read(package)
    assert toy.model_dump()["title"] == toy.model_dump(mode="json")["title"] == {"en": "Scaling", "zh": "缩放"}
    assert '"title":{"en":"Scaling","zh":"缩放"}' in toy.model_dump_json()
    copied = pickle.loads(pickle.dumps(toy.title))
    assert say(copied, "zh") == "缩放"
    spoil(package, 'title = "缩放"', "title = 3", "technique.zh.toml")
    assert read(package).model_dump()["title"] == {"en": "Scaling"}  # reported when Chinese is used


def test_no_translation_is_read_before_it_is_spoken(package: Path) -> None:
    (package / "technique.zh.toml").write_text("this is [ no TOML", "utf-8")
    toy = read(package)
    assert say(toy.title) == "Scaling"
    assert say(toy.title, "fr") == "Scaling"
    with pytest.raises(PluginProblem, match=r"technique\.zh\.toml, line 1: this is no TOML"):
        say(toy.title, "zh")


def test_listing_in_english_opens_no_translation() -> None:
    code = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == 'open' else None)\n"
        "from click.testing import CliRunner\n"
        "from groundup.cli.main import cli\n"
        "ended = CliRunner().invoke(cli, sys.argv[1:])\n"
        "assert ended.exit_code == 0, ended.output\n"
        "print(sum(p.endswith('technique.toml') for p in opened), sum(p.endswith('technique.zh.toml') for p in opened))"
    )

    def opened(*arguments: str) -> list[int]:
        command = [sys.executable, "-c", code, *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        return [int(count) for count in ended.stdout.split()]

    english, chinese = opened("list")
    assert (english >= 8, chinese) == (True, 0)
    english, chinese = opened("list", "--lang", "zh")
    assert english == chinese >= 8


def test_the_languages_are_those_of_the_files(package: Path) -> None:
    (package / "technique.fr.toml").write_text('title = "L\'échelle"\n', "utf-8")
    assert languages(package / "technique.toml") == ["fr", "zh"]
    toy = read(package)
    assert [say(toy.title, lang) for lang in ("fr", "zh", "../x")] == ["L'échelle", "缩放", "Scaling"]


def test_a_newer_contract_is_refused_before_its_keys_are(package: Path) -> None:
    spoil(package, "version = 3", f"version = 3\ncontract = {CONTRACT + 1}\nto_come = 1")
    with pytest.raises(PluginProblem) as told:
        read(package)
    assert str(told.value) == (
        f"{package / 'technique.toml'}, line 1: toys/scale is written for plugin contract {CONTRACT + 1}, "
        f"this Groundup speaks {CONTRACT}: update Groundup"
    )


# Broken files


@pytest.mark.parametrize(
    ("old", "new", "where", "says"),
    [
        ('"That of x:"', '" "', "hole 1, hints 2", "an empty text"),
        ('title = "Scaling"', 'titel = "Scaling"', "titel", "there is no such key; did you mean 'title'?"),
        ('hints = ["Multiply."]', 'hint = ["Multiply."]', "hole 2, hint", "did you mean 'hints'?"),
        ("level = 2", "level = 6", "level", "this should be less than or equal to 5"),
        ('id = "toys/scale"', 'id = "Scale"', "id", "this should match pattern"),
        ("call_seconds = 2.5", "call_second = 2.5", "limits, call_second", "did you mean 'call_seconds'?"),
        ("call_seconds = 2.5", "call_seconds = 0", "limits, call_seconds", "this should be greater than 0"),
        ('url = "https://example.org"', 'url = "example.org"', "source 1, url", "this should match pattern"),
        ('title = "A toy"', "title = 3", "source 1, title", "this should be a valid string"),
        ('x = "step"', "x = { en = 'step' }", "lab, x", "this should be a text in quotes"),
        ('unit = "B"', 'units = "B"', "lab, figures, left, units", "did you mean 'unit'?"),
        ("{share:.0%}", "{share:.0%", "lab, mark", "cannot be filled in"),
        ('misconception = "adds"', "", "lab, foil", "give 'misconception', or 'edit' with 'in'"),
    ],
)
def test_a_broken_manifest_names_file_line_key_and_what_is_wrong(
    package: Path, old: str, new: str, where: str, says: str
) -> None:
    line = spoil(package, old, new)
    with pytest.raises(PluginProblem) as told:
        read(package)
    lines = (package / "technique.toml").read_text("utf-8").splitlines()
    if "lab, mark" in where or "lab, foil" in where:  # a problem of a whole table has the line of its header
        line = lines.index(f"[{where.replace(', ', '.')}]") + 1
    assert str(told.value).startswith(f"{package / 'technique.toml'}, line ")
    assert f" line {line}, {where}: " in str(told.value)
    assert says in str(told.value)


def test_what_is_lacking_is_told_at_what_lacks_it(package: Path) -> None:
    spoil(package, 'hints = ["Multiply."]\n', "")
    spoil(package, 'title = "Scaling"\n', "")
    with pytest.raises(PluginProblem) as told:
        read(package)
    line = (package / "technique.toml").read_text("utf-8").splitlines().index("[[source]]") - 1
    assert f"technique.toml, line 1, title: this is lacking; line {line}, hole 2, hints: this is lacking" in str(
        told.value
    )


def test_a_table_that_is_none_is_told(package: Path) -> None:
    spoil(package, "[limits]\ncall_seconds = 2.5", "")
    spoil(package, "version = 3", "version = 3\nlimits = 2.5")
    with pytest.raises(PluginProblem, match=r"line 3, limits: this should be a table"):
        read(package)


@pytest.mark.parametrize(
    ("versions", "is_right"),
    [((2, 3), True), ((3,), True), ((), True), ((2, 2), False), ((3, 2), False), ((4,), False)],
)
def test_changes_lead_to_the_version_that_there_is(package: Path, versions: tuple[int, ...], is_right: bool) -> None:
    changes = [{"version": version, "text": "More."} for version in versions]
    given = read(package).model_dump(exclude={"changes"}, by_alias=True) | {"changes": changes}
    if is_right:
        assert len(Technique.model_validate(given).changes) == len(versions)
    else:
        with pytest.raises(ValueError, match="each once, in order, none above 3"):
            Technique.model_validate(given)


@pytest.mark.parametrize(
    ("old", "new", "where", "says"),
    [
        ('title = "缩放"', 'titel = "缩放"', "titel", "there is no such text in technique.toml; did you mean 'title'?"),
        (
            'title = "缩放"',
            'id = "toys/scale"',
            "id",
            "there is no such text in technique.toml; there are change, headline",
        ),
        ('title = "缩放"', "title = 3", "title", "this should be a text, as it is in English"),
        ('title = "缩放"', 'title = " "', "title", "this should be a text, as it is in English"),
        ('hints = ["相乘。"]', 'hints = ["相乘。", "再乘。"]', "hole 2, hints 2", "technique.toml has 1 of them"),
        (
            'hints = ["相乘。"]',
            'hints = "相乘。"',
            "hole 2, hints",
            "this should hold texts, as it does in technique.toml",
        ),
        ("[[change]]", '[[hole]]\nhints = ["多"]\n\n[[change]]', "hole 3", "technique.toml has 2 of them"),
        ('size = "大小"', 'siez = "大小"', "lab, names, siez", "did you mean 'size'?"),
    ],
)
def test_a_translation_that_does_not_match_names_file_line_key_and_what_is_wrong(
    package: Path, old: str, new: str, where: str, says: str
) -> None:
    line = spoil(package, old, new, "technique.zh.toml")
    toy = read(package)
    assert say(toy.title) == "Scaling"
    with pytest.raises(PluginProblem) as told:
        say(toy.title, "zh")
    assert f"{package / 'technique.zh.toml'}, line {line}, {where}: " in str(told.value)
    assert says in str(told.value)


# Figures of labs


def test_a_figure_is_filled_in_in_every_language(package: Path) -> None:
    lab = read(package).lab
    assert lab is not None
    figure = lab.figure("left", 2.0, {"steps": 3, "expected": 1 / 8})
    assert (say(figure.name), say(figure.name, "zh"), figure.unit) == ("left after 3 steps", "3 步后剩余", "B")
    assert figure.beside("en") == ["an eighth (a paper)", "by arithmetic: 1 / 2^3 = 0.125"]
    assert figure.beside("zh") == figure.beside("en")  # what a catalogue translates is a message
    assert figure.model_dump()["name"] == {"en": "left after 3 steps", "zh": "3 步后剩余"}
    mark = lab.marked(True, {"share": 0.25})
    assert (say(mark.says), say(mark.says, "zh"), mark.reached) == ("At least 25% are left.", "至少剩 25%。", True)


@pytest.mark.parametrize(
    ("key", "said", "says"),
    [
        ("lef", {}, "it reports the figure 'lef', which [lab.figures] does not have; did you mean 'left'?"),
        ("other", {}, "it has left"),
        ("left", {"steps": 3}, "the figure 'left', '1 / 2^{steps} = {expected:.3f}': no value is given for {expected}"),
        ("left", {"steps": 3, "expected": "much"}, "Unknown format code 'f'"),
    ],
)
def test_a_figure_that_is_not_declared_so_is_told(package: Path, key: str, said: dict[str, Any], says: str) -> None:
    lab = read(package).lab
    assert lab is not None
    with pytest.raises(PluginProblem) as told:
        lab.figure(key, 1.0, said)
    assert says in str(told.value)


def test_a_mark_that_is_not_declared_is_told(package: Path) -> None:
    lab = read(package).lab
    assert lab is not None
    with pytest.raises(PluginProblem, match=r"there is no \[lab\.mark\]"):
        lab.model_copy(update={"mark": None}).marked(True, {})


def test_a_translation_that_cannot_be_filled_in_is_none(package: Path) -> None:
    spoil(package, "{steps} 步后剩余", "{schritte} 步后剩余", "technique.zh.toml")
    lab = read(package).lab
    assert lab is not None
    assert say(lab.figure("left", 2.0, {"steps": 3, "expected": 0.1}).name, "zh") == "left after 3 steps"


def test_a_lab_may_be_declared_in_python_too() -> None:
    figure = LabFigure.model_validate({"name": {"en": "{n} steps", "zh": "{n} 步"}})
    assert not isinstance(figure.name, Translated)
    foil = Foil.model_validate({"technique": "a/b", "name": "no", "in": "f", "edit": ("x", "y")})
    assert (foil.within, foil.edit) == ("f", ("x", "y"))
