from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groundup.core.technique import Technique
from groundup.grader.authoring import proof as proof_module
from groundup.grader.authoring.proof import Proved, kind_of, owed, state, write_proof
from groundup.grader.judging.proof import argued, found_by, shares_of, shows_from

PROPERTIES = """
from groundup.core.testing import tensors

@given(x=X)
def test_finds_few(impl, x): impl(x, ONES)

@given(x=X)
def test_finds_many(impl, x): impl(x, ONES)

@given(x=X)
def test_finds_none(impl, x): impl(x, ONES)
"""
SHARES = {f"mistake-number-{n}": {"finds_many": 0.004} for n in range(30)} | {
    "odd": {"finds_few": 1.0, "finds_many": 0.996, "leaves_its_inputs_alone": 0.5}
}
MINE = "[shows_from]\nodd = 2\n\n[argued.finds_few]\nodd = 'It is.'\n\n[owed]\nlab-full = 'no foil yet'\n"
FOUND = Proved(SHARES, range(3), 25, {"mutants": 40, "mutants_tried": 24, "equivalent": 1})


@pytest.fixture
def technique(author: Any) -> Technique:
    made: Technique = author.technique(PROPERTIES)
    return made


@pytest.mark.parametrize(
    "before", ["", "# Mine.\n\n" + MINE, "[matrix]\nold = ['gone']\n\n" + MINE, "[proved]\ncore = 'x'\n"]
)
def test_what_was_found_is_written_beside_what_the_author_says(technique: Technique, before: str) -> None:
    path = technique.files.folder / "proof.toml"
    path.write_text(before)
    texts = []
    for _ in range(2):
        assert write_proof(technique, FOUND) == path
        texts.append(path.read_text())
        assert tomllib.loads(texts[-1])["proved"]["mutants_tried"] == 24
        shares = shares_of(technique)
        assert list(shares) == list(SHARES)
        assert shares["odd"] == {"finds_few": 1.0, "finds_many": 0.99, "leaves_its_inputs_alone": 0.5}
        assert shares["mistake-number-7"] == {"finds_many": 0.01}  # rounded, but never to nothing
        assert found_by(technique) == {"finds_many": 31, "finds_few": 1, "leaves_its_inputs_alone": 1}
        assert shows_from(technique) == ({"odd": 2} if MINE in before else {})
        assert argued(technique) == ({"finds_few": {"odd": "It is."}} if MINE in before else {})
        assert owed(technique) == ({"lab-full": "no foil yet"} if MINE in before else {})
        assert max(map(len, texts[-1].splitlines())) <= 120
        assert "gone" not in texts[-1]
    assert texts[0] == texts[1]
    assert state(technique).is_proved


def test_each_changed_file_is_of_a_kind(technique: Technique) -> None:
    write_proof(technique, FOUND)
    folder = technique.files.folder
    for name, kind in {
        "lesson.md": "lesson", "properties.py": "properties", "solution.py": "solution", "quiz_answers.py": "quiz",
        "technique.zh.toml": "manifest", "right/loops.py": "right", "helpers.py": "properties",
        "examples.toml": "examples",
    }.items():  # fmt: skip
        path = folder / name
        before = path.read_text() if path.exists() else None
        path.parent.mkdir(exist_ok=True)
        path.write_text((before or "") + "\n# changed\n")
        assert (state(technique).changed_files, state(technique).changed) == ([name], {kind})
        assert kind_of(name) == kind
        path.write_text(before) if before is not None else path.unlink()
        assert state(technique).is_proved
    proof = folder / "proof.toml"
    proof.write_text(proof.read_text() + "\n[argued.finds_few]\nodd = 'New.'\n")
    assert state(technique).changed == {"argued"}


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the folder that the digest of the shared code is made of."""
    (tmp_path / "testing").mkdir()
    for name in ("tensors.py", "registry.py", "testing/__init__.py", "testing/strategies.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "testing/__init__.py").write_text("from groundup.core.testing.strategies import tensors\n")
    (tmp_path / "testing/strategies.py").write_text("from groundup.core import tensors\n")
    monkeypatch.setattr(proof_module, "CORE", tmp_path)
    proof_module._imported.cache_clear()
    yield tmp_path
    proof_module._imported.cache_clear()


def test_the_shared_code_that_is_used_counts_and_no_other(technique: Technique, core: Path) -> None:
    write_proof(technique, FOUND)
    (core / "registry.py").write_text("# not imported by it\n")
    assert state(technique).is_proved
    (core / "tensors.py").write_text("# imported by what it imports\n")
    assert state(technique).changed == {"core"}
    assert state(technique).changed_files == []


@pytest.mark.parametrize("text", [b"def test_(:\n", b"\xff\xfe\n", b"\0\n"], ids=["syntax", "encoding", "null"])
def test_a_file_that_is_no_python_has_a_digest_all_the_same(technique: Technique, text: bytes) -> None:
    write_proof(technique, FOUND)
    (technique.files.folder / "properties.py").write_bytes(text)
    assert state(technique).changed_files == ["properties.py"]


def test_a_thorough_proof_is_of_what_decides_verdicts(technique: Technique) -> None:
    write_proof(technique, FOUND)
    assert not state(technique).is_proved_thoroughly
    write_proof(technique, Proved(SHARES, range(3), 25, None, thorough=True))
    assert state(technique).is_proved_thoroughly
    assert tomllib.loads((technique.files.folder / "proof.toml").read_text())["proved"]["mutants"] == 40  # kept
    (technique.files.folder / "lesson.md").write_text("# Another\n")
    assert state(technique).is_proved_thoroughly
    (technique.files.folder / "misconceptions.toml").write_text("")
    assert not state(technique).is_proved_thoroughly


def test_what_only_a_lab_imports_does_not_undo_a_thorough_proof(technique: Technique, core: Path) -> None:
    (technique.files.folder / "lab.py").write_text("from groundup.core import registry\n")
    write_proof(technique, Proved(SHARES, range(3), 25, None, thorough=True))
    (core / "registry.py").write_text("# changed\n")
    assert state(technique).changed == {"core"}
    assert state(technique).is_proved_thoroughly
    (core / "tensors.py").write_text("# imported by what the properties import\n")
    assert not state(technique).is_proved_thoroughly
