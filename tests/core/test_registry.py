from __future__ import annotations

import importlib
import itertools
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import groundup.plugins
from groundup.core.errors import PluginProblem, UnknownName, UsageProblem
from groundup.core.hookspecs import hookimpl
from groundup.core.registry import Registry
from groundup.core.reloading import refresh
from groundup.core.technique import CONTRACT, Day, Hole, Roadmap, Source, Technique, say

numbers = itertools.count()


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
            if isinstance(value, BaseException):
                raise value
            return value

        return hookimpl(implementation)

    return lambda: types.SimpleNamespace(**{name: hook(value) for name, value in hooks.items()})


def registry(**plugins: Callable[[], Any]) -> Registry:
    return Registry(list(plugins.items()))


DAYS = (Day(number=1, title="One", techniques=("toys/a", "toys/later")), Day(number=2, title="Two"))
ROADMAP = Roadmap(id="days", title="Days", days=DAYS)


# Discovery


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


def leaves_at_once() -> Any:
    raise SystemExit(1)


def wrong_arguments() -> Any:
    @hookimpl
    def brief_sections(verdictz: Any) -> dict[str, str]:
        return {}

    return types.SimpleNamespace(brief_sections=brief_sections)


def wraps_others() -> Any:
    @hookimpl(wrapper=True)
    def techniques() -> Any:
        return (yield)

    return types.SimpleNamespace(techniques=techniques)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (not_importable, "Plugin 'broken' cannot be imported: ImportError: no module named 'absent'"),
        (plugin(techniques=OSError("no disk")), "Plugin 'broken' is broken: OSError: no disk"),
        (plugin(techniques=SystemExit(3)), "Plugin 'broken' is broken: SystemExit: 3"),
        (leaves_at_once, "Plugin 'broken' cannot be imported: SystemExit: 1"),
        (plugin(techniques=["toys/a"]), "techniques() returned 'toys/a', which is no Technique"),
        (plugin(roadmaps=[technique("toys/b")]), "which is no Roadmap"),
        (
            plugin(techniqus=[]),
            "there is no hook 'techniqus'. Did you mean 'techniques'? The hooks are techniques, roadmaps, "
            "question_types, brief_sections, verdict_given, commands.",
        ),
        (wrong_arguments, "{'verdictz'}"),
        (wraps_others, "techniques() is a hook wrapper: a plugin answers for itself alone"),
        (plugin(techniques=None), "techniques() returned None, which is no list of Techniques"),
        (plugin(roadmaps="days"), "roadmaps() returned 'days', which is no list of Roadmaps"),
        (
            plugin(techniques=[technique("toys/b"), technique("toys/a")]),
            "toys/a is already declared by groundup.core",
        ),
        (plugin(techniques=[technique("toys/b")], roadmaps=[ROADMAP]), "roadmap days is already declared"),
        (
            lambda: technique("toys/b", contract=CONTRACT + 1, field_to_come=3),
            f"toys/b is written for plugin contract {CONTRACT + 1}, this Groundup speaks {CONTRACT}: update Groundup",
        ),
        (
            lambda: technique("toys/b", imports=("groundup",)),
            "'imports' names 'groundup', and with it an attempt could import the solution",
        ),
        (lambda: technique("toys/b", titel="A toy"), "Technique.titel: Extra inputs are not permitted"),
        (lambda: technique("toys/b", imports=("a.b",)), "Technique.imports.0: String should match pattern"),
        (plugin(techniques=[technique("toys/b", package="absent")]), "no package 'absent'"),
    ],
    ids=[
        "import",
        "raises",
        "exits",
        "exits at import",
        "technique",
        "roadmap",
        "misspelt",
        "arguments",
        "wrapper",
        "nothing",
        "text",
        "taken",
        "taken day",
        "newer",
        "out of reach",
        "field",
        "import",
        "package",
    ],
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


def test_two_plugins_of_one_name_leave_the_first_at_work() -> None:
    first, second = (plugin(techniques=[technique(f"toys/{name}")]) for name in "ab")
    found = Registry([("toys", first), ("toys", second)])
    assert list(found.techniques) == ["toys/a"]
    assert list(map(str, found.problems)) == [
        "Plugin 'toys' is left out: another one has that name. Give its entry point a name of its own."
    ]
    assert [name for name, _ in found.manager.list_name_plugin()] == ["toys"]


def test_a_module_under_two_names_counts_once() -> None:
    module = plugin(techniques=[technique("toys/a")])()
    found = registry(one=lambda: module, two=lambda: module)
    assert list(found.techniques) == ["toys/a"]
    assert list(map(str, found.problems)) == ["Plugin 'two' is left out: it is the same module as plugin 'one'."]


def test_a_hook_may_be_implemented_under_another_name() -> None:
    @hookimpl(specname="techniques")
    def mine() -> list[Technique]:
        return [technique("toys/a")]

    assert list(registry(one=lambda: types.SimpleNamespace(mine=mine)).techniques) == ["toys/a"]


# Calling hooks


