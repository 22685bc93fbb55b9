from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from groundup.cli.context import registry
from groundup.cli.main import cli
from groundup.grader.judging.verdict import Attempt, HoleState, PropertyResult, Verdict
from groundup.grader.learner.state import State
from groundup.grader.learner.workspace import Workspace

SOURCE = "def gae(): ...  # λ, 平均, \u202e\n"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.chdir(tmp_path)
    return Workspace.create(tmp_path / "workspace")


@pytest.fixture
def graded(workspace: Workspace) -> Workspace:
    verdict = Verdict(
        technique="rl/gae",
        version=registry().technique("gae").version,
        passed=True,
        outcome="passed",
        score=1.0,
        seed=42,
        examples=25,
        seconds=0.5,
        containment="process",
        attempt=Attempt(path="workspace/rl/gae.py", sha256=hashlib.sha256(SOURCE.encode()).hexdigest()),
        holes=(HoleState(number=1, title="one-step errors", filled=True),),
        properties=(PropertyResult(id="stops", claim="Nothing flows across an end. 平均", status="held"),),
        environment={"python": "3.11.7", "groundup": "0.1.0"},
        given_at=datetime(2026, 3, 1, 23, 30, tzinfo=UTC),
    )
    with State(workspace.folder / ".learn" / "learn.db") as state:
        state.record(verdict, SOURCE, {})
        state.note("rl/gae", "hint", "1.1")
    return workspace


def learn(*args: str) -> Result:
    return CliRunner().invoke(cli, ["brief", *args])


def test_a_brief_is_printed_as_markdown(graded: Workspace) -> None:
    done = learn()
    assert done.exit_code == 0
    assert "\n# Technical brief\n" in done.stdout
    assert "learn grade gae --attempt gae.py --seed 42" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("name", "args", "begins"),
    [
        ("b.html", (), "<!doctype html>"),
        ("b.HTM", (), "<!doctype html>"),
        ("b.md", (), "# Technical brief"),
        ("b.markdown", (), "# Technical brief"),
        ("b.txt", ("--format", "md"), "# Technical brief"),
        ("b", ("--format", "html"), "<!doctype html>"),
    ],
)
def test_the_name_of_the_file_tells_its_format(
    graded: Workspace, tmp_path: Path, name: str, args: tuple[str, ...], begins: str
) -> None:
    done = learn("--out", name, *args)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Wrote {name}: 1 technique, ")
    assert (tmp_path / name).read_text("utf-8").splitlines()[1] == begins


