from __future__ import annotations

import errno
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundup.core.errors import EnvironmentProblem, NoWorkspace, UsageProblem
from groundup.grader.learner import workspace as workspace_module
from groundup.grader.learner.workspace import Settings, Workspace

SOAK = Path(__file__).with_name("state_soak.py")
TECHNIQUE = runpy.run_path(str(SOAK))["TECHNIQUE"]
STUB = "def halve(x):\n    raise NotImplementedError\n"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "workspace")


@pytest.fixture
def attempt(workspace: Workspace) -> Path:
    path = workspace.attempt_path(TECHNIQUE)
    path.parent.mkdir()
    return path


@pytest.fixture(params=["hard links", "no hard links"])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_paths: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if request.param == "no hard links":
        monkeypatch.setattr(os, "link", refuse)


def soak(mode: str, job: str, how_many: int, folder: Path, seed: int = 0) -> list[tuple[int, str]]:
    command = [sys.executable, "-W", "error", str(SOAK), mode, job, str(how_many), str(folder), str(seed)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = (line.split(" ", 1) for line in ended.stdout.splitlines())
    return [(int(number), what) for number, what in lines]


def everything(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


# Finding and making


def test_a_workspace_is_found_from_inside_it_and_from_beside_it(workspace: Workspace, tmp_path: Path) -> None:
    (workspace.folder / "alignment" / "notes").mkdir(parents=True)
    for start in (workspace.folder, workspace.folder / "alignment" / "notes", tmp_path):
        assert Workspace.find(start).folder == workspace.folder


def test_the_nearest_workspace_is_found(workspace: Workspace, tmp_path: Path) -> None:
    outer = Workspace.create(tmp_path)
    (tmp_path / "other").mkdir()
    assert Workspace.find(tmp_path).folder == outer.folder
    assert Workspace.find(tmp_path / "other").folder == outer.folder
    assert Workspace.find(workspace.folder).folder == workspace.folder
    inner = Workspace.create(tmp_path / "other" / "workspace")
    assert Workspace.find(tmp_path / "other").folder == inner.folder


def test_the_search_starts_in_the_current_folder(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Workspace.find().folder == workspace.folder


def test_no_workspace_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NoWorkspace, match="'learn start day-1' makes one"):
        Workspace.find(tmp_path)


def test_a_new_workspace_has_the_defaults_and_a_database_that_git_ignores(workspace: Workspace) -> None:
    assert workspace.settings == Settings(roadmap="fourteen-days", lang="en", database=None, learner="")
    assert workspace.database == workspace.folder / ".learn" / "learn.db"
    assert (workspace.folder / ".learn" / ".gitignore").read_text() == "*\n"


def test_the_examples_in_a_new_learn_toml_are_right_once_uncommented(workspace: Workspace) -> None:
    file = workspace.folder / "learn.toml"
    file.write_text(file.read_text().replace("# database", "database").replace("# learner", "learner"))
    assert Workspace(workspace.folder).settings.learner == "ada"
    assert Workspace(workspace.folder).database == "postgresql+psycopg://host/class"


def test_making_a_workspace_again_writes_nothing(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace_module, "_write_exclusively", lambda *call: pytest.fail(f"wrote {call[0]}"))
    assert Workspace.create(workspace.folder).folder == workspace.folder


def test_making_a_workspace_again_changes_nothing_that_the_learner_did(workspace: Workspace) -> None:
    texts = {
        "learn.toml": 'lang = "zh"\n',
        "pyrightconfig.json": "{}",
        ".vscode/settings.json": "{ mine",
        "note.md": "x",
    }
    for name, text in texts.items():
        (workspace.folder / name).write_text(text)
    before = everything(workspace.folder)
    assert Workspace.create(workspace.folder).settings.lang == "zh"
    assert everything(workspace.folder) == before


def test_a_folder_that_has_files_already_can_become_a_workspace(tmp_path: Path) -> None:
    (tmp_path / "note.md").write_text("x")
    Workspace.create(tmp_path)
    assert (tmp_path / "note.md").read_text() == "x"
    assert Workspace.find(tmp_path).folder == tmp_path


def test_making_a_workspace_leaves_no_other_files(links: None, tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "workspace")
    assert set(everything(workspace.folder)) == {
        "learn.toml",
        "pyrightconfig.json",
        ".learn/.gitignore",
        ".vscode/settings.json",
        "AGENTS.md",
    }


@pytest.mark.parametrize(
    ("lang", "says"),
    [
        ("en", "You must not\n\n- write, complete or correct what stands in a hole"),
        ("zh", "你不可以\n\n- 编写、补全或改正空里的内容"),
    ],
)
def test_a_new_workspace_tells_coding_assistants_what_they_may_do_in_its_language(
    tmp_path: Path, lang: str, says: str, chinese: Callable[[str], str]
) -> None:
    workspace = Workspace.create(tmp_path / "workspace", lang, chinese if lang == "zh" else str)
    assert workspace.settings.lang == lang
    text = (workspace.folder / "AGENTS.md").read_text(encoding="utf-8")
    assert says in text
    assert "`learn read NAME`" in text
    assert "`learn grade NAME`" in text


def test_a_note_to_assistants_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text("mine")
    Workspace.create(tmp_path)
    assert (tmp_path / "AGENTS.md").read_text() == "mine"


def test_a_place_where_no_folder_can_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(EnvironmentProblem, match=rf"Cannot write {folder}: .* Make it writable, or move aside"):
            Workspace.create(folder)
    assert (tmp_path / "file").read_text() == "x"


def test_a_full_disk_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(EnvironmentProblem, match=r"No space left on device .* Make room on the disk and try again"):
        Workspace.create(tmp_path / "workspace")


# Settings


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('lang = "en\n', r"learn\.toml is not TOML: .*line 1"),
        ("\n\nlang = = 3", r"learn\.toml is not TOML: .*line 3"),
        ("lang = 3", r"learn\.toml: lang = 3: Input should be a valid string"),
        ('roadmap = ["a"]', r"learn\.toml: roadmap = \['a'\]: "),
        ('database = ""', r"learn\.toml: database = '': "),
        ('langs = "en"', r"learn\.toml: no setting 'langs'\. Did you mean 'lang'\?"),
        ("[colours]\nred = 1", r"learn\.toml: no setting 'colours'\. Remove it\."),
        ('database = "postgresql://host/class"', r"learn\.toml: a database that several may share needs learner"),
        (b'lang = "\xff"', r"learn\.toml is not UTF-8 \(byte 8\)"),
    ],
)
def test_bad_settings_name_the_file_and_the_line_or_field(workspace: Workspace, text: str | bytes, told: str) -> None:
    file = workspace.folder / "learn.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageProblem, match=told):
        Workspace.find(workspace.folder)


