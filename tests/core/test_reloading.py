from __future__ import annotations

import importlib
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundup.core.reloading import forget, have_changed, home_of, refresh, stamp

numbers = itertools.count()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a package of three modules, loaded and known to ``refresh``."""
    folder = tmp_path / f"toy_reloading_{next(numbers)}"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "inner" / "__init__.py").write_text("")
    (folder / "inner" / "helper.py").write_text("VALUE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module(f"{folder.name}.inner.helper")
    # The files are newer than this process, which therefore cannot know whether it loaded their present text.
    refresh([folder.name])
    importlib.import_module(f"{folder.name}.inner.helper")
    yield folder
    for name in [n for n in sys.modules if n.partition(".")[0] == folder.name]:
        del sys.modules[name]


def helper(package: Path) -> int:
    value: int = importlib.import_module(f"{package.name}.inner.helper").VALUE
    return value


def test_what_did_not_change_stays_loaded(package: Path) -> None:
    before = sys.modules[f"{package.name}.inner.helper"]
    assert not have_changed([package.name])
    assert not refresh([package.name])
    assert sys.modules[f"{package.name}.inner.helper"] is before


def test_a_change_of_one_module_has_its_whole_package_loaded_anew(package: Path) -> None:
    (package / "inner" / "helper.py").write_text("VALUE = 2\n")
    assert have_changed([package.name])
    assert refresh([package.name])
    assert not [n for n in sys.modules if n.partition(".")[0] == package.name]
    assert helper(package) == 2
    assert not refresh([package.name])


def test_of_a_package_only_what_is_below_it_is_looked_at(package: Path) -> None:
    (package / "inner" / "helper.py").write_text("VALUE = 2\n")
    assert not have_changed([f"{package.name}.inner.help", f"{package.name}.in", "toy", "json"])
    assert refresh([f"{package.name}.inner"])
    assert package.name in sys.modules
    assert not hasattr(sys.modules[package.name], "inner")  # else 'from package import inner' finds the old one


def test_an_edit_counts_though_size_and_second_stay_the_same(package: Path) -> None:
    path = package / "inner" / "helper.py"
    for value in (2, 3, 4):
        before = path.stat()
        path.write_text(f"VALUE = {value}\n")
        second = before.st_mtime_ns // 10**9 * 10**9
        os.utime(path, ns=(second, second + value))
        assert refresh([package.name])
        assert helper(package) == value


def test_a_file_put_in_the_place_of_another_counts_though_it_has_its_time(package: Path) -> None:
    path = package / "inner" / "helper.py"
    old = path.stat()
    new = path.with_name("new")
    new.write_text("VALUE = 2\n")
    os.utime(new, ns=(old.st_atime_ns, old.st_mtime_ns))
    new.replace(path)
    assert refresh([package.name])
    assert helper(package) == 2


def test_a_file_that_is_gone_is_a_change(package: Path) -> None:
    (package / "inner" / "helper.py").unlink()
    assert refresh([package.name])
    with pytest.raises(ModuleNotFoundError):
        helper(package)
    (package / "inner" / "helper.py").write_text("VALUE = 5\n")
    forget([package.name])
    assert helper(package) == 5


def test_a_module_older_than_this_process_is_taken_as_read(package: Path) -> None:
    (package / "old.py").write_text("")
    os.utime(package / "old.py", ns=(10**9, 10**9))
    importlib.import_module(f"{package.name}.old")
    assert not have_changed([package.name])


def test_the_home_of_a_built_in_is_its_own_package() -> None:
    assert home_of("groundup.plugins.rl.gae") == "groundup.plugins.rl.gae"


def test_the_home_of_another_package_is_the_outermost_that_is_no_namespace(package: Path, tmp_path: Path) -> None:
    assert home_of(f"{package.name}.inner.helper") == package.name
    assert home_of("not_loaded.at_all") == "not_loaded.at_all"
    space = tmp_path / "toy_space" / "part"
    space.mkdir(parents=True)
    (space / "__init__.py").write_text("")
    importlib.import_module("toy_space.part")
    assert home_of("toy_space.part.technique") == "toy_space.part"
    del sys.modules["toy_space.part"], sys.modules["toy_space"]


def test_what_is_not_there_has_no_stamp(tmp_path: Path) -> None:
    assert stamp(tmp_path / "nothing") is None
    assert stamp(tmp_path) == stamp(str(tmp_path)) is not None
