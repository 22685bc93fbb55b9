"""The proof of a technique: what a full check found, and the digests of what it was found of, in ``proof.toml``.

A full check writes it. The tables [shows_from], [argued] and [owed] are the author's, and are kept as they stand.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import groundup.core
from groundup.core.errors import GroundupError
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.judging.edits import load_edits
from groundup.grader.judging.inputs import INPUTS
from groundup.grader.judging.proof import argued, shares_of, table
from groundup.grader.judging.properties import Properties
from groundup.grader.learner.lab import has_lab, load_lab

__all__ = ["Proved", "State", "beside_the_claim", "kind_of", "owed", "state", "write_proof"]

FILE = "proof.toml"
HEAD = (
    "# What 'learn author check' found. It writes all tables but [shows_from], [argued] and [owed], the author's.\n\n"
)
MUTANTS = ("mutants", "mutants_tried", "equivalent")
WRITTEN = ("proved", "thorough", "lab_full", "matrix")
KINDS = {
    "misconceptions.toml": "misconceptions", "properties.py": "properties", "quiz.yaml": "quiz",
    "quiz_answers.py": "quiz", "examples.toml": "examples", "lab.py": "lab", "figures.py": "lesson",
    "reviewed.toml": "reviewed", "solution.py": "solution", "exercise.py": "exercise", "__init__.py": "manifest",
    FILE: "argued",
}  # fmt: skip
TEXTS = ("lesson", "quiz", "reviewed", "manifest", "examples", "lab", "argued")  # kinds that decide no verdict
CORE = Path(groundup.core.__file__).parent
_HEADER = re.compile(r"^\[\[?([A-Za-z0-9_.-]+)\]?\]", re.MULTILINE)


def kind_of(name: str) -> str:
    """Return the kind of one of a technique's files, which says what rules read it."""
    if name in KINDS:
        return KINDS[name]
    if name.startswith("right/"):
        return "right"
    if name.startswith("lesson"):
        return "lesson"
    if name.startswith("technique") and name.endswith(".toml"):
        return "manifest"
    return "properties" if name.endswith(".py") else "manifest"


@dataclass(frozen=True)
class State:
    """The digests of a technique as it is on disk, and the recorded ones."""

    files: Mapping[str, str]
    core: str
    core_of_verdicts: str
    """Of the shared code that the files use which decide verdicts."""
    lab: str
    recorded: Mapping[str, Any]

    @property
    def changed_files(self) -> list[str]:
        """The technique's own files that differ from those of the proof."""
        before: Mapping[str, str] = self.recorded.get("proved", {}).get("files", {})
        return sorted(name for name in {*before, *self.files} if before.get(name) != self.files.get(name))

    @property
    def core_changed(self) -> bool:
        """Whether the shared code that the technique uses differs from that of the proof."""
        return bool(self.recorded.get("proved", {}).get("core") != self.core)

    @property
    def changed(self) -> frozenset[str]:
        """The kinds of files that have changed; ``core`` for the shared code."""
        return frozenset([*map(kind_of, self.changed_files), *(["core"] if self.core_changed else [])])

    @property
    def is_proved(self) -> bool:
        """Whether there is a proof of exactly this."""
        return not self.changed

    @property
    def is_proved_thoroughly(self) -> bool:
        """Whether a thorough check, too, found nothing wrong with exactly this."""
        thorough = self.recorded.get("thorough", {})
        return bool(thorough.get("of") == self.of_all)

    @property
    def lab_changed(self) -> bool:
        """Whether the lab, in full, is not proved as it is."""
        return bool(self.recorded.get("lab_full", {}).get("of") != self.lab)

    @property
    def of_all(self) -> str:
        """One digest of the technique's files that decide verdicts, and of the shared code that these use."""
        deciding = sorted((name, digest) for name, digest in self.files.items() if kind_of(name) not in TEXTS)
        return _digest(json.dumps([*deciding, self.core_of_verdicts]))


