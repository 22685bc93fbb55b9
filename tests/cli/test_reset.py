from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from groundup.grader.learner.state import State

pytestmark = pytest.mark.usefixtures("toy")


@pytest.fixture
def attempt(learn: Any, here: Path) -> Path:
    learn("start", "scale")
    return here / "workspace" / "toys" / "scale.py"


def test_every_attempt_is_kept_under_a_number(learn: Any, attempt: Path, toy: Path) -> None:
    stub = (toy / "exercise.py").read_bytes()
    for number in (1, 2, 3):
        attempt.write_bytes(b"# attempt %d\r\n" % number)
        assert learn("reset", "scale").stdout == (
            f"workspace/toys/scale.py is the stub again.\nYour attempt is kept as workspace/toys/scale.{number}.py.\n"
        )
        assert attempt.read_bytes() == stub
    kept = [attempt.with_name(f"scale.{n}.py").read_bytes() for n in (1, 2, 3)]
    assert kept == [b"# attempt 1\r\n", b"# attempt 2\r\n", b"# attempt 3\r\n"]


def test_a_stub_that_nobody_touched_is_not_kept_again(learn: Any, attempt: Path) -> None:
    assert learn("reset", "scale").stdout == "workspace/toys/scale.py is the stub already.\n"
    assert [p.name for p in attempt.parent.iterdir()] == ["scale.py"]


def test_a_reset_is_remembered_with_its_backup(learn: Any, attempt: Path, here: Path) -> None:
    attempt.write_text("# mine\n")
    learn("reset", "scale")
    with State(here / "workspace" / ".learn" / "learn.db") as state:
        assert [(e.kind, e.detail) for e in state.events("toys/scale")] == [("started", ""), ("reset", "scale.1.py")]


def test_what_was_not_started_cannot_be_reset(learn: Any, attempt: Path) -> None:
    result = learn("reset", "gae")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'learn start gae' puts the stub there." in result.stderr


def test_json_says_where_the_attempt_is_kept(learn: Any, attempt: Path) -> None:
    untouched = json.loads(learn("reset", "scale", "--json").stdout)
    assert untouched == {"technique": "toys/scale", "path": str(attempt), "kept": None}
    attempt.write_text("# mine\n")
    assert json.loads(learn("reset", "scale", "--json").stdout)["kept"] == str(attempt.with_name("scale.1.py"))
