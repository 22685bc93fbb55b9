from __future__ import annotations

import contextlib
import json
import os
import pty
import sys
from pathlib import Path
from typing import Any

import pytest

from groundup.cli.context import registry_in
from groundup.grader.learner.state import State

pytestmark = pytest.mark.usefixtures("toy")

FIRST, SECOND, THIRD = "Which dtype?", "That of x.", "x.dtype"


@pytest.fixture
def attempt(learn: Any, here: Path) -> Path:
    learn("start", "scale")
    return here / "workspace" / "toys" / "scale.py"


def given(here: Path) -> list[str]:
    """Return which hints the workspace remembers."""
    with State(here / "workspace" / ".learn" / "learn.db") as state:
        return [e.detail for e in state.events("toys/scale") if e.kind == "hint"]


def test_each_call_goes_one_step_further_and_is_remembered(learn: Any, attempt: Path, here: Path) -> None:
    assert learn("hint", "scale").stdout == (
        "Hints are recorded: 'learn status' and your brief say how many you took. This notice is shown once.\n"
        "\n"
        "toys/scale, hole 1: the factor\n"
        "\n"
        "  Which dtype?\n"
        "\n"
        "Hint 1 of 3.\n"
        "\n"
        "Next\n"
        "  learn hint scale 1  one step further\n"
        "  learn read scale    the lesson\n"
        "  learn grade scale   what holds\n"
    )
    second, third = learn("hint", "scale").stdout, learn("hint", "scale").stdout
    assert f"\n  {FIRST}\n\n  {SECOND}\n\nHint 2 of 3.\n" in second
    assert f"\n  {SECOND}\n\n  {THIRD}\n\nHint 3 of 3. There are no more for this hole.\n" in third
    assert "one step further" not in third
    assert learn("hint", "scale").stdout == third
    assert given(here) == ["1.1", "1.2", "1.3", "1.3"]


def test_that_hints_are_recorded_is_told_before_the_first_of_a_learner_and_never_again(
    learn: Any, attempt: Path, plugins: Any
) -> None:
    first = learn("hint", "scale").stdout
    assert first.index("Hints are recorded") < first.index(FIRST)
    plugins.technique("other")
    learn("start", "other")
    for name in ("scale", "other"):
        assert "recorded" not in learn("hint", name).stdout


def everything(screen: Any) -> str:
    """Return all that was written on a terminal that has been closed."""
    text = b""
    with contextlib.suppress(OSError):  # how Linux says that it is closed
        while read := screen.read(1 << 16):
            text += read
    return text.decode()


def test_on_a_terminal_the_first_hint_can_still_be_left(attempt: Path, here: Path, command: Any) -> None:
    for answer, expected in ((b"n\n", []), (b"\n", ["1.1"])):
        ours, theirs = pty.openpty()
        with os.fdopen(ours, "rb", buffering=0) as screen, command("hint", "scale", terminal=theirs):
            os.close(theirs)
            os.write(ours, answer)
            shown = everything(screen)
        assert "Take the first one? [Y/n]" in shown
        assert given(here) == expected


def test_the_code_that_fills_the_hole_comes_with_the_last_hint(learn: Any, attempt: Path, toy: Path) -> None:
    manifest = toy / "__init__.py"
    code = 'code="""factor = torch.tensor(\\n    by, dtype=x.dtype\\n)\\n"""'
    manifest.write_text(manifest.read_text().replace('"x.dtype")', f'"This:"), {code}'))
    del sys.modules[toy.name]
    registry_in.cache_clear()
    assert "torch.tensor" not in learn("hint", "scale").stdout + learn("hint", "scale").stdout
    for lang in ("en", "zh"):
        shown = learn("hint", "scale", "--lang", lang).stdout
        assert "\n  This:\n\n      factor = torch.tensor(\n          by, dtype=x.dtype\n      )\n\n" in shown


def test_each_hole_has_its_own_steps(learn: Any, attempt: Path, here: Path) -> None:
    learn("hint", "scale", "1")
    result = learn("hint", "scale", "2")
    assert "hole 2: the product\n\n  Multiply.\n\nHint 1 of 1." in result.stdout
    assert given(here) == ["1.1", "2.1"]


def test_without_a_number_it_is_the_first_hole_that_is_empty(learn: Any, attempt: Path) -> None:
    stub = attempt.read_text()
    attempt.write_text(stub.replace('raise NotImplementedError("hole 1/2: the factor")', "factor = 1"))
    assert "hole 2: the product" in learn("hint", "scale").stdout


@pytest.mark.usefixtures("grading")
def test_with_every_hole_filled_it_is_the_one_that_the_last_verdict_points_to(
    learn: Any, attempt: Path, toy: Path
) -> None:
    attempt.write_text((toy / "solution.py").read_text().replace("x * factor", "x + factor"))
    assert "hole 1: the factor" in learn("hint", "scale").stdout  # nothing is known yet
    learn("grade", "scale")
    assert "hole 2: the product" in learn("hint", "scale").stdout


def test_hints_come_in_the_language_asked_for_or_in_english(learn: Any, attempt: Path) -> None:
    learn("hint", "scale")
    assert f"  什么类型？\n\n  {SECOND}\n" in learn("hint", "scale", "--lang", "zh").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["scale", "3"], "toys/scale has 2 holes, numbered 1 to 2; there is no hole 3."),
        (["scale", "0"], "toys/scale has 2 holes, numbered 1 to 2; there is no hole 0."),
        (["scale", "x"], "'x' is not a whole number from 0 to 999."),
        (["scael"], "Did you mean 'toys/scale'?"),
        (["gae"], "There is no workspace/rl/gae.py yet: 'learn start gae' puts the stub there."),
    ],
)
def test_what_cannot_be_hinted_at_is_told(
    learn: Any, attempt: Path, here: Path, arguments: list[str], says: str
) -> None:
    result = learn("hint", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert given(here) == []


def test_without_a_workspace_the_next_step_is_told(learn: Any) -> None:
    for command in ("hint", "reset", "solution"):
        result = learn(command, "scale")
        assert result.exit_code == 2
        assert result.stderr == "learn: There is no workspace here. 'learn start scale' makes one.\n"


def test_json_holds_the_hints_given_so_far_and_records_them(learn: Any, attempt: Path, here: Path) -> None:
    told = json.loads(learn("hint", "scale", "--json").stdout)
    assert told == {
        "technique": "toys/scale", "hole": 1, "title": "the factor", "hints": [FIRST], "of": 3, "code": None
    }  # fmt: skip
    assert json.loads(learn("hint", "scale", "--json").stdout)["hints"] == [FIRST, SECOND]
    assert given(here) == ["1.1", "1.2"]
