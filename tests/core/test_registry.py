from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import groundup.plugins
from groundup.core.errors import PluginProblem, UnknownName, UsageProblem
from groundup.core.hookspecs import hookimpl
from groundup.core.registry import Registry
from groundup.core.technique import CONTRACT, Day, Hole, Roadmap, Source, Technique


def technique(identity: str, **fields: Any) -> Technique:
    given = {
        "id": identity,
        "title": "A toy",
        "summary": "It does nothing.",
        "package": "groundup.core",
        "implements": "toy",
        "holes": (Hole(hints=("?",)),),
        "sources": (Source(title="A toy", url="https://example.org"),),
    }
    return Technique.model_validate(given | fields)


def plugin(**hooks: Any) -> Callable[[], types.SimpleNamespace]:
    """Return the loader of a plugin whose hooks return these values."""

    def hook(value: Any) -> Any:
        def implementation() -> Any:
            if isinstance(value, Exception):
                raise value
            return value

        return hookimpl(implementation)

    return lambda: types.SimpleNamespace(**{name: hook(value) for name, value in hooks.items()})


def registry(**plugins: Callable[[], Any]) -> Registry:
    return Registry(list(plugins.items()))


DAYS = (Day(number=1, title="One", techniques=("toys/a", "toys/later")), Day(number=2, title="Two"))
ROADMAP = Roadmap(id="days", title="Days", days=DAYS)


# What is found


def test_every_folder_of_the_built_in_plugins_is_a_plugin_that_works() -> None:
    found = Registry()
    assert found.problems == []
    root = Path(groundup.plugins.__path__[0])
    folders = {p.parent for p in root.glob("*/*/__init__.py")}
    assert {t.files.folder for t in found.techniques.values() if t.package.startswith("groundup.plugins.")} == folders
    assert "fourteen-days" in found.roadmaps


def test_a_technique_is_filed_where_its_id_says() -> None:
    for built_in in Registry().techniques.values():
        if built_in.package.startswith("groundup.plugins."):
            assert built_in.package == f"groundup.plugins.{built_in.id}".replace("/", ".").replace("-", "_")


def test_looking_for_plugins_imports_no_torch() -> None:
    code = "import sys; from groundup.core.registry import *; print(len(Registry().techniques), 'torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, torch = ended.stdout.split()
    assert int(count) >= 2
    assert torch == "False"


def test_what_plugins_declare_is_found_by_id() -> None:
    a, b = technique("toys/a"), technique("toys/b")
    found = registry(one=plugin(techniques=[a], roadmaps=[ROADMAP]), two=plugin(techniques=iter([b])))
    assert found.techniques == {"toys/a": a, "toys/b": b}
    assert found.roadmaps == {"days": ROADMAP}
    assert found.problems == []


def test_a_function_that_is_not_marked_is_no_hook() -> None:
    def unmarked() -> list[Technique]:
        raise AssertionError("called")

    assert registry(one=lambda: types.SimpleNamespace(techniques=unmarked)).techniques == {}


# Broken plugins


def not_importable() -> Any:
    raise ImportError("no module named 'absent'")


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (not_importable, "Plugin 'broken' cannot be imported: ImportError: no module named 'absent'"),
        (plugin(techniques=OSError("no disk")), "Plugin 'broken' is broken: no disk"),
        (plugin(techniques=["toys/a"]), "techniques() returned 'toys/a', which is no Technique"),
        (plugin(roadmaps=[technique("toys/b")]), "which is no Roadmap"),
        (plugin(techniqus=[]), "techniqus"),
        (plugin(techniques=None), "'NoneType' object is not iterable"),
        (
            plugin(techniques=[technique("toys/b"), technique("toys/a")]),
            "toys/a is already declared by groundup.core",
        ),
        (plugin(techniques=[technique("toys/b")], roadmaps=[ROADMAP]), "roadmap days is already declared"),
        (
            plugin(techniques=[technique("toys/b", contract=CONTRACT + 1)]),
            f"toys/b is written for plugin contract {CONTRACT + 1}, this Groundup speaks {CONTRACT}: update Groundup",
        ),
        (plugin(techniques=[technique("toys/b", package="absent")]), "no package 'absent'"),
    ],
    ids=["import", "raises", "technique", "roadmap", "misspelt", "nothing", "taken", "taken day", "newer", "package"],
)
def test_a_broken_plugin_is_set_aside_whole_and_the_others_work(broken: Callable[[], Any], says: str) -> None:
    sound = plugin(techniques=[technique("toys/a")], roadmaps=[ROADMAP])
    last = plugin(techniques=[technique("toys/c")])
    found = registry(first=sound, broken=broken, last=last)
    assert set(found.techniques) == {"toys/a", "toys/c"}
    assert [name for name, _ in found.manager.list_name_plugin()] == ["first", "last"]
    (problem,) = found.problems
    assert isinstance(problem, PluginProblem)
    assert "Plugin 'broken'" in str(problem)
    assert says in str(problem)


