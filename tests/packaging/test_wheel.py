"""The wheel, installed into a separate virtual environment that shares the dependencies of the tests' own one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

IMPORT_ALL = """\
import importlib, json, sys
print(json.dumps({name: importlib.import_module(name).__file__ for name in sys.argv[1:]}))
"""


class Installed:
    """The environment in which the wheel was installed, and the files that the installation added."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.site = Path(sysconfig.get_path("purelib", "venv", {"base": str(home), "platbase": str(home)}))
        self.scripts = Path(sysconfig.get_path("scripts", "venv", {"base": str(home), "platbase": str(home)}))
        self.before: set[str] = set()

    def names(self) -> set[str]:
        """Return the top-level names in site-packages, and the scripts."""
        return {path.name for folder in (self.site, self.scripts) for path in folder.iterdir()}

    def run(self, program: str, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run one of the environment's programs, which may import only from its own site-packages."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.run(
            [self.scripts / program, *args], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
        )


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = shutil.copytree(tree, tmp_path_factory.mktemp("source") / "tree")  # the build leaves files beside setup.py
    _pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(source))
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, symlinks=True)
    installed = Installed(home)
    # Python searches a folder that a .pth file names but ignores the .pth files in it, so no editable finder is loaded.
    dependencies = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (installed.site / "dependencies.pth").write_text("\n".join(sorted(dependencies)) + "\n")
    installed.before = installed.names()
    _pip("--python", str(home), "install", "--no-deps", "--no-index", "--no-compile", str(wheel))
    return installed


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(tree: Path, wheel: Path) -> None:
    roots = tomllib.loads((tree / "pyproject.toml").read_text())["tool"]["setuptools"]["package-dir"]
    expected = {
        f"groundup/{path.relative_to(tree).as_posix()}"
        for root in roots.values()
        for path in (tree / root).rglob("*")
        if path.is_file()
    }
    held = {name for name in _files(wheel) if ".dist-info/" not in name}
    assert len(roots) == 7
    # A missing file is in a folder without an __init__.py, or its suffix is missing from pyproject's package-data.
    assert {"missing": expected - held, "unexpected": held - expected} == {"missing": set(), "unexpected": set()}


def test_it_installs_one_namespace_and_one_command(installed: Installed) -> None:
    added = installed.names() - installed.before
    assert added == {
        "groundup",
        next(n for n in added if n.startswith("groundup-") and n.endswith(".dist-info")),
        "learn",
    }


def test_every_module_imports_from_the_wheel(installed: Installed, wheel: Path, tmp_path: Path) -> None:
    names = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in _files(wheel)
        if name.endswith(".py") and not name.endswith("/__main__.py")
    ]
    result = installed.run("python", "-c", IMPORT_ALL, *names, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    files = json.loads(result.stdout)
    assert len(files) == len(names) > 20
    assert [name for name, file in files.items() if not Path(file).is_relative_to(installed.site)] == []


def test_the_installed_command_lists_the_techniques(installed: Installed, tree: Path, tmp_path: Path) -> None:
    result = installed.run("learn", "list", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    names = {path.stem.replace("_", "-") for path in (tree / "solutions").glob("*/*.py") if path.stem != "__init__"}
    assert [name for name in sorted(names) if name not in result.stdout] == []


def test_the_installed_command_grades_an_attempt(installed: Installed, tmp_path: Path) -> None:
    solution = installed.site / "groundup/solutions/rl/gae.py"
    result = installed.run("learn", "grade", "rl/gae", "--attempt", str(solution), "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    verdict = json.loads(result.stdout)
    assert (verdict["technique"], verdict["passed"], verdict["score"]) == ("rl/gae", True, 1.0)


def _files(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def _pip(*args: str) -> None:
    done = subprocess.run([sys.executable, "-I", "-m", "pip", *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
