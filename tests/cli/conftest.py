"""Shared by the tests of ``learn``: a current folder, plugins installed during the test, the command itself."""

from __future__ import annotations

import importlib
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from groundup.cli.context import registry_in
from groundup.cli.main import cli
from groundup.cli.words import speak
from groundup.grader.process import fork_server
from groundup.grader.process.fork_server import ForkServer

MANIFEST = '''
"""A toy."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Hole, Source, Technique


@hookimpl
def techniques():
    return [
        Technique(
            id="toys/{name}",
            title={"en": "Scaling", "zh": "缩放"},
            summary={"en": "Numbers times a factor.", "zh": "数乘以系数。"},
            package=__name__,
            implements="scale",
            requires={requires},
            call_seconds=60,
            holes=(
                Hole(hints=({"en": "Which dtype?", "zh": "什么类型？"}, "That of x.", "x.dtype")),
                Hole(hints=("Multiply.",)),
            ),
            sources=(Source(title="A toy", url="https://example.org/toy"),),
        )
    ]
'''
SOLUTION = '''"""Scaling."""

import torch


def scale(x, by):
    """Return x times by."""
    # HOLE 1/2: the factor; in the dtype of x.
    factor = torch.tensor(by, dtype=x.dtype)
    # END HOLE

    # HOLE 2/2: the product
    result = x * factor
    # END HOLE
    return result
'''
STUB = SOLUTION.replace(
    "    factor = torch.tensor(by, dtype=x.dtype)\n    # END HOLE",
    '    raise NotImplementedError("hole 1/2: the factor")',
).replace("    result = x * factor\n    # END HOLE", '    raise NotImplementedError("hole 2/2: the product")')
PROPERTIES = """
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.testing import *

X, BY = tensors((1,)), st.sampled_from([0.5, 2.0, 3.0])


def check(got, expected):
    assert_close(got, expected, dtype=expected.dtype, tolerance=sum_tolerance(expected.dtype, 1, 6.0))


@hole(2)
@claim("Times one nothing changes.", zh="乘以一不变。")
@given(x=X)
def test_one_changes_nothing(impl, x):
    check(impl(x, 1.0), x)


@hole(2)
@claim("It gives what the reference gives.", zh="与参考实现相同。")
@given(x=X, by=BY)
def test_equals_the_reference(impl, reference, x, by):
    check(impl(x, by), reference(x, by))


@after(test_equals_the_reference)
@claim("Twice is by the square.")
@given(x=X, by=BY)
def test_twice_is_the_square(impl, x, by):
    check(impl(impl(x, by), by), x * by * by)
"""
MISCONCEPTIONS = """
[[misconception]]
id = "adds"
in = "scale"
edit = ["x * factor", "x + factor"]
says = { en = "The factor is added.", zh = "系数被加上了。" }

[[misconception]]
id = "squares"
in = "scale"
edit = ["x * factor", "x * factor * factor"]
says = { en = "The factor counts twice.", zh = "系数乘了两次。" }

[[misconception]]
id = "forgets-what-it-did"
in = "scale"
edit = ["x * factor", "x * factor if by != 1 else x + 1"]
says = "One is treated apart."
"""
LESSON = "# Scaling\n\nMultiply by the *factor*.\n\n```text\ny = x * by\n```\n"


class Plugins:
    """Installs plugins: packages on the module search path, each with an entry point in the group ``groundup``."""

    numbers = itertools.count()

    def __init__(self, site: Path) -> None:
        self.site = site
        self.packages: list[str] = []

    def install(self, manifest: str, **files: str) -> Path:
        """Install a plugin made of these files (``misconceptions__toml``) and return its folder."""
        package = f"toys_{next(self.numbers):04}"
        self.packages.append(package)
        folder, information = self.site / package, self.site / f"{package}-1.dist-info"
        folder.mkdir(parents=True)
        information.mkdir()
        (folder / "__init__.py").write_text(manifest, encoding="utf-8")
        for name, text in files.items():
            path = folder / (name.replace("__", ".") if "__" in name else f"{name}.py")
            path.write_text(text, encoding="utf-8")
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
        (information / "entry_points.txt").write_text(f"[groundup]\n{package} = {package}\n")
        importlib.invalidate_caches()
        registry_in.cache_clear()
        return folder

    def technique(self, name: str = "scale", *, requires: Sequence[str] = (), **files: str) -> Path:
        """Install the toy technique under ``name``; ``files`` replace its own files of the same names."""
        own = {
            "solution": SOLUTION,
            "exercise": STUB,
            "properties": PROPERTIES,
            "misconceptions__toml": MISCONCEPTIONS,
            "lesson__md": LESSON,
        }
        manifest = MANIFEST.replace("{name}", name).replace("{requires}", repr(tuple(requires)))
        return self.install(manifest, **own | files)


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugins]:
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    registry_in.cache_clear()
    made = Plugins(site)
    yield made
    registry_in.cache_clear()
    for module in [m for m in sys.modules if m.partition(".")[0] in made.packages]:
        del sys.modules[module]


@pytest.fixture(scope="session")
def plugins_in() -> type[Plugins]:
    """For fixtures that outlive a test: installs plugins in a folder that is not on this process's ``sys.path``."""
    return Plugins


@pytest.fixture
def toy(plugins: Plugins) -> Path:
    """The toy technique, installed. Returns its folder."""
    return plugins.technique()


@pytest.fixture(autouse=True)
def english() -> None:
    """Start each test in English, whichever language the previous test set."""
    speak("en")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def server() -> Iterator[ForkServer]:
    with ForkServer() as started:
        yield started


Learn = Callable[..., Result]


@pytest.fixture
def learn(here: Path, plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> Learn:
    """Run ``learn`` in this process, in the folder ``here``; its output is 100 columns wide."""
    for name in ("LEARN_COMMAND", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str, **settings: object) -> Result:
        result = CliRunner().invoke(cli, arguments, prog_name="learn", **settings)  # type: ignore[arg-type]
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def grading(server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every ``grade`` of the test use the same fork server: starting one takes seconds."""
    monkeypatch.setattr(fork_server, "ForkServer", lambda: nullcontext(server))


@pytest.fixture
def command(here: Path, plugins: Plugins) -> Callable[..., subprocess.Popen[str]]:
    """Start ``learn`` as a subprocess, with the plugins that the test installed."""

    def start(
        *arguments: str, stdin: int = subprocess.DEVNULL, terminal: int | None = None, **environment: str
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("learn")), *arguments],
            env={**os.environ, "PYTHONPATH": str(plugins.site), "COLUMNS": "100", **environment},
            stdin=stdin if terminal is None else terminal,
            stdout=subprocess.PIPE if terminal is None else terminal,
            stderr=subprocess.PIPE if terminal is None else terminal,
            text=True,
        )

    return start
