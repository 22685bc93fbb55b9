"""A broken plugin is not a missing one: asking for what it declares reports the problem, with exit code 3."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import groundup.plugins
from groundup.cli.context import registry, registry_in
from groundup.core import technique as core

GAE = "groundup.plugins.rl.gae"
ASKING = [
    ("grade", "gae"), ("grade", "gae", "--attempt", "learn.toml"), ("grade", "--all"), ("read", "gae"),
    ("read", "rl/gae"), ("start", "gae"), ("start", "day-4"), ("hint", "gae"), ("hint", "day-4"), ("quiz", "gae"),
    ("run", "gae", "--reference"), ("solution", "gae"), ("reset", "gae"), ("replay", "gae"), ("watch", "gae"),
    ("watch",), ("watch", "day-4"), ("dispute", "gae"), ("author", "check", "gae"), ("author", "stubs", "gae"),
    ("grade-many", ".", "--technique", "gae"),
]  # fmt: skip


@pytest.fixture
def gae(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder of ``rl/gae``, which Groundup uses instead of the original."""
    original = Path(groundup.plugins.__path__[0], "rl", "gae")
    copy = shutil.copytree(original, tmp_path / "gae", ignore=shutil.ignore_patterns("__pycache__"))
    folder_of = core._folder
    monkeypatch.setattr(core, "_folder", lambda package: copy if package == GAE else folder_of(package))
    registry_in.cache_clear()
    return copy


