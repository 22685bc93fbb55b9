"""The roadmap exists in English and Chinese. For techniques, the rule 'languages' checks this."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from groundup.core.registry import Registry
from groundup.grader.authoring.soundness.languages import CHINESE, LANGUAGES, texts

REGISTRY = Registry()


@pytest.mark.parametrize("roadmap", REGISTRY.roadmaps.values(), ids=lambda roadmap: roadmap.id)
def test_the_roadmap_is_in_both_languages(roadmap: BaseModel) -> None:
    found = list(texts(roadmap))
    assert len(found) == 15
    for where, text in found:
        assert set(text) == set(LANGUAGES), where
        assert not CHINESE.search(text["en"]), where
        assert CHINESE.search(text["zh"]), where


def test_every_folder_with_a_lesson_is_a_technique() -> None:
    folders = {p.parent for p in Path(__file__).parents[2].joinpath("plugins").rglob("lesson.md")}
    assert folders == {t.files.folder for t in REGISTRY.techniques.values() if "plugins" in t.package}