def test_two_bad_settings_are_both_told(workspace: Workspace) -> None:
    (workspace.folder / "learn.toml").write_text("lang = 3\nroadmap = 4\n")
    with pytest.raises(UsageProblem, match=r"(?s)learn\.toml: roadmap = 4.*learn\.toml: lang = 3"):
        Workspace(workspace.folder)


def test_settings_saved_by_a_windows_editor_are_read(workspace: Workspace) -> None:
    (workspace.folder / "learn.toml").write_bytes('\ufefflang = "zh"\r\n'.encode())
    assert Workspace(workspace.folder).settings.lang == "zh"


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("sqlite:///progress.db", "{folder}/progress.db"),
        ("sqlite:////srv/ada.db", "/srv/ada.db"),
        ("sqlite:///file:ada.db?mode=ro&uri=true", None),
        ("sqlite:///:memory:", None),
        ("sqlite://", None),
    ],
)
def test_a_relative_sqlite_file_is_beside_learn_toml(workspace: Workspace, url: str, database: str | None) -> None:
    (workspace.folder / "learn.toml").write_text(f'database = "{url}"\n')
    expected = Path(database.format(folder=workspace.folder)) if database else url
    assert Workspace(workspace.folder).database == expected


# Editors


def read_generated(path: Path) -> dict[str, Any]:
    comment, text = path.read_text().split("\n", 1)
    assert comment.startswith("// ")
    settings: dict[str, Any] = json.loads(text)
    return settings


def test_an_editor_is_told_where_groundup_and_torch_are(workspace: Workspace) -> None:
    settings = read_generated(workspace.folder / "pyrightconfig.json")
    (root,) = settings["extraPaths"]
    assert (workspace.folder / root / "groundup" / "core" / "interfaces" / "rl.py").is_file()
    if sys.prefix != sys.base_prefix:
        assert (workspace.folder / settings["venvPath"] / settings["venv"]).samefile(sys.prefix)
    interpreter = read_generated(workspace.folder / ".vscode" / "settings.json")["python.defaultInterpreterPath"]
    assert Path(interpreter.replace("${workspaceFolder}", str(workspace.folder))).samefile(sys.executable)


