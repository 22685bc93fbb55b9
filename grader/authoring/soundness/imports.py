"""Rule: solutions import only what attempts may, plugins import no solution, manifests import no torch."""

from __future__ import annotations

import ast
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.authoring.soundness.places import Found, declared, manifest
from groundup.grader.process.worker.imports import ImportRules, own_modules

SECONDS = 60.0
OF_SOLUTIONS = ("groundup.solutions", "groundup.exercises")
# Imports a package and reports the first place that imports torch, without loading torch.
WATCH = """
import importlib, json, os, sys, traceback

sys.path[:] = json.loads(sys.argv[2])


class Watch:
    def find_spec(name, path=None, target=None):
        if name == "torch":
            frames = [f for f in traceback.extract_stack() if not f.filename.startswith("<")]
            print(json.dumps([frames[-1].filename, frames[-1].lineno]), flush=True)
            os._exit(0)


sys.meta_path.insert(0, Watch)
importlib.import_module(sys.argv[1])
print("null")
"""


def check(technique: Technique, registry: Registry) -> Found:
    """Find forbidden imports, with their lines."""
    solutions = {t.files.solution_module for t in registry.techniques.values()} | {technique.files.solution_module}
    problems = [*_of_the_solution(technique), *_of_the_plugin(technique, solutions), *_of_the_list(technique)]
    problems += list(_torch(technique))
    listed = f", and {', '.join(technique.imports)}" if technique.imports else ""
    return f"what attempts have{listed}", problems


def _of_the_solution(technique: Technique) -> Iterator[str]:
    path = technique.files.solution
    rules = ImportRules(technique.imports, ())
    for line, name, inside in _imports(path, ""):
        if name.startswith("."):
            yield f"{path}:{line}: a relative import: an attempt is a file by itself"
        elif not (rules.allows(name) and (not inside or _is_ours(name) or rules.allows(f"{name}.{inside}"))):
            lacking = f"{name}.{inside}" if rules.allows(name) and inside else name
            further = "" if lacking.startswith("groundup.") else f", or list it in {manifest(technique)}: imports ="
            yield f"{path}:{line}: {rules.refusal(lacking)}. Do without{further}"


def _is_ours(name: str) -> bool:
    """Whether an attempt may import everything in the module, not only some of its submodules."""
    return not name.startswith("groundup") or any(name == ours or name.startswith(ours + ".") for ours in own_modules())


def _of_the_plugin(technique: Technique, solutions: set[str]) -> Iterator[str]:
    files = technique.files
    for path in sorted(files.folder.rglob("*.py")):
        if path in (files.solution, files.exercise):
            continue
        inner = path.relative_to(files.folder).with_suffix("").parts[:-1]
        for line, name, inside in _imports(path, ".".join((technique.package, *inner))):
            for told in (name, f"{name}.{inside}"):
                if told in solutions or told.startswith(OF_SOLUTIONS):
                    yield (
                        f"{path}:{line}: a plugin imports the solution {told!r}: it is given to properties as "
                        "'reference', and to labs by bench.impl(...)"
                    )
                    break


def _of_the_list(technique: Technique) -> Iterator[str]:
    for number, name in enumerate(technique.imports):
        where = declared(technique, ("imports", number), f'"{name}"')
        if "." in name:
            yield f"{where}: 'imports' lists top-level modules, {name!r} is none: list {name.partition('.')[0]!r}"
        elif importlib.util.find_spec(name) is None:
            yield f"{where}: no module {name!r} is installed: an attempt could not import it"


def _torch(technique: Technique) -> Iterator[str]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", WATCH, technique.package, json.dumps(sys.path)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        yield f"{manifest(technique)}: it cannot be imported by itself: {said[-1]}"
    elif found := json.loads(done.stdout.splitlines()[-1]):
        path, line = found
        yield (
            f"{path}:{line}: importing the manifest imports torch here, and 'learn list' would wait for it: leave it "
            "to properties.py and lab.py"
        )


def _imports(path: Path, package: str) -> Iterator[tuple[int, str, str]]:
    """Yield for every import its line, the module, and the imported name ('' for the module itself)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, package)
            for alias in node.names:
                yield node.lineno, module, alias.name


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    if not package:
        return "." * node.level + (node.module or "")
    above = package.split(".")[: len(package.split(".")) - (node.level - 1)]
    return ".".join([*above, *([node.module] if node.module else [])])
