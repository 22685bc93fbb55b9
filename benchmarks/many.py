"""Makes a copy of the project with 120 techniques, to measure the cost of having many.

``python benchmarks/many.py FOLDER 50`` makes one with 50 and with the tests, and prints how to run them there.

The added techniques are built-ins of the copy, as future ones will be: each has the files of one of the existing
techniques, in turn, under another id, and requires nothing. First come those that the roadmap names but that are not
written yet, then further ones of each track.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from groundup.core.registry import Registry
from groundup.core.technique import Technique

__all__ = ["COUNT", "generate"]

COUNT = 120  # including the existing ones
ROOT = Path(__file__).parents[1]
ROOMS = ("core", "plugins", "solutions", "exercises", "quizzes", "grader", "cli")
OF_TESTS = ("tests", "benchmarks", "docs", "examples")
FILES_OF_TESTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "pyproject.toml", "setup.py", "learn")
PROVE = """
from groundup.core.registry import Registry
from groundup.grader.authoring.proof import Proved, state, write_proof

registry = Registry()
for technique in registry.techniques.values():
    now = state(technique, registry)
    if not now.is_proved:  # a copy of a proved one, under another id
        write_proof(technique, Proved(None, now.recorded["proved"]["seeds"], now.recorded["proved"]["draws"], None))
"""
MORE_TRACKS = ("peft", "compression", "data", "rl-systems", "planning")  # not in the roadmap


def generate(folder: Path, count: int = COUNT) -> Path:
    """Make the copy with ``count`` techniques in total; return the value of PYTHONPATH to run it with."""
    copy = folder / "groundup"
    for room in ROOMS:
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    registry = Registry()
    models = itertools.cycle(sorted(registry.techniques.values(), key=lambda t: t.id))
    more = count - len(registry.techniques)
    for identity, model in zip(itertools.islice(_identities(registry), more), models, strict=False):
        _copied(model, identity, copy)
    return folder


def _identities(registry: Registry) -> Iterator[str]:
    named = dict.fromkeys(i for r in registry.roadmaps.values() for day in r.days for i in day.techniques)
    tracks = sorted({i.partition("/")[0] for i in [*named, *registry.techniques]} | {*MORE_TRACKS})
    further = (f"{track}/further-{n}" for n in itertools.count(1) for track in tracks)
    return itertools.chain((i for i in named if i not in registry.techniques), further)


def _copied(model: Technique, identity: str, copy: Path) -> None:
    """Write the technique ``identity`` into the copy, with the files of ``model``."""
    old, new = (i.replace("-", "_") for i in (model.id, identity))
    folder = copy / "plugins" / new
    shutil.copytree(copy / "plugins" / old, folder)
    manifest = (folder / "technique.toml").read_text("utf-8")
    changed = re.sub(rf'(?m)^id = "{model.id}"$', f'id = "{identity}"', manifest, count=1)
    changed = re.sub(r"(?ms)^requires = \[.*?\]$", "", changed)  # otherwise some would require each other in a circle
    (folder / "technique.toml").write_text(changed, "utf-8")
    for room, suffix in (("solutions", ".py"), ("exercises", ".py"), ("quizzes", ".yaml")):
        target = (copy / room / new).with_suffix(suffix)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile((copy / room / old).with_suffix(suffix), target)
    for package in (copy / "plugins" / new, copy / "solutions" / new, copy / "exercises" / new):
        track = package.parent / "__init__.py"
        if not track.exists():
            track.write_text('"""A track."""\n', "utf-8")


def with_tests(folder: Path, count: int) -> str:
    """Make the copy with its tests and with proofs of the copied techniques; return the command that runs the tests."""
    path = generate(folder, count)
    for room in OF_TESTS:
        shutil.copytree(ROOT / room, folder / "groundup" / room, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES_OF_TESTS:
        shutil.copy(ROOT / file, folder / "groundup" / file)
    subprocess.run([sys.executable, "-c", PROVE], env={**os.environ, "PYTHONPATH": str(path)}, check=True)
    pytest = f"{sys.executable} -m pytest -n auto --maxprocesses 4 --dist loadgroup"
    return f"cd {folder}/groundup && PYTHONPATH={path} {pytest}"


if __name__ == "__main__":
    print(with_tests(Path(sys.argv[1]).absolute(), int(sys.argv[2])))
