"""The index of plugins between commands: used while nothing has changed, and never stale."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundup.cli import context
from groundup.cli.context import registry_in
from groundup.cli.index import Index, kept_index, made_index
from groundup.cli.watched import Watched
from groundup.core.registry import Registry

MODULE = """
from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Technique


@hookimpl
def techniques():
    return [Technique.from_package(__name__)]
"""
MANIFEST = """
id = "toys/NAME"
title = "Scaling"
summary = "Numbers times a factor."
implements = "scale"

[[hole]]
hints = ["Multiply."]

[[source]]
title = "A toy"
url = "https://example.org/toy"
"""
CHINESE = 'title = "缩放"\nsummary = "数乘以系数。"\n'


def settle(folder: Path) -> None:
    """Set the times of everything in the folder to yesterday, as if it had been installed then."""
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (time.time() - 86400,) * 2)


class Kept:
    """A user with one toy installed, and a folder for the index."""

    def __init__(self, learn: Callable[..., Any], plugins: Any, folder: Path) -> None:
        self.learn, self.plugins, self.folder = learn, plugins, folder
        self.loads = 0
        self.toy = self.install("scale")

    def install(self, name: str) -> Path:
        texts = {"technique__toml": MANIFEST.replace("NAME", name), "technique__zh__toml": CHINESE}
        folder: Path = self.plugins.install(MODULE, **texts)
        settle(self.plugins.site)
        return folder

    def listed(self, *arguments: str) -> str:
        """Return what a new process would print for the track ``toys``."""
        registry_in.cache_clear()
        result = self.learn("list", "toys", *arguments)
        assert result.exit_code == 0, result.stderr
        return str(result.stdout)


@pytest.fixture
def kept(learn: Any, plugins: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    made = Kept(learn, plugins, folder)
    real = Registry.__init__

    def counted(self: Registry, *arguments: Any) -> None:
        made.loads += 1
        real(self, *arguments)

    monkeypatch.setattr(Registry, "__init__", counted)
    return made


def test_plugins_are_loaded_once_and_then_not_until_something_changes(kept: Kept) -> None:
    first = kept.listed()
    assert "scale  Numbers times a factor." in first
    assert kept.listed() == first
    assert kept.loads == 1
    (file,) = (kept.folder / "groundup").iterdir()
    assert file.stat().st_mode & 0o077 == 0


def test_what_is_kept_is_what_there_is(kept: Kept) -> None:
    kept.listed()
    assert kept_index("en") == made_index(Registry(), "en")


@pytest.mark.parametrize("keeps_time", [False, True])
def test_an_edit_of_a_manifest_is_seen_at_once(kept: Kept, keeps_time: bool) -> None:
    kept.listed()
    manifest = kept.toy / "technique.toml"
    before = manifest.stat()
    manifest.write_text(manifest.read_text("utf-8").replace("a factor", "two"), "utf-8")
    if keeps_time:  # the new size is noticed
        os.utime(manifest, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "scale  Numbers times two." in kept.listed()


def test_what_is_installed_or_removed_is_seen_at_once(kept: Kept) -> None:
    kept.listed()
    other = kept.install("shift")
    assert "shift" in kept.listed()
    assert "shift" in kept.listed()
    shutil.rmtree(other)
    shutil.rmtree(other.with_name(f"{other.name}-1.dist-info"))
    assert "shift" not in kept.listed()


def test_a_module_that_a_manifest_in_python_imports_is_watched(kept: Kept) -> None:
    text = MODULE.replace("@hookimpl", "from .words import WORDS\n\n\n@hookimpl")
    folder = kept.plugins.install(text, technique__toml=MANIFEST.replace("NAME", "other"), words="WORDS = 1\n")
    settle(kept.plugins.site)
    kept.listed()
    assert kept_index("en") is not None
    (folder / "words.py").write_text("WORDS = 2\n")
    assert kept_index("en") is None


def test_a_broken_plugin_is_told_by_every_command(kept: Kept) -> None:
    kept.listed()
    manifest = kept.toy / "technique.toml"
    text = manifest.read_text("utf-8")
    manifest.write_text(text.replace("title", "titel", 1), "utf-8")
    settle(kept.plugins.site)
    for _ in range(2):
        registry_in.cache_clear()
        result = kept.learn("list")
        assert "titel: there is no such key; did you mean 'title'?" in result.stderr
        assert "toys" not in result.stdout
    manifest.write_text(text, "utf-8")
    assert "scale" in kept.listed()


def test_each_language_has_an_index_and_only_chinese_needs_the_chinese_files(kept: Kept) -> None:
    kept.listed()
    assert "scale  数乘以系数。" in kept.listed("--lang", "zh")
    chinese = kept.toy / "technique.zh.toml"
    chinese.write_text(CHINESE.replace("系数", "二"), "utf-8")
    assert "scale  数乘以二。" in kept.listed("--lang", "zh")
    chinese.write_text("this is no TOML", "utf-8")
    assert "scale  Numbers times a factor." in kept.listed("--lang", "en")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"files": [], "techniques": []}', '{"files": {}, "techniques": [{}], "roadmaps": []}'],
)
def test_a_file_that_is_no_index_is_written_anew(kept: Kept, text: str) -> None:
    first = kept.listed()
    (file,) = (kept.folder / "groundup").iterdir()
    file.write_text(text)
    assert kept.listed() == first
    assert kept_index("en") is not None


def test_without_a_folder_to_keep_it_in_everything_is_loaded(kept: Kept) -> None:
    kept.folder.write_text("this is no folder")
    assert kept.listed() == kept.listed()
    assert kept.loads == 2


def test_what_was_written_while_it_was_read_is_not_kept(kept: Kept) -> None:
    (kept.toy / "technique.toml").touch()
    kept.listed()
    assert kept_index("en") is None
    settle(kept.toy)
    kept.listed()
    assert kept_index("en") is not None


def test_an_index_that_nobody_has_used_for_months_is_removed(kept: Kept) -> None:
    kept.listed()
    (file,) = (kept.folder / "groundup").iterdir()
    old = file.with_name(f"another{file.name}")
    old.write_text("{}")
    os.utime(old, (time.time() - 90 * 86400,) * 2)
    file.unlink()
    kept.listed()
    assert list(file.parent.iterdir()) == [file]


def test_a_path_that_depends_on_the_current_folder_has_no_index(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend("")
    kept.listed()
    assert not kept.folder.exists()


def test_the_first_day_is_the_one_of_the_registry(kept: Kept) -> None:
    kept.listed()
    found = kept_index("en")
    assert found is not None
    real = Registry()
    days = real.roadmap("fourteen-days").days
    first = next(day.name for day in days if any(i in real.techniques for i in day.techniques))
    assert context.first_day() == found.begins_with(found.roadmaps["fourteen-days"]) == first


def test_a_roadmap_without_any_of_its_techniques_begins_with_its_first_day(kept: Kept) -> None:
    found = made_index(Registry(), "en")
    assert Index({}, found.roadmaps).begins_with(found.roadmaps["fourteen-days"]) == "day-1"


# Which changes are noticed


def test_once_a_file_was_another_one_it_stays_so(tmp_path: Path) -> None:
    file = tmp_path / "file.py"
    file.write_text("1")
    settle(tmp_path)
    watched = Watched()
    watched.add([str(file), str(tmp_path)], time.time_ns())
    assert watched.is_fresh()
    file.write_text("22")
    assert not watched.is_fresh()
    file.write_text("1")
    settle(tmp_path)
    assert not watched.is_fresh()


@pytest.mark.parametrize(("name", "counts"), [("new.py", True), ("new.toml", True), ("x-1.dist-info", True),
                                              ("track", True), ("__pycache__", False), (".x.swp", False)])  # fmt: skip
def test_of_a_folder_what_plugins_are_made_of_counts(tmp_path: Path, name: str, counts: bool) -> None:
    watched = Watched()
    watched.add([str(tmp_path)], time.time_ns())
    (tmp_path / name).mkdir()
    assert watched.is_fresh() != counts
