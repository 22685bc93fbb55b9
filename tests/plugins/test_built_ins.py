"""Every built-in technique is proved by ``learn author check``, like anyone else's. Its proof still holds."""

from __future__ import annotations

import pytest

from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.authoring.check import Check
from groundup.grader.authoring.proof import owed
from groundup.grader.judging.judge import Judge

REGISTRY = Registry()
TECHNIQUES = [t for t in REGISTRY.techniques.values() if t.package.startswith("groundup.plugins.")]

each = pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.id)


@each
def test_its_proof_holds(judge: Judge, technique: Technique) -> None:
    finding = Check(judge, technique, registry=REGISTRY).proof()
    assert finding.problems == ()
    print(f"{technique.id}: {finding.detail}")


@each
def test_nothing_is_owed(technique: Technique) -> None:
    assert owed(technique) == {}
