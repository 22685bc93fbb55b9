from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from groundup.core.errors import UsageProblem
from groundup.core.registry import Registry
from groundup.grader.batch import search
from groundup.grader.batch.submissions import Submissions

PPO = Registry().technique("ppo")
CODE = "def ppo():\n    return 1\n"


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    folder = tmp_path / "handed-in"
    folder.mkdir()
    return folder


def put(path: Path, data: bytes | str = CODE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["ppo.py"], "ppo.py"),
        (["alignment/ppo.py"], "alignment/ppo.py"),
        (["workspace/alignment/ppo.py", "workspace/rl/gae.py"], "workspace/alignment/ppo.py"),
        (["mine.py"], "mine.py"),
        (["Mine.PY", "notes.txt"], "Mine.PY"),
        (["ppo.py", "other.py", "__pycache__/ppo.py", ".hidden/ppo.py", "__MACOSX/ppo.py"], "ppo.py"),
        (["alignment/ppo.py", "alignment/ppo.1.py"], "alignment/ppo.py"),
        (["ppo.py", "env/pyvenv.cfg", "env/lib/ppo.py"], "ppo.py"),
    ],
)
def test_the_attempt_is_found_by_its_name_or_is_the_only_python_file(
    handed_in: Path, files: list[str], found: str
) -> None:
    for file in files:
        put(handed_in / "anna" / file)
    submission = Submissions(handed_in, PPO).read("anna")
    assert (submission.file, submission.source, submission.reason) == (f"anna/{found}", CODE, None)


def test_a_technique_of_several_words_is_looked_for_as_its_file_is_called(handed_in: Path) -> None:
    put(handed_in / "anna" / "ring_all_reduce.py")
    put(handed_in / "anna" / "other.py")
    assert Submissions(handed_in, Registry().technique("ring-all-reduce")).read("anna").source == CODE


@pytest.mark.parametrize(
    ("files", "reason", "says"),
    [
        ({"readme.txt": ""}, "missing", "no ppo.py and no other Python file; found readme.txt: hand in ppo.py"),
        ({"hw.zip": b"PK", "ppo.ipynb": "{}"}, "missing", "found hw.zip, ppo.ipynb: hand in ppo.py"),
        ({f"{n}.txt": "" for n in range(9)}, "missing", "found 0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 4 more: hand in"),
        ({"ppo.py/notes.txt": ""}, "missing", "ppo.py is a folder: hand in the file ppo.py itself"),
        ({"w/ppo.py/.keep": ""}, "missing", "file; w/ppo.py is a folder: hand in the file ppo.py itself"),
        (
            {"/".join("abcdefghijklmno") + "/ppo.py": CODE},
            "missing",
            "file; folders more than 12 deep were not looked into (a/b/c/d/e/f/g/h/i/j/k/l/m): put ppo.py further up",
        ),
        ({".git/ppo.py": CODE, "env/pyvenv.cfg": ""}, "missing", "no other Python file; not looked into: .git, env"),
        ({"ppo.py": CODE, "a/ppo.py": CODE}, "ambiguous", "several files are called ppo.py: a/ppo.py, ppo.py"),
        ({"a.py": CODE, "b.py": CODE}, "ambiguous", "no ppo.py, and several Python files: a.py, b.py"),
        ({f"{n}.py": CODE for n in range(9)}, "ambiguous", "0.py, 1.py, 2.py, 3.py, 4.py and 4 more"),
        ({"ppo.py": ""}, "empty", "the file is empty"),
        ({"ppo.py": " \n\t\n"}, "empty", "the file is empty"),
        ({"ppo.py": "#" * 5_000_000}, "too_large", "larger than 128 KiB: that is no attempt"),
        ({"ppo.py": CODE.encode("utf-16")}, "not_text", "not UTF-8 text (byte 0): it looks like UTF-16"),
        ({"ppo.py": "# é\n".encode("latin-1")}, "not_text", "not UTF-8 text (byte 2): save it as UTF-8"),
        ({"ppo.py": b"\x7fELF\x02\x01\0\0"}, "not_text", "not text (byte 6 is 0): it looks like a binary file"),
        ({"ppo.py": b"\xff\0\x01"}, "not_text", "not UTF-8 text (byte 0): it looks like a binary file"),
    ],
)
def test_what_cannot_be_graded_is_told_with_its_reason(
    handed_in: Path, files: dict[str, bytes | str], reason: str, says: str
) -> None:
    for file, data in files.items():
        put(handed_in / "anna" / file, data)
    submission = Submissions(handed_in, PPO).read("anna")
    assert (submission.source, submission.reason) == (None, reason)
    assert says in (submission.problem or "")


