"""Shared by all tests: they leave no warm judge and nothing in the user's cache, and use the terminal's real width.

The soak goes on where it was interrupted: ``--go-on`` leaves out the tests that have passed since the files that they
depend on last changed. ``--techniques`` selects those of some techniques.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from groundup.grader.judging.judge import Judge
from groundup.grader.process.fork_server import ForkServer

os.environ["LEARN_WARM"] = "0"  # the warm judge's own tests turn it on, and end it
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a background job: tests press Ctrl-C all the same
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[1]
PASSED = ROOT / "build" / "soak.jsonl"
SHARED = ("core", "grader", "cli", "tests", "examples")
OWN = ("plugins/{}", "solutions/{}.py", "exercises/{}.py", "quizzes/{}.yaml")
TECHNIQUES = sorted(str(p.parent.relative_to(ROOT / "plugins")) for p in ROOT.glob("plugins/*/*/properties.py"))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("soak")
    group.addoption("--go-on", action="store_true", help="leave out the soak's tests that passed on the same files")
    group.addoption("--techniques", metavar="NAMES", default="", help="only tests about these techniques: 'gae ppo'")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one more than there are cores: a fifth of the time of a test is waiting for processes."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    names = config.getoption("--techniques").replace("-", "_").split()
    if unknown := [name for name in names if name not in {t.rpartition("/")[2] for t in TECHNIQUES}]:
        raise pytest.UsageError(f"--techniques: no technique {unknown[0]!r}")
    left = [
        item for item in items if not names or {t.rpartition("/")[2] for t in of_techniques(item.nodeid)} & {*names}
    ]
    if config.getoption("--go-on") and PASSED.is_file():
        passed = {tuple(json.loads(line)) for line in PASSED.read_text(encoding="utf-8").splitlines()}
        left = [item for item in left if (item.nodeid, digest(of_techniques(item.nodeid))) not in passed]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(left)])
    items[:] = left


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if (
        report.when == "call"
        and report.passed
        and "soak" in report.keywords
        and "PYTEST_XDIST_WORKER" not in os.environ
    ):
        PASSED.parent.mkdir(exist_ok=True)
        with PASSED.open("a", encoding="utf-8") as file:
            file.write(json.dumps([report.nodeid, digest(of_techniques(report.nodeid))]) + "\n")


@functools.cache
def of_techniques(nodeid: str) -> tuple[str, ...]:
    """Return the techniques that a test names in its parameters; all of them if it names none."""
    parameters = re.split(r"[^a-z0-9_]+", nodeid.partition("[")[2].replace("-", "_"))
    named = tuple(t for t in TECHNIQUES if t.rpartition("/")[2] in parameters)
    return named or tuple(TECHNIQUES)


@functools.cache
def digest(techniques: tuple[str, ...]) -> str:
    """Return the digest of the files that a test of these techniques depends on."""
    found = hashlib.sha256()
    places = [ROOT / place for place in SHARED]
    places += [ROOT / place.format(technique) for technique in techniques for place in OWN]
    for path in sorted(f for place in places for f in ([place] if place.is_file() else place.rglob("*"))):
        of_another = path.is_relative_to(ROOT / "tests/attempts") and not any(t in str(path) for t in techniques)
        if path.suffix in (".py", ".toml", ".yaml", ".ini", ".jinja") and not of_another:
            found.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return found.hexdigest()[:16]


@pytest.fixture(scope="session", autouse=True)
def cache() -> Iterator[None]:
    """Keep the indices of plugins in a folder of this test run; matplotlib keeps its own cache."""
    os.environ.setdefault("MPLCONFIGDIR", str(Path.home() / ".cache" / "matplotlib"))
    with tempfile.TemporaryDirectory(prefix="cache-") as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        yield


@pytest.fixture(scope="session")
def judge() -> Iterator[Judge]:
    """The judge of the tests that only grade: one fork server for each process of the tests."""
    with ForkServer() as server:
        yield Judge(server)


@pytest.fixture(scope="session")
def soon() -> Callable[..., bool]:
    """Whether something holds within a few seconds."""

    def holds_soon(holds: Callable[[], bool], seconds: float = 2.0) -> bool:
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    return holds_soon