@dataclass(frozen=True)
class Proved:
    """What a full check found, to be recorded."""

    shares: Mapping[str, Mapping[str, float]] | None
    """By mistake and property; None to keep what is recorded."""
    seeds: Sequence[int]
    draws: int
    mutants: Mapping[str, int] | None
    """How many there are, were tried, and make no difference; None to keep what is recorded."""
    thorough: bool = False
    lab_full: bool = False


def state(technique: Technique, registry: Registry | None = None) -> State:
    """Return the digests of a technique as it is now, and its record."""
    paths = dict(_files(technique))
    files = {name: _digest_of(path) for name, path in paths.items()}
    if hand := _by_hand(technique):
        files[FILE] = _digest(hand)
    programs = {name: path for name, path in paths.items() if name.endswith(".py") and not name.startswith("right/")}
    deciding = [path for name, path in programs.items() if kind_of(name) not in TEXTS]
    return State(
        files,
        _core_digest(programs.values()),
        _core_digest(deciding),
        _lab_digest(technique, registry),
        _recorded(technique),
    )


def owed(technique: Technique) -> dict[str, str]:
    """Return the rules that the technique need not keep yet, each with the reason."""
    return {rule: why for rule, why in table(technique, "owed").items() if isinstance(why, str)}


def write_proof(technique: Technique, proved: Proved, registry: Registry | None = None) -> Path:
    """Record what a check found. Return the file."""
    now, path = state(technique, registry), technique.files.folder / FILE
    recorded = dict(now.recorded)
    before = recorded.get("proved", {})
    mutants = {name: before[name] for name in MUTANTS if name in before} if proved.mutants is None else proved.mutants
    recorded["proved"] = {
        "core": now.core, "seeds": list(proved.seeds), "draws": proved.draws, **mutants, "files": dict(now.files),
    }  # fmt: skip
    if proved.thorough:
        recorded["thorough"] = {"of": now.of_all}
    if proved.lab_full:
        recorded["lab_full"] = {"of": now.lab}
    tables = [_written(recorded, name) for name in WRITTEN[:3] if name in recorded]
    shares = shares_of(technique) if proved.shares is None else proved.shares
    hand = _by_hand(technique)
    text = HEAD + "\n".join([*tables, _matrix(Properties(technique).names, shares), *([hand] if hand else [])])
    path.write_text(text, encoding="utf-8")
    return path


def beside_the_claim(technique: Technique, killers: Mapping[str, set[str]]) -> dict[str, list[str]]:
    """Return, by property, the mistakes that a property with a single topic detects although they have another topic.

    Mistakes that ``[argued]`` in proof.toml gives a reason for are left out. ``killers``: the properties that detect
    each mistake.
    """
    properties, reasons = Properties(technique), argued(technique)
    about = {edit.id: edit.about for edit in load_edits(technique)}
    beside: dict[str, list[str]] = {}
    for name in properties.names:
        if (topic := properties.topic(name)) is None:
            continue
        found = [mistake for mistake, by in killers.items() if name in by and about.get(mistake) != topic]
        if unexplained := [mistake for mistake in found if not reasons.get(name, {}).get(mistake)]:
            beside[name] = unexplained
    return beside


# Digests


def _files(technique: Technique) -> Iterator[tuple[str, Path]]:
    """Yield the technique's own files by name, except the proof."""
    files = technique.files
    for path in sorted(files.folder.rglob("*")):
        inner = path.relative_to(files.folder).as_posix()
        if path.is_file() and path.suffix in (".py", ".toml", ".md", ".yaml") and inner != FILE:
            yield inner, path
    for name, path in (("solution.py", files.solution), ("exercise.py", files.exercise), ("quiz.yaml", files.quiz)):
        if path.is_file():
            yield name, path


def _core_digest(programs: Iterable[Path]) -> str:
    """Return the digest of the modules of ``groundup.core`` that the programs import, directly or not."""
    todo, found = [*programs], set[Path]()
    while todo:
        program = todo.pop()
        new = set(_imported(program, _stamp(program))) - found
        found |= new
        todo += new
    told = [(path.relative_to(CORE).as_posix(), _digest_of(path)) for path in sorted(found)]
    return _digest(json.dumps(told))


