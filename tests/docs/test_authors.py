"""The authors' pages: their code is run, or is quoted verbatim from a file of the repository."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import subprocess
import sys
import textwrap
import tomllib
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import torch

from groundup.cli.main import cli
from groundup.core import hookspecs
from groundup.core.quiz.question import Question
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.authoring.author import Check, write_stub
from groundup.grader.judging.edits import load_edits, load_equivalents
from groundup.grader.judging.judge import Judge
from groundup.grader.process.fork_server import ForkServer

ROOT = Path(__file__).parents[2]
AUTHORS = ROOT / "docs" / "authors"
PAGES = [p for p in sorted(AUTHORS.glob("*.md")) if p.name != "contract.md"]
LINKING = [*PAGES, AUTHORS / "contract.md", ROOT / "CONTRIBUTING.md", ROOT / "README.md"]


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: str
    language: str
    text: str
    heading: str
    line: int

    @property
    def quotes(self) -> str | None:
        """The file of the repository that the block's first line names, if any."""
        found = re.match(r"# ((?:plugins|solutions|core|quizzes)/\S+)\n", self.text)
        return found and found[1]


def blocks(page: Path) -> Iterator[Block]:
    heading, fence, language, kept = "", "", "", [""]
    for number, line in enumerate(page.read_text("utf-8").splitlines(), start=1):
        if not fence and line.startswith("#"):
            heading = line.lstrip("# ")
        found = re.match("`{3,}", line)
        if found and not fence:
            fence, language, kept = found[0], line[found.end() :], []
        elif fence and line == fence:
            yield Block(page.name, language, "\n".join(kept) + "\n", heading, number - len(kept))
            fence = ""
        else:
            kept.append(line)
    assert not fence, f"{page}: a block without an end"


BLOCKS = [block for page in PAGES for block in blocks(page)]


def of(page: str, language: str) -> list[Block]:
    """Return the blocks of a page in that language that are not quotations."""
    found = [b for b in BLOCKS if (b.page, b.language) == (page, language) and not b.quotes]
    assert found
    return found


def named(block: Block) -> str:
    return f"{block.page}:{block.line}"


# Quotations, commands and links


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    assert {"conventions-and-tolerances.md", "hooks.md", "misconceptions.md", "properties.md"} <= {
        p.name for p in PAGES
    }
    assert {b.language for b in BLOCKS} <= {"python", "toml", "console", "text", "yaml", "markdown"}


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.quotes], ids=named)
def test_what_is_quoted_stands_there_word_for_word(block: Block) -> None:
    quoted = block.text.partition("\n")[2]
    assert len(quoted.splitlines()) >= 1
    assert quoted in (ROOT / str(block.quotes)).read_text("utf-8")


def commands() -> list[str]:
    shown = [line[2:] for b in BLOCKS if b.language == "console" for line in b.text.splitlines() if line[:2] == "$ "]
    said = [c for page in LINKING for c in re.findall(r"`(?:\./)?(learn [^`\n]+)`", page.read_text("utf-8"))]
    found = [c.removeprefix("./") for c in (*shown, *said) if c.removeprefix("./").startswith("learn ")]
    assert len(found) > 10
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("line", commands())
def test_every_command_that_is_shown_exists_with_its_options(line: str) -> None:
    words = [word for word in line.split("#")[0].split()[1:] if word != "..."]
    command: click.Command | None = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        command = command.get_command(context, words.pop(0))
        assert command is not None, line
    assert command is not None
    known = {option for parameter in command.params for option in parameter.opts} | {"--help", "--version"}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= known


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.name)
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
        assert target.startswith(("http://", "https://")) or (page.parent / target).exists(), target


def test_every_page_is_linked_from_another() -> None:
    texts = {page: page.read_text("utf-8") for page in LINKING}
    for page in (*PAGES, AUTHORS / "contract.md"):
        assert any(page.name in text for other, text in texts.items() if other != page), page


# hooks.md


