from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from groundup.core.registry import Registry
from groundup.core.technique import Day, Hole, Roadmap, Source, Technique, say

SOURCE = Source(title="A toy", url="https://example.org")


def technique(**fields: Any) -> Technique:
    given = {
        "id": "toys/a-toy",
        "title": "A toy",
        "summary": "It does nothing.",
        "package": "groundup.plugins.toys.a_toy",
        "implements": "toy",
        "holes": (Hole(hints=("?",)),),
        "sources": (SOURCE,),
    }
    return Technique.model_validate(given | fields)


def test_a_technique_is_named_by_its_id() -> None:
    toy = technique()
    assert (toy.track, toy.name, toy.file) == ("toys", "a-toy", "toys/a_toy.py")


@pytest.mark.parametrize(
    "identity", ["toy", "Toys/a", "toys/A", "toys/a_b", "toys/a/b", "toys/1a", "/a", "toys/", "../a"]
)
def test_an_id_is_track_and_name_in_lower_case_kebab(identity: str) -> None:
    with pytest.raises(ValidationError, match="id"):
        technique(id=identity)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"holes": ()}, "holes"),
        ({"holes": ({"hints": ()},)}, "hints"),
        ({"sources": ()}, "sources"),
        ({"sources": ({"title": "A toy", "url": "example.org"},)}, "url"),
        ({"version": 0}, "version"),
        ({"call_seconds": 0}, "call_seconds"),
        ({"call_seconds": 61}, "call_seconds"),
        ({"requires": ("a",)}, "requires"),
        ({"title": {"zh": "玩具"}}, "a text needs its English"),
        ({"title": {"en": " "}}, "a text needs its English"),
        ({"implement": "toy"}, "Extra inputs are not permitted"),
        ({"level": 0}, "level"),
        ({"minutes": 0}, "minutes"),
        ({"given": ("a policy",)}, "given"),
        ({"changes": ({"version": 1, "text": "New."},)}, "changes"),
    ],
)
def test_a_manifest_that_says_too_little_or_too_much_is_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        technique(**fields)


def test_a_manifest_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        technique().version = 2


def test_a_text_is_said_in_its_language_or_in_english() -> None:
    assert technique(title="A toy").title == {"en": "A toy"}
    text = technique(title={"en": "A toy", "zh": "玩具"}).title
    assert (say(text), say(text, "zh"), say(text, "fr")) == ("A toy", "玩具", "A toy")
    assert say({"en": "A toy", "zh": ""}, "zh") == "A toy"


def test_the_files_of_a_built_in_technique_lie_in_the_four_folders() -> None:
    files = Registry().technique("gae").files
    root = Path(__file__).parents[2]
    assert files.properties == root / "plugins/rl/gae/properties.py"
    assert files.misconceptions == root / "plugins/rl/gae/misconceptions.toml"
    assert files.solution == root / "solutions/rl/gae.py"
    assert files.exercise == root / "exercises/rl/gae.py"
    assert files.quiz == root / "quizzes/rl/gae.yaml"
    assert (files.properties_module, files.solution_module) == (
        "groundup.plugins.rl.gae.properties",
        "groundup.solutions.rl.gae",
    )


def test_the_files_of_any_other_lie_beside_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a_package_of_its_own"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "lesson.zh.md").touch()
    monkeypatch.syspath_prepend(tmp_path)
    files = technique(package="a_package_of_its_own").files
    assert files.solution == folder / "solution.py"
    assert files.exercise == folder / "exercise.py"
    assert files.quiz == folder / "quiz.yaml"
    assert (files.properties_module, files.solution_module) == (
        "a_package_of_its_own.properties",
        "a_package_of_its_own.solution",
    )
    assert (files.lesson("zh"), files.lesson("fr")) == (folder / "lesson.zh.md", folder / "lesson.md")


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_package_of_that_name"):
        _ = technique(package="no_package_of_that_name").files


def test_the_days_of_a_roadmap_count_from_one() -> None:
    days = (Day(number=1, title="One"), Day(number=3, title="Three"))
    with pytest.raises(ValidationError, match="must count 1, 2, 3"):
        Roadmap(id="days", title="Days", days=days)
    with pytest.raises(ValidationError, match="days"):
        Roadmap(id="days", title="Days", days=())
    assert days[1].name == "day-3"


def test_a_day_may_have_elective_techniques_and_quizzes_of_its_own() -> None:
    day = Day(number=6, title="Six", techniques=("a/b", "a/c"), elective=("a/c",), quiz="b")
    assert (day.elective, day.quiz) == (("a/c",), "b")
    assert Day(number=6, title="Six", quiz=("b", "c")).quiz == ("b", "c")
    with pytest.raises(ValidationError, match="'a/d' is elective, but not among the techniques of day-6"):
        Day(number=6, title="Six", techniques=("a/b",), elective=("a/d",))


def test_declaring_needs_no_torch() -> None:
    code = "import sys, groundup.core.technique, groundup.core.hookspecs; print('torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"
