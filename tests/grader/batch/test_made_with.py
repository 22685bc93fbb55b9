from __future__ import annotations

from pathlib import Path

import pytest

from groundup.core.registry import Registry
from groundup.core.technique import Hole, Source, Technique
from groundup.grader.batch.made_with import differences, judged_by, technique_files

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


# A technique's files


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Technique:
    """A technique of a package of its own; its solution imports ``common``, which imports ``deeper.numbers``."""
    folder = tmp_path / "toy_pack"
    texts = {
        "__init__.py": "", "technique.toml": "", "properties.py": "from .common import ONE\n", "unused.py": "",
        "solution.py": "import toy_pack.common\nfrom groundup.core.tensors import same\n",
        "common.py": "from toy_pack.deeper import numbers\n", "deeper/__init__.py": "", "deeper/numbers.py": "",
    }  # fmt: skip
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return Technique(
        id="toys/mean", title="t", summary="s", package="toy_pack", implements="mean", holes=(Hole(hints=("h",)),),
        sources=(Source(title="t", url="https://example.org"),),
    )  # fmt: skip


@pytest.mark.parametrize("file", ["common.py", "deeper/__init__.py", "deeper/numbers.py"])
def test_a_change_of_a_module_that_is_imported_is_noticed(toy: Technique, file: str) -> None:
    before = technique_files(toy)
    (toy.files.folder / file).write_text("TWO = 2\n" + (toy.files.folder / file).read_text())
    assert differences(before, technique_files(toy)) == ["a module that the solution or the properties import"]


def test_a_module_that_is_not_imported_is_no_part(toy: Technique) -> None:
    before = technique_files(toy)
    (toy.files.folder / "unused.py").write_text("2")
    assert technique_files(toy) == before


def test_a_built_in_has_its_helpers_and_not_the_shared_code() -> None:
    registry = Registry()
    assert "helpers" in technique_files(registry.technique("mdp"))
    assert "helpers" not in technique_files(registry.technique("gae"))
