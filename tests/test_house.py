"""Rules for the source code: the length of modules, the direction of imports, and no duplicated code in properties."""

from __future__ import annotations

import ast
import graphlib
import itertools
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONGEST = 400  # lines of a module in core, grader and cli
LONGEST_PROPERTIES = 450
LONGEST_SHARED = 15  # consecutive lines that two properties files may share
MAY_IMPORT = {  # folder -> the other folders whose modules it may import
    "core": set[str](),
    "plugins": {"core"},
    "solutions": {"core"},
    "grader.process": {"core"},
    "grader.judging": {"core", "grader.process"},
    "grader.learner": {"core", "grader.process", "grader.judging"},
    "grader.lessons": {"core", "grader.process", "grader.learner"},
    "grader.authoring": {"core", "grader.process", "grader.judging", "grader.learner", "grader.lessons"},
    "grader.batch": {"core", "grader.process", "grader.judging", "grader.learner"},
    "cli": {
        "core",
        "grader.process",
        "grader.judging",
        "grader.learner",
        "grader.lessons",
        "grader.authoring",
        "grader.batch",
    },
}
PROPERTIES = sorted([*ROOT.glob("plugins/*/*/properties.py"), *ROOT.glob("examples/*/*/properties.py")])


@cache
def modules() -> dict[str, Path]:
    """Return the files of all folders above, by module name."""
    found = {}
    for top in ("core", "plugins", "solutions", "grader", "cli"):
        for path in (ROOT / top).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(["groundup", *parts]).removesuffix(".__init__")] = path
    return found


def room(module: str) -> str:
    """Return the folder that a module is in; in the grader, its subfolder if there is one."""
    _, top, *inner = module.split(".")
    return f"{top}.{inner[0]}" if top == "grader" and inner else top


@cache
def imports(module: str) -> frozenset[str]:
    """Return the modules of ours that a module imports anywhere, also under ``TYPE_CHECKING``."""
    found = set()
    for node in ast.walk(ast.parse(modules()[module].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules() else node.module for name in inner}
    return frozenset(found & modules().keys())


@pytest.mark.parametrize("top", ["core", "grader", "cli"])
def test_no_module_is_long(top: str) -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in (ROOT / top).rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_imports_go_one_way() -> None:
    wrong = [
        f"{module} imports {imported}"
        for module in modules()
        for imported in imports(module)
        if room(imported) not in (room(module), *MAY_IMPORT.get(room(module), ()))
        and imported.count(".") > 1  # a folder's own __init__ holds a docstring and nothing else
    ]
    assert wrong == []


def test_a_plugin_imports_no_other_and_a_solution_none() -> None:
    wrong = [
        f"{module} imports {imported}"
        for module in modules()
        for imported in imports(module)
        if room(module) in ("plugins", "solutions") and room(imported) == room(module)
        and imported.rpartition(".")[0] != module.rpartition(".")[0]
    ]  # fmt: skip
    assert wrong == []


def test_nothing_imports_in_a_circle() -> None:
    graph = {module: imports(module) - {module} for module in modules()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("path", PROPERTIES, ids=lambda path: path.parent.name)
def test_properties_are_not_long(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_PROPERTIES


def runs(path: Path) -> set[tuple[str, ...]]:
    """Return every run of consecutive non-blank lines that is one line longer than two files may share."""
    lines = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    length = LONGEST_SHARED + 1
    return {tuple(lines[at : at + length]) for at in range(len(lines) - length + 1)}


def test_no_two_properties_files_share_a_long_run_of_lines() -> None:
    shared = {
        (one.parent.name, other.parent.name): "\n".join(min(runs(one) & runs(other)))
        for one, other in itertools.combinations(PROPERTIES, 2)
        if runs(one) & runs(other)
    }
    assert shared == {}