def test_no_link_leads_out_of_a_submission(handed_in: Path, tmp_path: Path) -> None:
    outside = put(tmp_path / "solution" / "ppo.py", "SECRET = 1\n")
    for name in ("file", "folder", "circle", "gone", "inside"):
        (handed_in / name).mkdir()
    (handed_in / "file" / "ppo.py").symlink_to(outside)
    (handed_in / "folder" / "alignment").symlink_to(outside.parent)
    (handed_in / "itself").symlink_to(outside.parent)
    (handed_in / "circle" / "ppo.py").symlink_to("ppo.py")
    (handed_in / "gone" / "ppo.py").symlink_to("not-there.py")
    put(handed_in / "inside" / "src" / "final.txt")
    (handed_in / "inside" / "ppo.py").symlink_to("src/final.txt")
    found = Submissions(handed_in, PPO)
    reasons = {name: found.read(name).reason for name in found.names}
    assert reasons == {
        "circle": "unreadable", "file": "link", "folder": "missing", "gone": "unreadable", "inside": None,
        "itself": "link",
    }  # fmt: skip
    assert found.read("inside").source == CODE


def test_what_is_no_ordinary_file_is_not_waited_for(handed_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fifo", "socket", "folder"):
        (handed_in / name).mkdir()
    os.mkfifo(handed_in / "fifo" / "ppo.py")
    (handed_in / "folder" / "ppo.py").mkdir()
    monkeypatch.chdir(handed_in / "socket")  # a socket's path may not be long
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("ppo.py")
        found = Submissions(handed_in, PPO)
        assert {n: found.read(n).reason for n in found.names} == {
            "fifo": "not_a_file", "folder": "missing", "socket": "unreadable",
        }  # fmt: skip


def test_a_submission_of_countless_files_is_not_walked_through(
    handed_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_ENTRIES", 20)
    for n in range(30):
        put(handed_in / "anna" / f"{n}.txt", "")
    assert Submissions(handed_in, PPO).read("anna").reason == "too_many_files"


def test_a_folder_that_cannot_be_read_is_told(handed_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(handed_in / "anna" / "ppo.py")
    found = Submissions(handed_in, PPO)

    def refuse(_path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(search.os, "scandir", refuse)  # root may read anything
    submission = found.read("anna")
    assert (submission.reason, submission.problem) == ("unreadable", "the folder cannot be read: Permission denied")


def test_any_name_that_a_folder_may_have_is_a_learners(handed_in: Path) -> None:
    names = ["--help", "=cmd", "two words", "line\nbreak", "\x1b[31mred", "李明", "é" * 100]
    for name in names:
        put(handed_in / name / "ppo.py")
    put(handed_in / os.fsdecode(b"caf\xe9") / "ppo.py")
    found = Submissions(handed_in, PPO)
    assert len(found.names) == len(names) + 1
    assert all(found.read(name).source == CODE for name in found.names)
    assert all(name.isprintable() and name.encode() for name in found.names)
    assert "caf\\xe9" in found.names


def test_what_was_skipped_beside_an_attempt_is_noted(handed_in: Path) -> None:
    deep = "/".join("abcdefghijklmno")
    for file in ("mine.py", "ppo.py/notes.txt", f"{deep}/ppo.py", ".git/ppo.py", "data.zip"):
        put(handed_in / "anna" / file)
    put(handed_in / "bob" / "ppo.py" / "ppo.py")
    put(handed_in / "carl" / f"{'/'.join('abcdefghijkl')}/ppo.py")  # as deep as is looked
    found = Submissions(handed_in, PPO)
    assert (found.read("anna").source, found.read("anna").notes) == (
        CODE,
        (
            "ppo.py is a folder: hand in the file ppo.py itself",
            "folders more than 12 deep were not looked into (a/b/c/d/e/f/g/h/i/j/k/l/m): put ppo.py further up",
        ),
    )
    for name in ("bob", "carl"):
        assert (found.read(name).source, found.read(name).notes) == (CODE, ())


def test_files_beside_the_folders_belong_to_nobody(handed_in: Path) -> None:
    put(handed_in / "anna" / "ppo.py")
    put(handed_in / "stray.py")
    put(handed_in / ".DS_Store")
    found = Submissions(handed_in, PPO)
    assert (found.names, found.beside) == (["anna"], ["stray.py"])


def test_a_folder_without_submissions_says_what_is_wanted(handed_in: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"holds no submissions\. Each learner's file goes into a folder"):
        Submissions(handed_in, PPO)
    put(handed_in / "ppo.py")
    with pytest.raises(UsageProblem, match="The 1 files in it belong to nobody"):
        Submissions(handed_in, PPO)
    with pytest.raises(UsageProblem, match="does not exist"):
        Submissions(tmp_path / "nowhere", PPO)
    with pytest.raises(UsageProblem, match="is not a folder"):
        Submissions(put(tmp_path / "file"), PPO)
