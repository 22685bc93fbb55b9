from __future__ import annotations

from typing import Any

from groundup.grader.authoring.soundness.manifest import check


def test_a_complete_manifest_is_clean(toy: Any) -> None:
    assert check(toy.technique, toy.registry) == ("2 holes, 1 sources", [])


def test_a_hole_without_hints_is_found(toy: Any) -> None:
    toy.spoil("__init__.py", '        Hole(hints=({"en": "x / 2", "zh": "x / 2"},)),\n', "")
    (told,) = check(toy.technique, toy.registry)[1]
    assert f"{toy.folder}/solution.py marks 2 holes, the manifest has hints for 1" in told
    assert told.endswith(toy.at("__init__.py", "holes="))


def test_a_source_that_does_not_say_where_is_found(toy: Any) -> None:
    at = toy.spoil("__init__.py", ', where="page 2"', "")
    (told,) = check(toy.technique, toy.registry)[1]
    assert told.startswith(f"{at}: the source 'A toy' does not say where: add 'where'")


def test_a_missing_headline_is_found(toy: Any) -> None:
    toy.spoil("__init__.py", '    headline={"en": "Half of everything.", "zh": "一切的一半。"},\n', "")
    (told,) = check(toy.technique, toy.registry)[1]
    assert told.startswith(f"{toy.at('__init__.py', 'summary=')}: no headline")


def test_a_requirement_that_is_nowhere_is_found(toy: Any) -> None:
    toy.spoil("__init__.py", '    implements="half",', '    implements="half",\n    requires=("toys/quarter",),')
    (told,) = check(toy.technique, toy.registry)[1]
    assert told.startswith(
        f"{toy.at('__init__.py', 'toys/quarter')}: it requires 'toys/quarter', which is no technique"
    )
