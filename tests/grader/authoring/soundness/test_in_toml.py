"""The rules about manifests, on a technique whose manifest is in TOML: they name its file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from groundup.grader.authoring.check import Check
from groundup.grader.authoring.soundness import imports, interface, languages, manifest
from groundup.grader.judging.judge import Judge
from groundup.grader.process.fork_server import ForkServer

MODULE = '''"""A toy."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Technique


@hookimpl
def techniques() -> list[Technique]:
    """Declare it."""
    return [Technique.from_package(__name__)]
'''
MANIFEST = """id = "toys/half"
version = 2
title = "Halving"
summary = "Every number is halved."
headline = "Half of everything."
implements = "half"
requires = ["rl/gae"]

[[hole]]
hints = ["Half of 3?"]
code = '''
factor = 0.5
'''

[[hole]]
hints = ["x times that:"]
code = "result = factor * x"

[[source]]
title = "A toy"
url = "https://example.org/toy"
where = "page 2"

[[change]]
version = 2
text = "Halves of integers are floats."

[lab]
title = "Halving"
uses = ["toys/half"]
x = "step"
y = "size"

[lab.figures.left]
name = "what is left after {steps} steps"

[lab.mark]
says = "An eighth is left."
"""
CHINESE = """title = "减半"
summary = "每个数减半。"
headline = "一切的一半。"

[[hole]]
hints = ["3 的一半？"]

[[hole]]
hints = ["x 乘以它："]

[[change]]
text = "整数的一半是浮点数。"

[lab]
title = "减半"
x = "步"
y = "大小"

[lab.figures.left]
name = "{steps} 步后剩下的"

[lab.mark]
says = "剩下八分之一。"
"""
LAB = '''"""Halve and look."""

import torch

from groundup.core.lab import Outcome


def run(bench):
    half = bench.impl("toys/half")
    x = torch.ones(2)
    for step in range(3):
        x = half(x)
        bench.point("size", step, float(x[0]))
    left = float(x[0])
    return Outcome(figures=(bench.figure("left", left, steps=3),), mark=bench.mark(left == 0.125))
'''


@pytest.fixture
def toy(toy: Any) -> Any:
    files = {"__init__.py": MODULE, "technique.toml": MANIFEST, "technique.zh.toml": CHINESE, "lab.py": LAB}
    for name, text in files.items():
        (toy.folder / name).write_text(text, encoding="utf-8")
    return toy


def problems(rule: Any, toy: Any, *more: Any) -> list[str]:
    found: list[str] = rule.check(toy.technique, *(more or (toy.registry,)))[1]
    return found


def test_what_is_complete_is_clean(toy: Any) -> None:
    assert manifest.check(toy.technique, toy.registry) == ("2 holes, 1 sources", [])
    assert languages.check(toy.technique, toy.registry) == ("English and Chinese", [])
    assert imports.check(toy.technique, toy.registry)[1] == []


@pytest.mark.parametrize(
    ("old", "new", "at", "says"),
    [
        ('where = "page 2"\n', "", "url =", "the source 'A toy' does not say where"),
        ('headline = "Half of everything."\n', "", "summary =", "no headline"),
        ('"rl/gae"', '"rl/gea"', "requires =", "it requires 'rl/gea', which is no technique here"),
        ("version = 2\ntitle", "version = 4\ntitle", "version = 4", "nothing says what changed with version 3, 4"),
        ('[[hole]]\nhints = ["x times that:"]\ncode = "result = factor * x"\n', "", "[[hole]]", ""),
    ],
)
def test_what_is_incomplete_is_found_at_its_line(toy: Any, old: str, new: str, at: str, says: str) -> None:
    toy.spoil("technique.toml", old, new)
    (told,) = problems(manifest, toy)
    if says:
        assert told.startswith(f"{toy.at('technique.toml', at)}: {says}")
    else:
        assert told.endswith(
            f"the manifest has hints for 1: each needs hints of its own, in {toy.at('technique.toml', at)}"
        )


def test_what_is_imported_and_fulfilled_is_found_at_its_line(toy: Any) -> None:
    toy.spoil("technique.toml", "requires =", 'imports = ["nowhere_at_all"]\ninterface = "a:B"\nrequires =')
    (told,) = problems(imports, toy)
    assert told.startswith(f"{toy.at('technique.toml', 'imports =')}: no module 'nowhere_at_all'")
    found = problems(interface, toy, lambda x: x)
    assert any(p.startswith(f"{toy.at('technique.toml', 'interface =')}: 'half' is a function") for p in found)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('headline = "一切的一半。"\n', "", "headline lacks 'zh'"),
        ('hints = ["3 的一半？"]', 'hints = ["how much is half"]', "the Chinese is not translated"),
        ('text = "整数的一半是浮点数。"', "", "changes[1].text lacks 'zh'"),
        ("{steps} 步后剩下的", "{step} 步后剩下的", "has other placeholders in Chinese"),
        ('x = "步"\n', "", "lab.x lacks 'zh'"),
    ],
)
def test_texts_that_differ_between_languages_are_found(toy: Any, old: str, new: str, says: str) -> None:
    toy.spoil("technique.zh.toml", old, new)
    (told,) = problems(languages, toy)
    assert says in told
    assert told.startswith(f"{toy.folder}/technique.toml:")


def test_a_translation_that_does_not_match_is_found_at_its_line(toy: Any, judge: Judge) -> None:
    at = toy.spoil("technique.zh.toml", "headline", "headlines").rpartition(":")[2]
    (finding,) = Check(judge, toy.technique, rules=["languages"], registry=toy.registry).findings()
    (told,) = finding.problems
    assert told.startswith(f"{toy.folder}/technique.zh.toml, line {at}, headlines: there is no such text")


# The rule of hints, and the lab


@pytest.fixture(scope="module")
def judge() -> Any:
    with ForkServer() as server:
        yield Judge(server)


def hints(judge: Judge, toy: Any) -> tuple[str, ...]:
    (finding,) = Check(judge, toy.technique, rules=["hints"], registry=toy.registry).findings()
    return (finding.detail, *finding.problems)


def test_the_code_of_the_last_hints_passes_when_it_is_put_into_the_stub(judge: Judge, toy: Any) -> None:
    assert hints(judge, toy) == ("the code of 2 holes passes",)


def test_code_that_does_not_pass_is_found(judge: Judge, toy: Any) -> None:
    toy.spoil("technique.toml", "factor = 0.5", "factor = 0.25")
    (_, told) = hints(judge, toy)
    at = toy.at("technique.toml", "code = '''")
    assert told.startswith(f"{at}: the code of the last hints, put into the stub together, does not pass: two_halves")
    toy.spoil("technique.toml", "factor = 0.25", "factor = (0.25")
    assert "does not pass: " in hints(judge, toy)[1]


