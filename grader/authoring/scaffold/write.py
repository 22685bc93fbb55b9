"""Writes a new technique that is complete and passes its check, for the author to change."""

from __future__ import annotations

import ast
import builtins
import functools
import json
import keyword
import re
import textwrap
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

import groundup.core
from groundup.core.errors import UnknownName, UsageProblem
from groundup.core.messages import Message, either
from groundup.core.registry import Registry
from groundup.grader.authoring.scaffold.batches import batches_of, without_a_loss
from groundup.grader.authoring.scaffold.chinese import chinese_outline
from groundup.grader.judging.exercise import holes, stub

__all__ = ["INTERFACES", "NewTechnique", "new_technique", "write_builtin", "write_distribution"]

TEMPLATES = Path(__file__).parent
INTERFACES = {
    "function": "function",
    "Attention": "attention",
    "KVCacheManager": "kv_cache_manager",
    "Optimizer": "optimizer",
    "RLAlgorithm": "rl_algorithm",
    "ParallelStrategy": "parallel_strategy",
    "Collective": "collective",
}
"""The folder of the example for each interface; ``function`` is for techniques without an interface."""
TECHNIQUE = ("technique.toml", "properties.py", "misconceptions.toml", "lesson.md", "quiz_answers.py", "lab.py")
"""Files always in the manifest's folder. The folders of solution, exercise and quiz depend on the kind."""
LONGEST = 40
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_HOLE = re.compile(r"^ *# HOLE \d", re.MULTILINE)
_TRACK = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True)
class NewTechnique:
    """A technique to write: its name, which is free, and the example that it starts from."""

    name: str
    interface: str
    batch: str | None
    track: str
    about: dict[str, Any]

    @property
    def id(self) -> str:
        """The full id, ``track/name``."""
        return f"{self.track}/{self.name}"

    @property
    def identifier(self) -> str:
        """The name as a Python identifier: ``my_technique``."""
        return self.name.replace("-", "_")

    @property
    def implements(self) -> str:
        """The public function or class: ``my_technique``, or ``MyTechnique``."""
        camel = "".join(part.capitalize() for part in self.name.split("-"))
        return self.identifier if self.interface == "function" else camel


def new_technique(
    name: str, interface: str, registry: Registry, track: str | None = None, *, batch: str | None = None
) -> NewTechnique:
    """Return the technique to write. Raises UsageProblem for an invalid or taken name, UnknownName.

    ``batch`` is the batch class of a learning rule; without it a learning rule gets the interface's default.
    """
    if interface not in INTERFACES:
        raise UnknownName(
            Message("interface"), interface, INTERFACES, Message("There are {names}.", names=[*INTERFACES])
        )
    if not _NAME.fullmatch(name):
        raise UsageProblem(
            "{name!r} is no name for a technique: small letters, digits and single hyphens, a letter first, as "
            "in my-technique.",
            name=name,
        )
    if len(name) > LONGEST:
        raise UsageProblem(
            "{name!r} has {count} characters: at most {longest}.", name=name, count=len(name), longest=LONGEST
        )
    if batch is not None:
        _check_batch(batch, interface)
    batch, about = _about(interface, batch)
    track = track or str(about["track"])
    if not _TRACK.fullmatch(track):
        raise UsageProblem(
            "{track!r} is no track: small letters, digits and hyphens, a letter first: rl-systems.", track=track
        )
    new = NewTechnique(name, interface, batch, track, about)
    taken = [t.id for t in registry.techniques.values() if name in (t.name, t.id)]
    if taken:
        raise UsageProblem("The name {name!r} is taken, by {owner}: choose another.", name=name, owner=taken[0])
    if keyword.iskeyword(new.implements) or new.implements in _bound(new) | set(dir(builtins)):
        raise UsageProblem(
            "{name!r} would be called {implements!r} in Python, where that has a meaning: choose another name.",
            name=name,
            implements=new.implements,
        )
    return new


def write_distribution(new: NewTechnique, folder: Path) -> list[Path]:
    """Create ``folder`` and write a distribution into it. Raises UsageProblem if it is not empty."""
    package = f"groundup_{new.identifier}"
    rendered = {
        name: _render(f"distribution/{name}.jinja", new, package)
        for name in ("pyproject.toml", "README.md", "gitignore", "check.yml", "test_technique.py")
    }
    inside = folder / package
    files = {
        folder / "pyproject.toml": rendered["pyproject.toml"],
        folder / "README.md": rendered["README.md"],
        folder / ".gitignore": rendered["gitignore"],
        folder / ".github" / "workflows" / "check.yml": rendered["check.yml"],
        folder / "tests" / "test_technique.py": rendered["test_technique.py"],
        **_technique(new, package, inside),
    }
    solution = _example("solution.py", new, package)
    files |= {inside / "solution.py": solution, inside / "exercise.py": stub(solution)}
    files[inside / "quiz.yaml"] = _example("quiz.yaml", new, package)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageProblem(
            "{folder} is there already, and nothing is overwritten: choose another folder with --into.", folder=folder
        )
    return _written(files)