GIVEN: dict[str, dict[str, Any]] = {
    "brief_sections": {"verdicts": [{"technique": "rl/gae", "seconds": 0.5}], "lang": "zh"},
    "verdict_given": {"verdict": {"technique": "rl/gae", "passed": True, "given_at": "2026-01-01"}},
}
HOOKS = [name for name, value in vars(hookspecs).items() if hasattr(value, "groundup_spec")]


def test_every_hook_has_its_section_in_the_order_of_the_contract() -> None:
    assert [b.heading for b in of("hooks.md", "python")] == HOOKS


@pytest.mark.parametrize("block", of("hooks.md", "python"), ids=lambda block: block.heading)
def test_a_shown_plugin_does_what_its_section_says(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with plugin(tmp_path, **{"__init____py": block.text, "technique__toml": manifest()}) as module:
        found = Registry([(module.__name__, lambda: module)])
        assert found.problems == []
        answers, problems = found.ask(block.heading, lambda answer: answer, **GIVEN.get(block.heading, {}))
        assert problems == []
        ((_, answer),) = answers
        match block.heading:
            case "techniques":
                assert found.techniques["rl/weighted-mean"].minutes == 30
            case "roadmaps":
                assert found.day("day-1", "toy-week").quiz == "gae"
            case "question_types":
                ask(answer["true-or-false"])
            case "brief_sections":
                assert answer == {"评判用时": "0.5 s for 1 verdicts."}
            case "verdict_given":
                assert (tmp_path / "passed.txt").read_text() == "2026-01-01 rl/gae\n"
            case "commands":
                answer[0].main(["gae"], standalone_mode=False)
                assert "https://arxiv.org/abs/1506.02438\n" in capsys.readouterr().out


def ask(kind: type[Question]) -> None:
    fields = {"id": "sky", "kind": "true-or-false", "text": "It is green.", "explanation": "Look.", "section": "Sky"}
    question: Any = kind.model_validate(fields | {"holds": False})
    assert [question.is_right(question.read(given)) for given in ("False", True)] == [True, False]
    with pytest.raises(ValueError, match="neither true nor false"):
        question.read("maybe")


@contextlib.contextmanager
def plugin(folder: Path, **files: str) -> Iterator[types.ModuleType]:
    """Load a package made of these texts."""
    name = f"shown_plugin_{len(sys.modules)}"
    (folder / name).mkdir()
    for file, text in files.items():
        path = folder / name / re.sub(r"__(py|md|toml|yaml)$", r".\1", file)
        path.write_text(text, "utf-8")
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
        for module in [m for m in sys.modules if m.partition(".")[0] == name]:
            del sys.modules[module]


# properties.md and misconceptions.md


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Technique]:
    """The technique that the pages describe, assembled from their blocks."""
    texts = files()
    with plugin(
        tmp_path_factory.mktemp("shown"), **{n.replace(".", "__"): text for n, text in texts.items()}
    ) as module:
        technique = Registry([(module.__name__, lambda: module)]).technique("weighted-mean")
        write_stub(technique)
        yield technique


def manifest() -> str:
    """Return the text that the pages put into technique.toml."""
    shown = [*of("hooks.md", "toml"), *of("tutorial.md", "toml")]
    texts = [b.text for b in shown if b.text.startswith("# technique.toml\n")]
    assert len(texts) == 2
    return "\n".join(texts)


def files() -> dict[str, str]:
    """Return the text that the pages put into each file of the technique, by file name."""
    solution, *properties = (b.text for b in of("properties.md", "python"))
    module = next(b.text for b in of("hooks.md", "python") if b.heading == "techniques")
    parts = [*of("tutorial.md", "python"), *of("tutorial.md", "yaml")]
    texts = {b.text.partition("\n")[0].removeprefix("# "): b.text for b in parts}
    assert set(texts) == {"quiz_answers.py", "lab.py", "quiz.yaml"}
    assert solution.startswith("# solution.py\n")
    assert properties[0].startswith("# properties.py\n")
    (lesson,) = of("tutorial.md", "markdown")
    return texts | {
        "__init__.py": module,
        "technique.toml": manifest(),
        "solution.py": solution,
        "properties.py": "\n\n".join(properties),
        "misconceptions.toml": "\n".join(b.text for b in of("misconceptions.md", "toml")),
        "lesson.md": lesson.text,
    }


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    torch.set_num_threads(1)
    with ForkServer() as server:
        yield Judge(server)