@pytest.fixture
def workspace(learn: Any, here: Path, gae: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace in which gae was begun while its plugin was sound. It is the current folder."""
    assert learn("start", "gae").exit_code == 0
    registry_in.cache_clear()
    monkeypatch.chdir(here / "workspace")
    return here / "workspace"


def spoil(path: Path, old: str, new: str) -> str:
    """Replace ``old`` and return ``file, line`` of where it began."""
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    return f"{path}, line {text[: text.index(old)].count(chr(10)) + 1}"


@pytest.mark.parametrize("arguments", ASKING, ids=" ".join)
def test_who_asks_for_a_broken_technique_is_told_what_is_broken(
    learn: Any, workspace: Path, gae: Path, arguments: tuple[str, ...]
) -> None:
    place = spoil(gae / "technique.toml", "title =", "titel =")
    result = learn(*arguments)
    said = f"learn: Plugin '{GAE}' is broken: {place}, titel: there is no such key; did you mean 'title'?"
    assert result.stderr.count(said) == 1
    assert result.exit_code == 3
    assert "not written yet" not in result.output
    assert "started nothing" not in result.output
    assert (workspace / "rl" / "gae.py").is_file()


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_lists_everything_shows_a_broken_technique_as_broken(
    learn: Any, workspace: Path, gae: Path, lang: str
) -> None:
    spoil(gae / "technique.toml", "id =", "id = [")
    word = {"en": "broken", "zh": "已损坏"}[lang]
    shown = {"en": " (broken)", "zh": "（已损坏）"}[lang]
    for command in (["list", "--all"], ["status"]):
        registry_in.cache_clear()
        result = learn(*command, "--lang", lang)
        assert result.exit_code == 0
        manifest = gae / "technique.toml"
        told = {
            "en": f"Plugin '{GAE}' is broken: {manifest}, line 2: this is no TOML",
            "zh": f"插件 '{GAE}' 已损坏：{manifest}，第 2 行：这不是 TOML",
        }
        assert told[lang] in result.stderr
        (row,) = [line for line in result.stdout.splitlines() if line.split()[:1] == ["rl/gae"]]
        assert row.split()[-1] == word
    assert f"\n          gae{shown}" in learn("list", "--lang", lang).stdout
    day = next(line for line in learn("status", "--lang", "en").stdout.splitlines() if line.split()[:1] == ["day-4"])
    assert not day.endswith("(not written yet)")
    data = json.loads(learn("list", "--json").stdout)
    assert data["roadmaps"][0]["days"][3]["techniques"][0] == {"id": "rl/gae", "written": True, "broken": True}


def test_a_day_gives_its_other_techniques_and_ends_with_3(learn: Any, here: Path, gae: Path) -> None:
    spoil(gae / "technique.toml", "\nversion = ", "\nversion = -")
    result = learn("start", "day-7")
    assert result.exit_code == 0  # the day does not name gae; ppo builds on gae, but works without it
    assert (here / "workspace" / "alignment" / "ppo.py").is_file()
    assert learn("start", "day-4").exit_code == 3


def test_what_was_proved_of_a_broken_technique_is_kept_and_told(
    learn: Any, workspace: Path, gae: Path, grading: None
) -> None:
    solution = Path(groundup.plugins.__path__[0]).parent / "solutions" / "rl" / "gae.py"
    (workspace / "rl" / "gae.py").write_text(solution.read_text("utf-8"), "utf-8")
    assert learn("grade", "gae").exit_code == 0
    version = registry().technique("gae").version
    registry_in.cache_clear()
    text = (gae / "technique.toml").read_text("utf-8")
    spoil(gae / "technique.toml", "\ntitle =", "\ntitel =")
    row = next(line for line in learn("status").stdout.splitlines() if line.split()[:1] == ["rl/gae"])
    assert row.split()[1:] == ["passed,", "version", str(version), "·", "broken", "·", "graded", "once"]
    (told,) = [t for t in json.loads(learn("status", "--json").stdout)["techniques"] if t["id"] == "rl/gae"]
    assert (told["installed"], told["broken"], told["passed"]) == (False, True, True)
    brief = learn("brief")
    assert brief.exit_code == 0
    assert "The plugin that declares this technique is broken here" in brief.stdout
    assert "No plugin that is installed here" not in brief.stdout
    (gae / "technique.toml").write_text(text, "utf-8")
    registry_in.cache_clear()
    row = next(line for line in learn("status").stdout.splitlines() if line.split()[:1] == ["rl/gae"])
    assert row.split()[1:] == ["passed", "·", "graded", "once"]


def test_a_broken_translation_is_told_to_who_speaks_it_and_to_nobody_else(
    learn: Any, workspace: Path, gae: Path
) -> None:
    place = spoil(gae / "technique.zh.toml", "title =", "titel =")
    assert learn("read", "gae").exit_code == 0
    result = learn("read", "gae", "--lang", "zh")
    assert result.exit_code == 3
    place = place.replace(", line 1", "，第 1 行")
    assert f"插件 '{GAE}' 的语言 'zh' 已损坏：{place}、titel：technique.toml 里没有这段文字" in result.stderr
    assert result.stderr.count("titel") == 1
    assert learn("read", "ppo", "--lang", "zh").exit_code == 0


# Third parties


MODULE = '''"""A toy."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Technique


@hookimpl
def techniques():
    return [Technique.from_package(__name__)]
'''
MANIFEST = """
id = "toys/scale"
title = "Scaling"
summary = "Numbers times a factor."
implements = "scale"
hole = [{hints = ["Multiply."]}]
source = [{title = "A toy", url = "https://example.org"}]
"""


@pytest.mark.parametrize(
    ("manifest", "module", "says"),
    [
        (MANIFEST.replace("title", "titel", 1), MODULE, "line 3, titel: there is no such key"),
        (MANIFEST + "hole = 1\n", MODULE, "line 8: this is no TOML: cannot overwrite a value"),
        (MANIFEST, MODULE + "import nowhere\n", "No module named 'nowhere'"),
        (MANIFEST, MODULE + "def (:\n", "invalid syntax"),
    ],
)
def test_a_technique_of_a_third_party_is_known_by_the_id_in_its_file(
    learn: Any, plugins: Any, manifest: str, module: str, says: str
) -> None:
    plugins.install(module, technique__toml=manifest)
    for name in ("scale", "toys/scale"):
        result = learn("read", name)
        assert (result.exit_code, result.stderr.count("learn: ")) == (3, 1)
        assert says in result.stderr


def test_all_techniques_of_a_plugin_are_broken_where_one_is(learn: Any, plugins: Any) -> None:
    module = MODULE.replace("(__name__)", "(f'{__name__}.{n}') for n in ('one', 'two')")
    folder = plugins.install(module)
    for name, text in (("one", MANIFEST), ("two", MANIFEST.replace("scale", "other").replace("title", "titel", 1))):
        (folder / name).mkdir()
        (folder / name / "__init__.py").touch()
        (folder / name / "technique.toml").write_text(text, "utf-8")
    for name in ("scale", "other"):
        result = learn("read", name)
        assert (result.exit_code, "/two/technique.toml, line 3, titel: " in result.stderr) == (3, True)


def test_a_technique_of_a_third_party_is_else_known_by_its_plugins_name(learn: Any, plugins: Any) -> None:
    folder = plugins.install("import nowhere\n")
    for name in (folder.name, f"toys/{folder.name}"):
        result = learn("read", name)
        assert (result.exit_code, result.stderr.count("No module named 'nowhere'")) == (3, 1)
    assert learn("read", "something-else").exit_code == 2


def test_an_import_of_what_has_moved_is_told_its_new_name(learn: Any, plugins: Any) -> None:
    plugins.install("from groundup.core.question import Asked\n")
    plugins.install("from groundup.core import number_question\n")
    plugins.install("from groundup.core.technique import Asked\n")
    plugins.install("from groundup.core.nowhere import nothing\n")
    told = learn("list").stderr.splitlines()
    assert told[0].endswith("No module named 'groundup.core.question': it is groundup.core.quiz.question now")
    assert told[1].endswith(": it is groundup.core.quiz.number_question now")
    assert told[2].endswith(": it is in groundup.core.quiz.question now")
    assert told[3].endswith("No module named 'groundup.core.nowhere'")


@pytest.mark.parametrize("file", ["properties", "solution", "lab"])
def test_a_file_of_a_technique_that_imports_what_has_moved_is_told_its_new_name(
    learn: Any, plugins: Any, grading: None, file: str
) -> None:
    folder = plugins.technique(lab="LAB = None\n\n\ndef run(bench): ...\n")
    assert learn("start", "scale").exit_code == 0
    text = (folder / f"{file}.py").read_text("utf-8")
    (folder / f"{file}.py").write_text(f"from groundup.core.question import Asked\n{text}", "utf-8")
    result = learn("run", "scale", "--reference") if file == "lab" else learn("grade", "scale")
    assert result.exit_code == 3
    assert "No module named 'groundup.core.question': it is groundup.core.quiz.question now" in result.output


def test_the_doctor_tells_of_a_translation_that_nobody_speaks(learn: Any, gae: Path) -> None:
    place = spoil(gae / "technique.zh.toml", "title =", "titel =")
    result = learn("doctor")
    assert result.exit_code == 3
    assert f"{place}, titel: there is no such text" in " ".join(result.stdout.split())
