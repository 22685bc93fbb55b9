"""Shared by the tests of the grader: a fork server for each module, attempts on it, techniques made by the test."""

from __future__ import annotations

import contextlib
import gettext
import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from groundup.cli.words import DOMAIN, LOCALE
from groundup.core.messages import Message
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.judging.judge import Judge
from groundup.grader.process.attempt import AttemptProcess, Program
from groundup.grader.process.fork_server import ForkServer
from groundup.grader.process.proxy import proxy

MANIFEST = """
from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Hole, Source, Technique

MEAN = Technique(
    id="toys/{name}", title="The weighted mean", summary="Numbers that count differently.", package=__name__,
    implements="mean", holes=(Hole(hints=("Divide by what was added up.",)),), call_seconds=1.0,
    sources=(Source(title="A toy", url="https://example.org/toy"),),
)


@hookimpl
def techniques():
    return [MEAN]
"""
SOLUTION = """
def mean(x, weight):
    # HOLE 1/1: the weighted mean; return it
    total = (x * weight).sum()
    return total / weight.sum()
    # END HOLE
"""
PROPERTIES_HEAD = """
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st

from groundup.core.testing import *

X, WEIGHT = tensors((3,)), tensors((3,), low=0.5)
ONES = torch.ones(3)


def check(got, expected):
    assert_close(got, expected, dtype=expected.dtype, tolerance=sum_tolerance(expected.dtype, 3, 4.0))
"""
PROPERTIES = """
@claim("A mean weighs what it adds.", zh="加权平均。")
@given(x=X, weight=WEIGHT)
def test_equals_the_reference(impl, reference, x, weight):
    check(impl(x, weight), reference(x, weight))
"""
MISCONCEPTIONS = """
[[misconception]]
id = "forgets-the-weights"
in = "mean"
edit = ["(x * weight).sum()", "x.sum()"]
says = { en = "The numbers are added without their weights.", zh = "没有乘权重。" }

[[misconception]]
id = "forgets-to-divide"
in = "mean"
edit = ["total / weight.sum()", "total"]
says = "The total is not divided by the weights."

[[convention]]
id = "divides-by-the-count"
in = "mean"
edit = ["total / weight.sum()", "total / len(x)"]
says = "Some divide by how many numbers there are."
source = "nobody in particular"
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    torch.set_num_threads(1)  # as the judge does
    with ForkServer() as started:
        yield started


@pytest.fixture(scope="module")
def judge(server: ForkServer) -> Judge:
    return Judge(server)


@pytest.fixture
def start(server: ForkServer) -> Iterator[Callable[..., AttemptProcess]]:
    """Start an attempt from its source; it ends with the test."""
    with contextlib.ExitStack() as stack:

        def started(source: str, implements: str = "f", **seconds: float) -> AttemptProcess:
            limits = {"call_seconds": 20.0, "total_seconds": 60.0, **seconds}
            process = AttemptProcess(server, Program(source, "attempt.py", implements), seed=0, **limits)
            stack.callback(process.close)
            return process

        yield started


@pytest.fixture
def ask(start: Callable[..., AttemptProcess]) -> Callable[..., Any]:
    """Start an attempt that defines ``f``, call it and return its answer."""

    def asked(source: str, *args: Any, **seconds: float) -> Any:
        return proxy(start(source, **seconds), "f", lambda *args: None)(*args)

    return asked


class Author:
    """Writes techniques of a third party, each in a package and a registry of its own."""

    numbers = itertools.count()
    manifest = MANIFEST
    misconceptions = MISCONCEPTIONS

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packages: list[str] = []

    def technique(
        self,
        properties: str = PROPERTIES,
        *,
        solution: str = SOLUTION,
        misconceptions: str = MISCONCEPTIONS,
        manifest: str = MANIFEST,
        name: str = "mean",
        **files: str,
    ) -> Technique:
        package = f"toy_technique_{next(self.numbers)}"
        folder = self.folder / package
        folder.mkdir()
        texts = {
            "__init__.py": manifest.replace("{name}", name),
            "solution.py": solution,
            "properties.py": PROPERTIES_HEAD + properties,
            "misconceptions.toml": misconceptions,
            **{file.replace("__", "."): text for file, text in files.items()},
        }
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
        self.packages.append(package)
        importlib.invalidate_caches()
        registry = Registry([(package, lambda: importlib.import_module(package))])
        assert registry.problems == []
        return registry.technique(f"toys/{name}")


@pytest.fixture
def author(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Author]:
    folder = tmp_path / "plugins"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    made = Author(folder)
    yield made
    for module in [m for m in sys.modules if m.partition(".")[0] in made.packages]:
        del sys.modules[module]


@pytest.fixture
def nothing_left(server: ForkServer, soon: Callable[..., bool]) -> Iterator[None]:
    """Check that the test leaves no process behind: no attempt, and nothing that an attempt started."""
    yield
    assert soon(lambda: started_below(server) == []), "a process of an attempt is left"


def started_below(server: ForkServer) -> list[int]:
    """Return the processes with a current folder below the server's: attempts, and the processes that they start."""
    return [pid for pid, here in standing() if here.startswith(server.scratch + "/")]


def standing() -> Iterator[tuple[int, str]]:
    """Yield every process id with its current folder, as named in the process's own mount namespace."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is a zombie
            yield int(process.name), str((process / "cwd").readlink())  # works for a deleted folder too


def descendants(pid: int) -> list[int]:
    """Return the ids of a process and of its descendants, as numbered in this pid namespace."""
    parents = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


@pytest.fixture(name="standing")
def standing_fixture() -> Callable[[], Iterator[tuple[int, str]]]:
    return standing


@pytest.fixture(name="descendants")
def descendants_fixture() -> Callable[[int], list[int]]:
    return descendants


@pytest.fixture(scope="session")
def chinese() -> Callable[[str], str]:
    """Return what says in Chinese what is English, as the commands do."""
    catalogue = gettext.translation(DOMAIN, LOCALE, ["zh"])
    return lambda text: text.translated(catalogue) if isinstance(text, Message) else catalogue.gettext(text)
