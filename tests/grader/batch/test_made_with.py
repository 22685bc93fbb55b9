from __future__ import annotations

from pathlib import Path

import pytest

from groundup.grader.batch.made_with import differences, judged_by

CODE = {
    "grader/judging/judge.py": "the judge's code",
    "grader/judging/judge.ini": "the judge's code",
    "grader/process/worker/main.py": "the judge's code",
    "core/testing/tolerances.py": "the code that properties are written with (core/testing)",
    "core/interfaces/rl.py": "the shared code (core)",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in CODE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    return tmp_path


@pytest.mark.parametrize(("file", "part"), CODE.items())
def test_a_change_of_what_judges_is_noticed_and_named(root: Path, file: str, part: str) -> None:
    before = judged_by(root)
    assert judged_by(root) == before
    (root / file).write_text("22")
    assert differences(before, judged_by(root)) == [part]


def test_a_file_that_is_new_or_has_another_name_is_a_change(root: Path) -> None:
    before = judged_by(root)
    (root / "core" / "interfaces" / "rl.py").rename(root / "core" / "interfaces" / "lr.py")
    assert differences(before, judged_by(root)) == ["the shared code (core)"]


def test_what_python_leaves_beside_the_code_is_no_change(root: Path) -> None:
    before = judged_by(root)
    (root / "core" / "__pycache__").mkdir()
    (root / "core" / "__pycache__" / "rl.cpython-312.pyc").write_bytes(b"1")
    assert judged_by(root) == before


def test_versions_are_named_with_what_they_were() -> None:
    assert differences({"torch": "2.6", "Python": "3.12.1"}, {"torch": "2.7", "Python": "3.12.1", "triton": "3"}) == [
        "torch 2.6 → 2.7", "triton – → 3",
    ]  # fmt: skip