def test_markdown_in_a_file_says_where_its_files_are(graded: Workspace, tmp_path: Path) -> None:
    done = learn("--out", "my brief.md")
    assert done.stdout.endswith("its attempts and plots are in my brief.files/.\n")
    (attempt,) = (tmp_path / "my brief.files").iterdir()
    assert attempt.read_text("utf-8") == SOURCE
    text = (tmp_path / "my brief.md").read_text("utf-8")
    assert f"](my%20brief.files/{attempt.name})" in text
    assert f"learn grade gae --attempt 'my brief.files/{attempt.name}' --seed 42" in text


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--out", "b.pdf"), "b.pdf does not end in .md or .html: name one that does, or give --format."),
        (("--out", "b.md", "--format", "html"), "b.md is the name of a md file, and --format says html"),
        (("--json", "--out", "b.md"), "--json prints the data of the brief"),
        (("--json", "--format", "md"), "--json prints the data of the brief"),
        (("--out", "none/b.md"), "There is no folder"),
        (("--format", "pdf"), "'pdf' is not one of 'md', 'html'"),
    ],
)
def test_what_cannot_be_done_as_asked_is_told_with_the_next_step(
    graded: Workspace, tmp_path: Path, args: tuple[str, ...], told: str
) -> None:
    before = sorted(tmp_path.iterdir())
    done = learn(*args)
    assert done.exit_code == 2
    assert told in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_it_did_not_write_is_left_alone(graded: Workspace, tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("my words")
    done = learn("--out", "b.md")
    assert done.exit_code == 2
    assert "'learn brief' did not write it: name another file." in done.stderr
    assert (tmp_path / "b.md").read_text() == "my words"
    assert not (tmp_path / "b.files").exists()


def test_json_is_the_data_of_the_brief(graded: Workspace) -> None:
    done = learn("--json", "--lang", "zh")
    data = json.loads(done.stdout)
    (proof,) = data["proofs"]
    assert (proof["technique"], proof["hints_used"], proof["verdict"]["seed"]) == ("rl/gae", 1, 42)
    assert proof["title"] == registry().technique("gae").title["zh"]
    assert data["totals"]["passed"] == 1


def test_texts_are_in_the_language_asked_for(graded: Workspace) -> None:
    assert "\n# 技术简报\n" in learn("--lang", "zh").stdout
    settings = graded.folder / "learn.toml"
    settings.write_text(settings.read_text().replace('lang = "en"', 'lang = "zh"'))
    assert "\n# 技术简报\n" in learn().stdout


def test_the_learner_s_name_is_in_the_title(graded: Workspace) -> None:
    with (graded.folder / "learn.toml").open("a") as settings:
        settings.write('learner = "ada"\n')
    with State(graded.folder / ".learn" / "learn.db", learner="ada") as state:
        state.record_quiz("rl/gae", 1, "0" * 64, 1, {"q": ("A", True)})
    assert "\n# Technical brief of ada\n" in learn().stdout


@pytest.mark.parametrize(("lang", "says"), [("en", "Nothing is proved yet"), ("zh", "目前还没有任何证明")])
def test_with_nothing_proved_it_says_what_to_do_first(workspace: Workspace, lang: str, says: str) -> None:
    done = learn("--lang", lang)
    assert done.exit_code == 0
    assert says in done.stdout
    assert "learn start day-1" in done.stdout
    attempt = workspace.folder / "alignment" / "ppo.py"
    attempt.parent.mkdir()
    attempt.touch()
    done = learn("--lang", lang)
    assert "learn read ppo" in done.stdout
    assert "learn grade ppo" in done.stdout


def test_a_file_asked_for_and_not_written_is_no_success(workspace: Workspace, tmp_path: Path) -> None:
    done = learn("--out", "b.html")
    assert done.exit_code == 2
    assert "b.html was not written. Next: 'learn start day-1'." in done.stderr
    assert not (tmp_path / "b.html").exists()


def test_json_says_that_nothing_is_proved(workspace: Workspace) -> None:
    done = learn("--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["proofs"] == []


def test_without_a_workspace_it_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = learn()
    assert done.exit_code == 2
    assert "There is no workspace here. 'learn start day-1' makes one." in done.stderr


@pytest.mark.parametrize("args", [("--format", "md"), ("--format", "html"), ("--json",)], ids=lambda a: a[-1])
def test_every_process_writes_the_same_bytes(graded: Workspace, tmp_path: Path, args: tuple[str, ...]) -> None:
    program = "import sys; from groundup.cli.entry import main; sys.argv[0] = 'learn'; main()"
    elsewhere = [
        {"TZ": "XXX-11", "LC_ALL": "C", "PYTHONHASHSEED": "1", "PYTHONIOENCODING": "latin-1"},
        {"TZ": "YYY+9", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2", "COLUMNS": "40"},
    ]
    printed = [
        subprocess.run(
            [sys.executable, "-W", "error", "-c", program, "brief", *args],
            cwd=tmp_path, env={**os.environ, **there}, check=True, capture_output=True,
        ).stdout
        for there in elsewhere
    ]  # fmt: skip
    assert printed[0] == printed[1] == learn(*args).stdout_bytes
    assert "平均".encode() in printed[0]


def test_no_heavy_library_is_imported(graded: Workspace, tmp_path: Path) -> None:
    program = (
        "import sys; from groundup.cli.main import cli\n"
        "cli.main(['brief', '--out', 'b.html'], standalone_mode=False)\n"
        "print([m for m in ('torch', 'pytest', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_row_that_cannot_be_read_is_reported_and_the_rest_is_quoted(
    graded: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with State(graded.folder / ".learn" / "learn.db") as state:
        runs: list[dict[str, Any]] = [{"contestant": "yours"}]
        state.record_lab("rl/gae", runs, b"")
    done = learn()
    assert done.exit_code == 0
    assert "learn: A lab of rl/gae" in done.stderr
    assert "# Technical brief" in done.stdout