def write_builtin(new: NewTechnique, root: Path | None = None) -> list[Path]:
    """Write the technique into this clone, or into ``root``. Raises UsageProblem if one of its files exists."""
    root = root or Path(groundup.core.__file__).parents[1]
    if not (root / "setup.py").is_file():
        raise UsageProblem(
            "{root} is no clone of Groundup but an installed copy: --builtin works in a clone.", root=root
        )
    track = new.track.replace("-", "_")
    package = f"groundup.plugins.{track}.{new.identifier}"
    solution = _example("solution.py", new, package)
    folder = root / "plugins" / track / new.identifier
    manifest = _example("technique.zh.toml", new, package)
    title = tomllib.loads(manifest)["title"]
    files = {
        **_technique(new, package, folder),
        folder / "technique.zh.toml": manifest,
        folder / "lesson.zh.md": chinese_outline(_example("lesson.md", new, package), title),
        root / "solutions" / track / f"{new.identifier}.py": solution,
        root / "exercises" / track / f"{new.identifier}.py": stub(solution),
        root / "quizzes" / track / f"{new.identifier}.yaml": _example("quiz.yaml", new, package),
    }
    if there := [path for path in files if path.exists()]:
        raise UsageProblem("{path} is there already, and nothing is overwritten: choose another name.", path=there[0])
    kinds = {"plugins": "Techniques", "solutions": "References", "exercises": "Stubs", "quizzes": "Questions"}
    for kind, what in kinds.items():
        if not (init := root / kind / track / "__init__.py").exists():
            files[init] = f'"""{what} of the track ``{new.track}``."""\n'
    return _written(files)


def _check_batch(batch: str, interface: str) -> None:
    """Raise UsageProblem unless rules of that interface take that batch."""
    known = batches_of(interface)
    if not known:
        raise UsageProblem(
            "The interface {interface} takes no batch: leave out --batch {batch}, or give --interface {takes}.",
            interface=interface, batch=batch, takes=either([name for name in INTERFACES if batches_of(name)]),
        )  # fmt: skip
    if batch in without_a_loss(interface):
        raise UsageProblem(
            "No loss takes a {batch}: none of its fields can carry a gradient. {interface} takes {names}.",
            batch=batch, interface=interface, names=known,
        )  # fmt: skip
    if batch not in known:
        unknown = UnknownName(Message("batch"), batch, known)
        raise UsageProblem(
            "{unknown} {interface} takes {names}.", unknown=unknown.message, interface=interface, names=known
        )


def _about(interface: str, batch: str | None) -> tuple[str | None, dict[str, Any]]:
    """Return the example's batch, if it has one, and its facts, which include the differing parts of its files."""
    folder = TEMPLATES / INTERFACES[interface]
    about = _read(folder / "about.toml")
    batch = batch or about.get("batch")
    return batch, _read(folder / "batches" / f"{_snake(batch)}.toml") if batch else about


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _snake(name: str) -> str:
    """Return ``reward_pair_batch`` for ``RewardPairBatch``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _technique(new: NewTechnique, package: str, folder: Path) -> dict[Path, str]:
    """Return the files of the plugin's folder, which are the same for both kinds."""
    files = {folder / name: _example(name, new, package) for name in TECHNIQUE}
    return {
        folder / "__init__.py": _render("distribution/module.py.jinja", new, package),
        folder / "figures.py": _render("distribution/figures.py.jinja", new, package),
        **files,
    }


def _written(files: dict[Path, str]) -> list[Path]:
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    return list(files)


def _bound(new: NewTechnique) -> set[str]:
    """Return the names that the example's solution imports or assigns."""
    tree = ast.parse(_example("solution.py", new, "package"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    found = {alias.asname or alias.name.partition(".")[0] for node in imports for alias in node.names}
    return found | {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _example(name: str, new: NewTechnique, package: str) -> str:
    codes = _codes(_example("solution.py", new, package)) if name == "technique.toml" else []
    return _render(f"{INTERFACES[new.interface]}/{name}.jinja", new, package, codes)


@functools.cache
def _parts(interface: str) -> int:
    """Return how many holes the example of an interface has."""
    return len(_HOLE.findall((TEMPLATES / INTERFACES[interface] / "solution.py.jinja").read_text(encoding="utf-8")))


def _codes(solution: str) -> list[str]:
    """Return the solution's code in each hole, which the last hints give."""
    lines = solution.splitlines(keepends=True)
    return [textwrap.dedent("".join(lines[hole.first : hole.last])) for hole in holes(solution)]


def _render(template: str, new: NewTechnique, package: str, codes: Sequence[str] = ()) -> str:
    return _environment().get_template(template).render(
        name=new.name, id=new.id, identifier=new.identifier, implements=new.implements, package=package,
        distribution=f"groundup-{new.name}", interface=new.interface, batch=new.batch,
        about=new.about, codes=codes, parts=_parts(new.interface),
    )  # fmt: skip


def _environment() -> jinja2.Environment:
    """Return a template environment whose delimiters do not occur in Python, TOML or YAML."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.StrictUndefined, keep_trailing_newline=True,
        trim_blocks=True, lstrip_blocks=True, variable_start_string="<<", variable_end_string=">>",
        block_start_string="<%", block_end_string="%>", comment_start_string="<#", comment_end_string="#>",
        autoescape=False,
    )  # fmt: skip
    made.filters["quoted"] = functools.partial(json.dumps, ensure_ascii=False)  # a JSON string is a TOML string
    return made