def test_a_hole_without_code_is_found_where_others_have_some(judge: Judge, toy: Any) -> None:
    toy.spoil("technique.toml", 'code = "result = factor * x"\n', "")
    lines = Path(toy.folder / "technique.toml").read_text("utf-8").splitlines()
    second = [n for n, line in enumerate(lines, start=1) if line == "[[hole]]"][1]
    (_, told) = hints(judge, toy)
    assert told.startswith(f"{toy.folder}/technique.toml:{second}: the last hint of hole 2 gives no code")
    toy.spoil("technique.toml", "code = '''\nfactor = 0.5\n'''\n", "")
    assert hints(judge, toy) == ("the last hints give no code",)


def test_the_lab_is_the_manifests(judge: Judge, toy: Any) -> None:
    (finding,) = Check(judge, toy.technique, rules=["lab"], registry=toy.registry).findings()
    assert finding.problems == ()
    toy.spoil("lab.py", '"left", left', '"lfet", left')
    (finding,) = Check(judge, toy.technique, rules=["lab"], registry=toy.registry).findings()
    assert (
        "it reports the figure 'lfet', which [lab.figures] does not have; did you mean 'left'?" in finding.problems[0]
    )
    toy.spoil("technique.toml", 'uses = ["toys/half"]', 'uses = ["rl/gae"]')
    (finding,) = Check(judge, toy.technique, rules=["lab"], registry=toy.registry).findings()
    assert finding.problems[0].startswith(f"{toy.at('technique.toml', 'uses =')}: the lab does not use 'toys/half'")


def test_a_lab_that_is_declared_twice_or_nowhere_is_found(judge: Judge, toy: Any) -> None:
    text = (toy.folder / "technique.toml").read_text("utf-8")
    toy.spoil("lab.py", "\n\ndef run", "\nLAB = object()\n\n\ndef run")
    (finding,) = Check(judge, toy.technique, rules=["lab"], registry=toy.registry).findings()
    assert "is declared twice: drop LAB of lab.py, or [lab] of the manifest" in finding.problems[0]
    toy.spoil("lab.py", "LAB = object()\n", "")
    (toy.folder / "technique.toml").write_text(text.partition("[lab]")[0], "utf-8")
    (finding,) = Check(judge, toy.technique, rules=["lab"], registry=toy.registry).findings()
    assert f"is not declared: add [lab] to {toy.folder / 'technique.toml'}" in finding.problems[0]