def test_editor_paths_are_relative_to_a_workspace_beside_groundup_and_absolute_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "house" / ".venv"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "house" / ".venv" / "bin" / "python"))
    inside = Workspace.create(tmp_path / "house" / "workspace").folder
    assert read_generated(inside / "pyrightconfig.json")["venvPath"] == ".."
    python = read_generated(inside / ".vscode" / "settings.json")["python.defaultInterpreterPath"]
    assert python == "${workspaceFolder}/../.venv/bin/python"
    far = Workspace.create(tmp_path / "home" / "ada" / "workspace").folder
    assert read_generated(far / "pyrightconfig.json")["venvPath"] == str(tmp_path / "house")
    python = read_generated(far / ".vscode" / "settings.json")["python.defaultInterpreterPath"]
    assert python == str(tmp_path / "house" / ".venv" / "bin" / "python")


def test_editor_settings_follow_groundup_until_someone_edits_them(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [workspace.folder / "pyrightconfig.json", workspace.folder / ".vscode" / "settings.json"]
    monkeypatch.setattr(sys, "prefix", "/moved/.venv")
    monkeypatch.setattr(sys, "executable", "/moved/.venv/bin/python")
    Workspace.create(workspace.folder)
    assert all("/moved" in file.read_text() for file in files)
    for file in files:
        file.write_text(file.read_text().replace("{", '{\n  "mine": 1,'))
    monkeypatch.setattr(sys, "prefix", "/again/.venv")
    monkeypatch.setattr(sys, "executable", "/again/.venv/bin/python")
    Workspace.create(workspace.folder)
    assert all("/moved" in file.read_text() and '"mine"' in file.read_text() for file in files)


# Attempts


def test_an_exercise_is_put_where_the_attempt_goes(links: None, workspace: Workspace) -> None:
    path = workspace.attempt_path(TECHNIQUE)
    assert path == workspace.folder / "alignment" / "toy_rule.py"
    assert workspace.put_exercise(TECHNIQUE, STUB + "# 數\r\n")
    assert path.read_bytes() == (STUB + "# 數\r\n").encode()
    assert [p.name for p in path.parent.iterdir()] == ["toy_rule.py"]


def test_a_new_file_has_the_permissions_that_any_new_file_has(workspace: Workspace) -> None:
    workspace.put_exercise(TECHNIQUE, STUB)
    (workspace.folder / "plain").touch()
    assert workspace.attempt_path(TECHNIQUE).stat().st_mode == (workspace.folder / "plain").stat().st_mode


def test_an_exercise_is_never_put_over_anything(links: None, workspace: Workspace, attempt: Path) -> None:
    attempt.write_text("mine")
    assert not workspace.put_exercise(TECHNIQUE, STUB)
    assert attempt.read_text() == "mine"

    attempt.unlink()
    attempt.symlink_to("nowhere.py")
    assert not workspace.put_exercise(TECHNIQUE, STUB)
    assert attempt.readlink() == Path("nowhere.py")
    assert not attempt.exists()

    attempt.unlink()
    attempt.mkdir()
    assert not workspace.put_exercise(TECHNIQUE, STUB)
    assert list(attempt.iterdir()) == []


def test_an_attempt_that_appears_at_the_last_moment_is_kept(
    links: None, workspace: Workspace, attempt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_late(path: Path, text: str) -> Path:
        attempt.write_text("mine")
        return write_beside(path, text)

    write_beside = workspace_module._write_beside
    monkeypatch.setattr(workspace_module, "_write_beside", write_late)
    assert not workspace.put_exercise(TECHNIQUE, STUB)
    assert everything(attempt.parent) == {"toy_rule.py": "mine"}


def test_a_disk_that_is_full_leaves_no_half_of_a_stub(
    links: None, workspace: Workspace, attempt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentProblem, match=r"toy_rule\.py: No space left on device"):
        workspace.put_exercise(TECHNIQUE, STUB)
    assert everything(attempt.parent) == {}


def test_a_reset_keeps_every_attempt_under_the_next_free_number(
    links: None, workspace: Workspace, attempt: Path
) -> None:
    attempt.with_name("toy_rule.2.py").write_text("older")
    for text, backup in [("first", "toy_rule.1.py"), ("second", "toy_rule.3.py")]:
        attempt.write_text(text)
        assert workspace.reset(TECHNIQUE, STUB) == attempt.with_name(backup)
    assert everything(attempt.parent) == {
        "toy_rule.py": STUB,
        "toy_rule.1.py": "first",
        "toy_rule.2.py": "older",
        "toy_rule.3.py": "second",
    }


def test_a_reset_without_an_attempt_puts_the_stub(workspace: Workspace) -> None:
    assert workspace.reset(TECHNIQUE, STUB) is None
    assert everything(workspace.folder / "alignment") == {"toy_rule.py": STUB}


def test_a_reset_moves_a_link_and_not_what_it_points_to(workspace: Workspace, attempt: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("mine")
    attempt.symlink_to(tmp_path / "mine.py")
    backup = workspace.reset(TECHNIQUE, STUB)
    assert backup is not None
    assert (backup.is_symlink(), backup.read_text()) == (True, "mine")
    assert (attempt.is_symlink(), attempt.read_text()) == (False, STUB)
    assert (tmp_path / "mine.py").read_text() == "mine"


def test_a_folder_in_the_attempt_s_place_is_named_and_stays(workspace: Workspace, attempt: Path) -> None:
    attempt.mkdir()
    (attempt / "mine.py").write_text("mine")
    with pytest.raises(EnvironmentProblem, match=r"toy_rule\.py: is a folder.*move aside"):
        workspace.reset(TECHNIQUE, STUB)
    assert everything(attempt.parent) == {"toy_rule.py/mine.py": "mine"}


def test_a_text_saved_during_a_reset_is_kept(
    workspace: Workspace, attempt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save_late(path: Path) -> Path | None:
        backup = move_aside(path)
        attempt.write_text("saved by the editor just now")
        return backup

    move_aside = workspace_module._move_aside
    monkeypatch.setattr(workspace_module, "_move_aside", save_late)
    attempt.write_text("mine")
    workspace.reset(TECHNIQUE, STUB)
    assert everything(attempt.parent) == {"toy_rule.py": "saved by the editor just now", "toy_rule.1.py": "mine"}


def interrupt_the_move(monkeypatch: pytest.MonkeyPatch, other_command: Callable[[], object]) -> None:
    """Run another command between the choice of a backup's name and the move of the attempt to it."""

    def move(path: Path, target: Path) -> Path:
        monkeypatch.undo()
        other_command()
        return path.replace(target)

    monkeypatch.setattr(Path, "replace", move)


def test_two_resets_never_take_the_same_name(
    workspace: Workspace, attempt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt.write_text("mine")
    interrupt_the_move(monkeypatch, lambda: workspace.reset(TECHNIQUE, STUB))
    workspace.reset(TECHNIQUE, STUB)
    assert everything(attempt.parent) == {"toy_rule.py": STUB, "toy_rule.1.py": STUB, "toy_rule.2.py": "mine"}


def test_a_reset_that_finds_the_attempt_gone_keeps_no_empty_backup(
    workspace: Workspace, attempt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt.write_text("mine")
    interrupt_the_move(monkeypatch, attempt.unlink)
    assert workspace.reset(TECHNIQUE, STUB) is None
    assert everything(attempt.parent) == {"toy_rule.py": STUB}


def test_of_processes_that_put_an_exercise_at_once_one_does(tmp_path: Path) -> None:
    for number in range(3):
        told = soak("race", "put", 8, tmp_path / str(number))
        assert sorted(what for _, what in told) == ["False"] * 7 + ["True"]
        (winner,) = (process for process, what in told if what == "True")
        folder = tmp_path / str(number) / "alignment"
        assert list(everything(folder)) == ["toy_rule.py"]
        assert (folder / "toy_rule.py").read_text().endswith(f"# {winner}\n")


def test_processes_that_reset_at_once_keep_the_attempt(tmp_path: Path) -> None:
    for number in range(3):
        workspace = Workspace.create(tmp_path / str(number))
        attempt = workspace.attempt_path(TECHNIQUE)
        attempt.parent.mkdir()
        attempt.write_text("mine")
        told = [what for _, what in soak("race", "reset_once", 8, workspace.folder)]
        kept = everything(attempt.parent)
        assert len(told) == 8
        assert list(kept.values()).count("mine") == 1
        assert "mine" not in attempt.read_text()
        assert {str(attempt.parent / name) for name in kept} == {*told, str(attempt)} - {"None"}


def assert_kills_lose_no_attempt(folder: Path, how_many: int, seed: int) -> None:
    written = soak("kill", "reset", how_many, folder, seed)
    assert {number for number, _ in written} == set(range(how_many))  # each wrote something before its kill
    for number in range(how_many):
        kept = everything(folder / str(number) / "alignment").values()
        assert {text for process, text in written if process == number} <= set(kept)


def test_a_kill_during_a_reset_loses_no_attempt(tmp_path: Path) -> None:
    assert_kills_lose_no_attempt(tmp_path, 20, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_kills_during_a_reset_lose_no_attempt(tmp_path: Path, seed: int) -> None:
    assert_kills_lose_no_attempt(tmp_path, 200, seed)