def test_the_shown_technique_is_sound(judge: Judge, shown: Technique) -> None:
    findings = list(Check(judge, shown, seeds=1).findings())
    assert len(findings) == len(Check.RULES)
    assert [(f.rule, problem) for f in findings for problem in f.problems] == []


@pytest.mark.soak
def test_each_shown_mistake_is_found_out_whatever_the_seed(judge: Judge, shown: Technique) -> None:
    _, problems = Check(judge, shown, seeds=50).misconceptions()
    assert problems == []


def test_an_attempt_that_makes_a_shown_mistake_is_told_its_name(judge: Judge, shown: Technique) -> None:
    solution = shown.files.solution.read_text("utf-8")
    edits = load_edits(shown)
    assert {e.kind for e in edits} == {"misconception", "convention"}
    assert len(load_equivalents(shown)) == 1
    for edit in edits:
        verdict = judge.grade(shown, edit.apply(solution), "weighted_mean.py", seed=1).verdict
        assert [(d.id, d.kind) for d in verdict.diagnosis] == [(edit.id, edit.kind)]


# tutorial.md


class Author:
    """Follows the tutorial, in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.site = folder / "work", folder / "site"
        for made in (self.folder, self.site):
            made.mkdir()
        self.package = self.folder / "groundup-weighted-mean" / "groundup_weighted_mean"

    def type(self, line: str) -> subprocess.CompletedProcess[str]:
        words = line.split()
        if words[:4] == ["python", "-m", "pip", "install"]:
            self.install(self.folder / words[-1])
            words = ["python", "--version"]
        words[0] = str(Path(sys.executable).with_name(words[0]))
        environment = {**os.environ, "PYTHONPATH": str(self.site), "LEARN_WARM": "0", "COLUMNS": "100"}
        return subprocess.run(words, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)

    def install(self, distribution: Path) -> None:
        """Install as ``pip install --editable`` does, but invisibly to other tests and without a network."""
        project = tomllib.loads((distribution / "pyproject.toml").read_text("utf-8"))["project"]
        entries = "".join(f"{name} = {value}\n" for name, value in project["entry-points"]["groundup"].items())
        information = self.site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1\n")
        (information / "entry_points.txt").write_text(f"[groundup]\n{entries}")
        (self.site / self.package.name).symlink_to(self.package)

    def put(self, *names: str) -> None:
        for name in names:
            assert (self.package / name).is_file(), name
            (self.package / name).write_text(files()[name], "utf-8")


PUT = {  # heading's number -> the files that the reader has filled before its commands
    "2": ["solution.py"],
    "4": ["technique.toml", "properties.py"],
    "5": ["misconceptions.toml"],
    "9": ["lesson.md", "quiz.yaml", "quiz_answers.py", "lab.py"],
}


@pytest.mark.soak
def test_the_tutorial_goes_as_it_says(tmp_path: Path) -> None:
    author, done = Author(tmp_path), ""
    for block in of("tutorial.md", "console"):
        part = block.heading.partition(".")[0]
        if part != done:
            author.put(*PUT.get(part, []))
            done = part
        for shown in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            line, *expected = shown.splitlines()
            ended = author.type(line)
            told = f"{line}\n{ended.stdout}{ended.stderr}"
            assert ended.returncode == (1 if line.startswith("learn grade") else 0), told
            for wanted in expected:
                assert wanted == "..." or wanted in ended.stdout, told


# conventions-and-tolerances.md


def test_the_statements_about_tolerances_hold() -> None:
    module: dict[str, Any] = {}
    for block in of("conventions-and-tolerances.md", "python"):
        exec(compile(textwrap.dedent(block.text), named(block), "exec"), module)