def test_a_plugin_that_declares_one_id_twice_is_broken() -> None:
    found = registry(one=plugin(techniques=[technique("toys/a"), technique("toys/a")]))
    assert found.techniques == {}
    assert str(found.problems[0]) == "Plugin 'one' is broken: toys/a is declared twice"


# Looking up


def test_a_technique_goes_by_its_id_and_by_its_short_name() -> None:
    a = technique("toys/a")
    found = registry(one=plugin(techniques=[a, technique("toys/b")]))
    assert found.technique("toys/a") is found.technique("a") is a


def test_a_short_name_of_several_techniques_is_refused_with_their_ids() -> None:
    found = registry(one=plugin(techniques=[technique("toys/a"), technique("games/a")]))
    with pytest.raises(UsageProblem, match=r"^'a' names several techniques: say toys/a or games/a\.$"):
        found.technique("a")


@pytest.mark.parametrize("name", ["later", "toys/later"])
def test_a_technique_that_is_not_written_yet_is_told_as_such(name: str) -> None:
    with pytest.raises(UsageProblem, match=rf"^Technique '{name}' \(day-1 of days\) is not written yet"):
        registry(one=plugin(roadmaps=[ROADMAP])).technique(name)


def test_an_unknown_technique_gets_a_did_you_mean() -> None:
    found = registry(one=plugin(techniques=[technique("toys/scale")]))
    with pytest.raises(UnknownName, match="Did you mean 'toys/scale'"):
        found.technique("scael")


def test_an_unknown_roadmap_gets_a_did_you_mean() -> None:
    with pytest.raises(UnknownName, match=r"No roadmap 'dayz'\. Did you mean 'days'"):
        registry(one=plugin(roadmaps=[ROADMAP])).roadmap("dayz")


def test_a_day_goes_by_its_number() -> None:
    assert registry(one=plugin(roadmaps=[ROADMAP])).day("day-2", "days") is ROADMAP.days[1]


@pytest.mark.parametrize("name", ["day-0", "day-3", "day-02", "day-1 "])
def test_a_day_out_of_range_is_told_the_range(name: str) -> None:
    with pytest.raises(UsageProblem, match=rf"^Roadmap 'days' has 2 days, day-1 to day-2; no '{name}'\.$"):
        registry(one=plugin(roadmaps=[ROADMAP])).day(name, "days")


# Prerequisites


def test_what_is_required_comes_first_and_once() -> None:
    a = technique("toys/a")
    b, c = technique("toys/b", requires=("toys/a",)), technique("toys/c", requires=("toys/a",))
    d = technique("toys/d", requires=("toys/c", "toys/b", "toys/later"))
    found = registry(one=plugin(techniques=[d, c, b, a]))
    assert found.with_prerequisites([d, a]) == [a, c, b, d]
    assert found.with_prerequisites([b, c]) == [a, b, c]
    assert found.with_prerequisites([]) == []


def test_techniques_that_require_each_other_are_refused_with_the_circle() -> None:
    a, b = technique("toys/a", requires=("toys/b",)), technique("toys/b", requires=("toys/a",))
    with pytest.raises(PluginProblem, match="in a circle: toys/a -> toys/b -> toys/a"):
        registry(one=plugin(techniques=[a, b])).with_prerequisites([a])
