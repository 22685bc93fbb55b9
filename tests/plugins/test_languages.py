"""Built-in texts exist in English and Chinese. For techniques, the rule 'languages' checks this."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.authoring.soundness.languages import CHINESE, LANGUAGES, check, kinds, texts
from groundup.grader.judging.edits import load_edits
from groundup.grader.learner.quiz import read_quiz

REGISTRY = Registry()
TECHNIQUES = [t for t in REGISTRY.techniques.values() if t.package.startswith("groundup.plugins.")]

each = pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.id)


@each
def test_a_technique_says_the_same_in_both_languages(technique: Technique) -> None:
    assert check(technique, REGISTRY) == ("English and Chinese", [])


@each
def test_the_rule_finds_the_texts_that_there_are(technique: Technique) -> None:
    assert len(list(texts(technique))) >= 3 + 2 * len(technique.holes)
    assert len(list(texts(read_quiz(technique, kinds(REGISTRY)).questions))) >= 20
    assert load_edits(technique)


@pytest.mark.parametrize("roadmap", REGISTRY.roadmaps.values(), ids=lambda roadmap: roadmap.id)
def test_the_roadmap_is_in_both_languages(roadmap: BaseModel) -> None:
    found = list(texts(roadmap))
    assert len(found) == 15
    for where, text in found:
        assert set(text) == set(LANGUAGES), where
        assert not CHINESE.search(text["en"]), where
        assert CHINESE.search(text["zh"]), where


def test_this_looks_at_every_technique() -> None:
    folders = {p.parent for p in Path(__file__).parents[2].joinpath("plugins").rglob("lesson.md")}
    assert folders == {t.files.folder for t in TECHNIQUES}
