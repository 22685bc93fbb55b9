from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from groundup.grader.authoring.glossary import Term, glossary, other_terms

TERMS = (
    Term(term="clip(s|ped)?", zh="裁剪", **{"not": ("截断",)}),
    Term(term="truncat(ed|ion)", zh="截断", **{"not": ("裁剪",)}),
    Term(term="critics?", zh="Critic", **{"not": ("评论家", "critic")}),
)


@pytest.mark.parametrize(
    ("english", "chinese", "found"),
    [
        ("The ratio is clipped.", "比率被裁剪。", []),
        ("The ratio is clipped.", "比率被截断。", ["截断"]),
        ("The loss is clipped, the episode truncated.", "损失被裁剪，回合被截断。", []),
        ("The episode is over.", "回合被截断。", []),  # the English has no such term
        ("The Critic is off.", "评论家不准。", ["评论家"]),
        ("The critic is off.", "critic 不准。", ["critic"]),
        ("The critic is off.", "`critic` 与 {critic}、critic_loss 和 Critic 不准。", []),
    ],
)
def test_a_variant_of_a_term_that_the_english_uses_is_found(english: str, chinese: str, found: list[str]) -> None:
    assert [variant for _, variant in other_terms(english, chinese, TERMS)] == found


def test_no_term_of_ours_forbids_its_own_translation_or_a_part_of_it() -> None:
    assert len(glossary()) > 40
    for term in glossary():
        assert [variant for variant in term.variants if variant in term.zh] == [], term.zh


def test_without_the_documentation_there_is_no_glossary(tmp_path: Path) -> None:
    assert glossary(tmp_path / "glossary.toml") == ()


def test_an_entry_that_lacks_something_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "glossary.toml"
    path.write_text('[[term]]\nterm = "clip"\nnot = []\n')
    with pytest.raises(ValidationError, match="zh"):
        glossary(path)