@functools.lru_cache(maxsize=4096)
def _imported(path: Path, _stamp: int) -> tuple[Path, ...]:
    """Return the files of the modules of ``groundup.core`` that a program imports."""
    names: set[str] = set()
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # the rules that load the program report that
        return ()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    found = []
    for name in sorted(names):
        if name == "groundup.core" or name.startswith("groundup.core."):
            inner = CORE.joinpath(*name.split(".")[2:])
            found += [p for p in (inner.with_suffix(".py"), inner / "__init__.py") if p.is_file()]
    return tuple(found)


def _lab_digest(technique: Technique, registry: Registry | None) -> str:
    """Return the digest of what decides a full run of the lab: the lab, its foil, the solutions, and the core."""
    if not has_lab(technique):
        return ""
    try:
        lab, _ = load_lab(technique)
        used = [technique if i == technique.id else (registry or Registry()).technique(i) for i in lab.uses]
        of_foil = next((t for t in used if lab.foil and t.id == lab.foil.technique), technique)
        edits = [e for e in load_edits(of_foil) if lab.foil and e.id == lab.foil.misconception]
    except GroundupError:  # the rule 'lab' reports that
        return ""
    paths = [technique.files.folder / "lab.py", *(t.files.solution for t in used)]
    foil = [lab.foil.within, lab.foil.edit, lab.seconds] if lab.foil else []
    changes = [[e.within, e.pairs, e.hole, e.replace] for e in edits]
    return _digest(json.dumps([[_digest_of(p) for p in paths], foil, changes, _core_digest(paths)]))


def _digest_of(path: Path) -> str:
    return _digest_at(path, _stamp(path))


@functools.lru_cache(maxsize=4096)
def _digest_at(path: Path, _stamp: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# The file


def _recorded(technique: Technique) -> dict[str, Any]:
    return {name: found for name in WRITTEN if (found := table(technique, name))}


def _by_hand(technique: Technique) -> str:
    """Return the author's tables as they stand."""
    path = technique.files.folder / FILE
    if not path.is_file():
        return ""
    text = path.read_text(encoding="utf-8")
    heads = [*_HEADER.finditer(text)]
    ends = [*(head.start() for head in heads), len(text)][1:]
    parts = [text[h.start() : end] for h, end in zip(heads, ends, strict=True) if h[1].partition(".")[0] not in WRITTEN]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _written(recorded: Mapping[str, Any], name: str) -> str:
    plain = {key: value for key, value in recorded[name].items() if not isinstance(value, dict)}
    lines = [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in plain.items())]
    for key, value in recorded[name].items():
        if isinstance(value, dict):
            lines += ["", f"[{name}.{key}]", *(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in value.items())]
    return "\n".join(lines) + "\n"


def _matrix(names: Sequence[str], shares: Mapping[str, Mapping[str, float]]) -> str:
    """Return the table of the percentage of its draws in which each property finds each mistake."""
    rows = [*names, *([INPUTS] if any(INPUTS in by for by in shares.values()) else [])]
    quoted = ", ".join(json.dumps(mistake) for mistake in shares)
    wrapped = textwrap.wrap(quoted, 116, break_on_hyphens=False, break_long_words=False)
    lines = ["[matrix]", "mistakes = [", *(f"  {line}" for line in wrapped), "]", "", "[matrix.percent]"]
    for name in rows:
        whole = f"{name} = [{', '.join(str(_percent(by.get(name, 0.0))) for by in shares.values())}]"
        if len(whole) <= 120:
            lines.append(whole)
        else:
            inner = textwrap.wrap(whole[whole.index("[") + 1 : -1], 116)
            lines += [f"{name} = [", *(f"  {line}" for line in inner), "]"]
    return "\n".join(lines) + "\n"


def _percent(share: float) -> int:
    """Return the share in whole per cent: 0 and 100 for exactly that."""
    return round(100 * share) if share in (0.0, 1.0) else min(max(round(100 * share), 1), 99)