class Observer:
    def __init__(self, answers: Any) -> None:
        self.answers = answers
        self.told: dict[str, Any] = {}

    @hookimpl
    def verdict_given(self, verdict: dict[str, Any]) -> Any:
        print("thinking aloud")
        self.told = dict(verdict)
        verdict.clear()
        if isinstance(self.answers, BaseException):
            raise self.answers
        return self.answers


def number(returned: Any) -> int:
    if not isinstance(returned, int):
        raise TypeError(f"it returned {returned!r}, which is no number")
    return returned


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (OSError("no network"), "OSError: no network"),
        (SystemExit(9), "SystemExit: 9"),
        ("three", "TypeError: it returned 'three', which is no number"),
    ],
)
def test_a_plugin_that_cannot_answer_is_named_and_the_others_are_heard(
    answer: Any, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plugins = {"zebra": Observer(1), "broken": Observer(answer), "ape": Observer(2)}
    found = Registry([(name, lambda each=each: each) for name, each in plugins.items()])  # type: ignore[misc]
    answers, problems = found.ask("verdict_given", number, verdict={"passed": True})
    assert answers == [("zebra", 1), ("ape", 2)]
    assert list(map(str, problems)) == [f"Plugin 'broken' failed in verdict_given(): {says}"]
    assert [each.told for each in plugins.values()] == [{"passed": True}] * 3  # each was given a copy of its own
    assert capsys.readouterr() == ("", "thinking aloud\n" * 3)


# Look-up


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


# Edits while the process runs


MANIFEST = """
from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Hole, Source, Technique

TITLE = "A toy"


@hookimpl
def techniques():
    return [
        Technique(
            id="toys/scale", title=TITLE, summary="It scales.", package=__name__, implements="scale",
            holes=(Hole(hints=("?",)),), sources=(Source(title="A toy", url="https://example.org"),),
        )
    ]
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Install a plugin (a package with an entry point) and return the path of its manifest."""
    monkeypatch.syspath_prepend(tmp_path)
    names = []

    def install(text: str) -> Path:
        name = f"toy_registry_{next(numbers)}"
        names.append(name)
        for folder in (name, f"{name}-1.dist-info"):
            (tmp_path / folder).mkdir()
        (tmp_path / f"{name}-1.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (tmp_path / f"{name}-1.dist-info" / "entry_points.txt").write_text(f"[groundup]\nthe-{name} = {name}\n")
        manifest = tmp_path / name / "__init__.py"
        manifest.write_text(text.replace("{package}", name))
        importlib.invalidate_caches()
        return manifest

    yield install
    for module in [m for m in sys.modules if m.partition(".")[0] in names]:
        del sys.modules[module]


def settled() -> Registry:
    """Return a registry that is newer than all of its files."""
    found = Registry()
    while (newer := found.current()) is not found:
        found = newer
    return found


def test_a_registry_stays_current_while_nothing_changes(installed: Callable[[str], Path]) -> None:
    installed(MANIFEST)
    found = settled()
    assert "toys/scale" in found.techniques
    assert found.current() is found


def test_an_edit_of_a_manifest_is_in_the_current_registry(installed: Callable[[str], Path]) -> None:
    manifest = installed(MANIFEST)
    found = settled()
    for title in ("A fine toy", "A toy"):
        manifest.write_text(MANIFEST.replace("A toy", title, 1))
        newer = found.current()
        assert newer is not found
        assert newer.technique("scale").title == {"en": title}
        assert newer.technique("gae") == found.technique("gae")
        assert newer.problems == []
        found = newer
    assert found.current() is found


def test_an_edit_of_what_a_manifest_imports_is_too(installed: Callable[[str], Path]) -> None:
    manifest = installed(MANIFEST.replace('TITLE = "A toy"', "from {package}.texts import TITLE"))
    (manifest.parent / "texts.py").write_text("TITLE = 'One'\n")
    found = settled()
    assert found.technique("scale").title == {"en": "One"}
    (manifest.parent / "texts.py").write_text("TITLE = 'Two'\n")
    assert found.current().technique("scale").title == {"en": "Two"}


def test_a_manifest_that_was_read_anew_for_another_reason_is_current_too(installed: Callable[[str], Path]) -> None:
    manifest = installed(MANIFEST)
    found = settled()
    manifest.write_text(MANIFEST.replace("A toy", "A fine toy", 1))
    refresh([manifest.parent.name])  # as a grading does
    assert found.current().technique("scale").title == {"en": "A fine toy"}


@pytest.mark.parametrize("broken", ["def (:\n", "import nowhere\n", "raise SystemExit(1)\n"])
def test_whoever_asks_for_a_technique_that_an_edit_broke_is_told_why(
    installed: Callable[[str], Path], broken: str
) -> None:
    manifest = installed(MANIFEST)
    other = settled()
    for _ in range(2):
        manifest.write_text(MANIFEST + broken)
        found = other.current()
        (problem,) = found.problems
        assert str(problem).startswith(f"Plugin 'the-{manifest.parent.name}' cannot be imported: ")
        for name in ("scale", "toys/scale"):
            with pytest.raises(PluginProblem) as told:
                found.technique(name)
            assert told.value is problem
        assert found.technique("gae")
        assert found.current().technique("gae") == found.technique("gae")
        manifest.write_text(MANIFEST)
        other = found.current()
        assert other.problems == []
        assert other.technique("scale").title == {"en": "A toy"}


def test_a_technique_that_an_edit_took_out_is_no_longer_there(installed: Callable[[str], Path]) -> None:
    manifest = installed(MANIFEST)
    found = settled()
    manifest.write_text(MANIFEST.replace("toys/scale", "toys/scales"))
    with pytest.raises(UnknownName, match="Did you mean 'toys/scales'"):
        found.current().technique("toys/scale")


def test_a_plugin_that_is_installed_later_is_in_the_current_registry(installed: Callable[[str], Path]) -> None:
    found = settled()
    installed(MANIFEST)
    assert "toys/scale" in found.current().techniques


def test_a_plugin_that_was_broken_from_the_start_is_tried_again_once_it_changed(
    installed: Callable[[str], Path],
) -> None:
    manifest = installed(MANIFEST + "import nowhere\n")
    found = settled()
    assert len(found.problems) == 1
    manifest.write_text(MANIFEST)
    assert found.current().technique("scale").id == "toys/scale"


# Manifests in TOML


MODULE = """
from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Technique


@hookimpl
def techniques():
    return [Technique.from_package(__name__)]
"""
IN_TOML = """
id = "toys/scale"
title = "A toy"
summary = "It scales."
implements = "scale"
hole = [{hints = ["?"]}]
source = [{title = "A toy", url = "https://example.org"}]
"""


@pytest.mark.parametrize("at_import", [False, True])
def test_an_edit_of_a_manifest_in_toml_is_in_the_current_registry(
    installed: Callable[[str], Path], at_import: bool
) -> None:
    module = (
        MODULE.replace("\n\n@hookimpl", "\nTOY = Technique.from_package(__name__)\n\n@hookimpl")
        if at_import
        else MODULE
    )
    module = module.replace("return [Technique.from_package(__name__)]", "return [TOY]") if at_import else module
    manifest = installed("").with_name("technique.toml")
    manifest.write_text(IN_TOML)
    manifest.with_name("__init__.py").write_text(module)
    found = settled()
    assert found.technique("scale").title == {"en": "A toy"}
    manifest.write_text(IN_TOML.replace("A toy", "A fine toy", 1))
    found = found.current()
    assert found.technique("scale").title == {"en": "A fine toy"}
    assert found.current() is found
    for text, chinese in (("title = '玩具'", "玩具"), ("title = '好玩具'", "好玩具")):
        manifest.with_name("technique.zh.toml").write_text(text, "utf-8")
        found = found.current()
        assert say(found.technique("scale").title, "zh") == chinese
    assert found.current() is found


def test_an_edit_that_breaks_a_manifest_in_toml_and_one_that_mends_it_are_seen(
    installed: Callable[[str], Path],
) -> None:
    manifest = installed(MODULE).with_name("technique.toml")
    manifest.write_text(IN_TOML)
    found = settled()
    manifest.write_text(IN_TOML.replace("title", "titel", 1))
    found = found.current()
    for name in ("scale", "toys/scale"):
        with pytest.raises(PluginProblem, match=r"technique\.toml, line 3, titel: there is no such key"):
            found.technique(name)
    manifest.write_text(IN_TOML)
    assert found.current().technique("scale").title == {"en": "A toy"}


def test_a_language_sets_aside_what_is_broken_in_it(installed: Callable[[str], Path]) -> None:
    manifest = installed(MODULE).with_name("technique.toml")
    manifest.write_text(IN_TOML)
    manifest.with_name("technique.zh.toml").write_text("titel = '玩具'", "utf-8")
    found = Registry()
    assert found.in_language("en") is found.in_language("fr") is found
    chinese = found.in_language("zh")
    assert ("toys/scale" in chinese.techniques, "toys/scale" in found.techniques) == (False, True)
    assert (found.problems, len(chinese.problems)) == ([], 1)
    assert found.problem_of("scale") is None
    with pytest.raises(PluginProblem, match=r"is broken in the language 'zh': .*line 1, titel"):
        chinese.technique("scale")
    assert chinese.technique("gae") is found.technique("gae")


def test_a_broken_plugin_is_known_by_what_it_would_declare() -> None:
    names = ["groundup.plugins.rl.gae", "groundup.plugins.fourteen_days", "mine"]
    found = Registry([(name, not_importable) for name in names])
    assert list(found.broken) == ["rl/gae", "fourteen-days", "mine"]
    for name in ("gae", "rl/gae", "mine", "toys/mine"):
        with pytest.raises(PluginProblem, match="cannot be imported"):
            found.technique(name)
    with pytest.raises(PluginProblem, match="cannot be imported"):
        found.roadmap("fourteen-days")
    with pytest.raises(UnknownName):
        found.technique("toys/gae")


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
