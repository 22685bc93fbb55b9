"""The authors' pages: their code is run, or is quoted verbatim from a file of the repository."""

from __future__ import annotations

import ast
import contextlib
import importlib
import itertools
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
import yaml

from groundup.cli.main import cli
from groundup.core import hookspecs
from groundup.core.errors import PluginProblem
from groundup.core.quiz import arithmetic
from groundup.core.quiz.arithmetic import Formula
from groundup.core.quiz.code_question import same_print
from groundup.core.quiz.number_question import Tolerance
from groundup.core.quiz.question import NotAnAnswer, Question
from groundup.core.quiz.typed_formula import read_formula
from groundup.core.quiz.unit import UNITS
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.authoring import report
from groundup.grader.authoring.check import Check
from groundup.grader.authoring.proof import owed
from groundup.grader.authoring.rules import RULES
from groundup.grader.authoring.scaffold.batches import batches_of, without_a_loss
from groundup.grader.authoring.scaffold.write import INTERFACES, new_technique
from groundup.grader.authoring.soundness import examples, quiz
from groundup.grader.authoring.stubs import write_stub
from groundup.grader.judging.edits import load_edits, load_equivalents
from groundup.grader.judging.judge import Judge
from groundup.grader.judging.proof import argued, shows_from
from groundup.grader.process.fork_server import ForkServer
from groundup.plugins import question_kinds

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
    assert {"conventions-and-tolerances.md", "hooks.md", "misconceptions.md", "properties.md", "quiz.md"} <= {
        p.name for p in PAGES
    }
    assert {b.language for b in BLOCKS} <= {"python", "toml", "console", "text", "yaml", "markdown", "diff"}


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
    for target in re.findall(r"\]\(([^)#\s]+)", re.sub(r"`[^`\n]+`", "", page.read_text("utf-8"))):
        assert target.startswith(("http://", "https://", "figure:")) or (page.parent / target).exists(), target


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
    assert set(texts) == {"figures.py", "quiz_answers.py", "lab.py", "quiz.yaml"}
    assert solution.startswith("# solution.py\n")
    assert properties[0].startswith("# properties.py\n")
    (lesson,) = of("tutorial.md", "markdown")
    (worked,) = (b.text for b in of("tutorial.md", "toml") if b.text.startswith("# examples.toml\n"))
    return texts | {
        "examples.toml": worked,
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


@pytest.mark.soak
def test_the_shown_technique_is_sound(judge: Judge, shown: Technique) -> None:
    findings = list(Check(judge, shown, seeds=1).findings())
    assert [f.rule for f in findings] == list(RULES)
    assert [(f.rule, problem) for f in findings for problem in f.problems] == []


def test_the_shown_solution_gives_the_shown_numbers(shown: Technique) -> None:
    assert examples.check(shown) == ("3 examples", [])


def test_a_wrong_number_is_told_as_shown(shown: Technique) -> None:
    path = shown.files.solution
    right = path.read_text("utf-8")
    wrong = right.replace("return total / torch.where(count == 0, 1, count)", "return total / x.shape[-1]")
    assert wrong != right
    path.write_text(wrong, "utf-8")
    try:
        _, problems = examples.check(shown)
    finally:
        path.write_text(right, "utf-8")
    (told,) = (b.text.strip() for b in of("tutorial.md", "text") if "three-episodes" in b.text)
    assert problems[0] == f"{shown.files.folder}/{told}"


@pytest.mark.soak
def test_each_shown_mistake_is_found_out_whatever_the_seed(judge: Judge, shown: Technique) -> None:
    (finding,) = Check(judge, shown, seeds=50, rules=["misconceptions"]).findings()
    assert finding.problems == ()


def test_an_attempt_that_makes_a_shown_mistake_is_told_its_name(judge: Judge, shown: Technique) -> None:
    solution = shown.files.solution.read_text("utf-8")
    edits = load_edits(shown)
    assert {e.kind for e in edits} == {"misconception", "convention"}
    assert len(load_equivalents(shown)) == 1
    for edit in edits:
        verdict = judge.grade(shown, edit.apply(solution), "weighted_mean.py", seed=1).verdict
        assert [(d.id, d.kind) for d in verdict.diagnosis] == [(edit.id, edit.kind)]


# rules.md


def test_the_page_names_every_rule_with_an_example() -> None:
    text = (AUTHORS / "rules.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in row.strip("|").split(" | ")] for row in text.splitlines() if row.startswith("| `")
    ]
    assert [(name, says) for name, says, _ in rows] == [(f"`{name}`", rule.says) for name, rule in RULES.items()]
    assert all(len(example) > 10 for _, _, example in rows)


def test_the_tables_of_a_proof_that_are_the_authors_are_read_as_shown(shown: Technique) -> None:
    (tables,) = (b.text for b in of("rules.md", "toml"))
    path = shown.files.folder / "proof.toml"
    before = path.read_text("utf-8") if path.exists() else None
    path.write_text(tables, "utf-8")
    try:
        found = shows_from(shown), argued(shown), owed(shown)
    finally:
        path.write_text(before, "utf-8") if before is not None else path.unlink()
    assert found == (
        {"doubles-the-second": 2},
        {"rows_are_refused": {"forgets-a-row": "It refuses nothing, so it does not refuse this row either."}},
        {"lab-full": "The lab gets a foil with the new lesson."},
    )


def test_the_page_on_soundness_is_what_the_proofs_say() -> None:
    built_in = [t for t in Registry().techniques.values() if t.package.startswith("groundup.plugins.")]
    assert (ROOT / "docs" / "soundness.md").read_text("utf-8") == report.page(built_in), "'make docs' writes it"


# tutorial.md


def test_the_table_of_examples_lists_those_that_are_written() -> None:
    tutorial = (AUTHORS / "tutorial.md").read_text("utf-8")
    head = "| interface | batch | the example |\n|---|---|---|\n"
    listed = tutorial.partition(head)[2].partition("\n\n")[0].splitlines()
    written = []
    for interface in INTERFACES:
        for batch in batches_of(interface) or [None]:
            title = new_technique("brand-new", interface, Registry(), batch=batch).about["title"]
            shown = "none" if interface == "function" else f"`{interface}`"
            written.append(f"| {shown} | `{batch}` | {title} |" if batch else f"| {shown} | | {title} |")
    assert listed == written
    default = new_technique("brand-new", "RLAlgorithm", Registry()).batch
    assert f"without it that is a `{default}`" in tutorial
    for batch in without_a_loss("RLAlgorithm"):
        assert f"A `{batch}` is what a rule packs texts into." in tutorial


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
    "9": ["lesson.md", "figures.py", "quiz.yaml", "quiz_answers.py", "lab.py"],
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


# quiz.md


SOUND = "12 questions, 4 worked out in another way for 200 draws, 1 run"
QUIZ = {
    "quiz.yaml": "questions:\n" + "\n".join(b.text for b in of("quiz.md", "yaml")),
    "quiz_answers.py": "".join(b.text for b in of("quiz.md", "python")),
}
CHANGES = of("quiz.md", "diff")


def checked(folder: Path, texts: dict[str, str]) -> tuple[str, list[str]]:
    """Return what the rule ``quiz`` says of these files, with paths as the page shows them."""
    with plugin(folder, **{n.replace(".", "__"): text for n, text in (files() | texts).items()}) as module:
        registry = Registry()
        registry.techniques |= Registry([(module.__name__, lambda: module)]).techniques
        try:
            detail, problems = quiz.check(registry.technique("weighted-mean"), registry)
        except PluginProblem as problem:
            detail, problems = "", [str(problem)]
        return detail, [problem.replace(f"{folder / module.__name__}/", "") for problem in problems]


def rows(page: str, *header: str) -> list[list[str]]:
    """Return the cells of the tables of a page that have this header."""
    lines = (AUTHORS / page).read_text("utf-8").splitlines()
    found: list[list[str]] = []
    for number, line in enumerate(lines):
        if [cell.strip() for cell in line.strip("|").split("|")] == list(header):
            body = itertools.takewhile(lambda row: row.startswith("|"), lines[number + 2 :])
            found += [[cell.strip() for cell in row[1:-1].split("|")] for row in body]
    assert found
    return found


def code(cell: str) -> list[str]:
    return re.findall("`([^`]+)`", cell)


def questions() -> dict[str, Any]:
    kinds = question_kinds.question_types()
    return {
        each["id"]: kinds[each["kind"]].model_validate(each) for each in yaml.safe_load(QUIZ["quiz.yaml"])["questions"]
    }


def test_the_shown_quiz_is_sound_and_has_every_kind(tmp_path: Path) -> None:
    assert checked(tmp_path, QUIZ) == (SOUND, [])
    assert {q.kind for q in questions().values()} == set(question_kinds.question_types())
    assert any(SOUND in block.text for block in of("quiz.md", "console"))


@pytest.mark.parametrize(
    "block", [pytest.param(b, marks=() if n % 4 == 0 else pytest.mark.soak, id=named(b)) for n, b in enumerate(CHANGES)]
)
def test_a_shown_flaw_is_told_as_the_page_says(block: Block, tmp_path: Path) -> None:
    texts = dict(QUIZ)
    changes = re.findall(r"(?:- .*\n)+(?:\+ .*\n)*", block.text)
    assert "".join(changes) == block.text
    for change in changes:
        old, new = ("".join(f"{line[2:]}\n" for line in change.splitlines() if line[0] == sign) for sign in "-+")
        (file,) = (name for name, text in texts.items() if old in text)
        assert texts[file].count(old) == 1
        texts[file] = texts[file].replace(old, new)
    shown = next(b for b in of("quiz.md", "text") if b.line > block.line)
    problems = checked(tmp_path, texts)[1]
    assert problems
    expected = re.split(r"\n(?=quiz\S*:\d+: )", shown.text)
    assert {" ".join(told.split()) for told in expected} <= {" ".join(told.split()) for told in problems}


def test_what_is_asked_of_a_built_in_quiz_is_told_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiz, "built_in", lambda technique: True)
    *_, shown = of("quiz.md", "text")
    assert checked(tmp_path, QUIZ)[1] == shown.text.splitlines()


def test_every_key_of_a_question_is_in_a_table() -> None:
    told = {key for row in rows("quiz.md", "key", "meaning") for key in code(row[0])}
    kinds = question_kinds.question_types().values()
    assert told == {key for kind in kinds for key in kind.model_fields} - {"order", "left"}


def test_the_shown_formulas_have_the_shown_values_and_use_all_there_is() -> None:
    shown = [(code(row[0])[0], float(row[1])) for row in rows("quiz.md", "formula", "value", "")]
    assert [(text, Formula(text)({})) for text, _ in shown] == shown
    nodes = [node for text, _ in shown for node in ast.walk(ast.parse(text, mode="eval"))]
    assert {node.id for node in nodes if isinstance(node, ast.Name)} == set(arithmetic.FUNCTIONS)
    operators = {type(node.op) for node in nodes if isinstance(node, ast.BinOp | ast.UnaryOp)}
    assert operators == set(arithmetic.OPERATORS)


def test_the_shown_units_are_all_units() -> None:
    told = {quantity: set(code(units)) for quantity, units in rows("quiz.md", "quantity", "units")}
    assert {unit: quantity for quantity, units in told.items() for unit in units} == UNITS


def test_the_shown_tolerances_accept_what_they_say() -> None:
    for tolerance, answer, accepted, refused in rows("quiz.md", "tolerance", "answer", "accepted", "not accepted"):
        holds = Tolerance.model_validate(yaml.safe_load(code(tolerance)[0])).holds
        assert [holds(float(given), float(answer)) for given in accepted.split(",")].count(False) == 0, tolerance
        assert [holds(float(given), float(answer)) for given in refused.split(",")].count(True) == 0, tolerance


def test_what_is_typed_is_read_as_the_page_says() -> None:
    question = questions()["size-of-a-batch"]
    for typed, number in rows("quiz.md", "typed", "read as"):
        assert question.read(code(typed)[0]) == pytest.approx(float(number), rel=1e-4)
        assert question.is_right(question.read(code(typed)[0]))
    for nothing in ("2,05", "2.05 s"):
        with pytest.raises(NotAnAnswer):
            question.read(nothing)


def test_what_is_typed_for_a_formula_is_read_as_the_page_says() -> None:
    names = ("a", "b", "x", "z")
    for typed, read, _ in rows("quiz.md", "typed", "read as", ""):
        if read:
            assert read_formula(code(typed)[0], names).written() == code(read)[0]
        else:
            with pytest.raises(NotAnAnswer):
                read_formula(code(typed)[0], names)


def test_the_shown_prints_are_accepted_as_the_page_says() -> None:
    for printed, accepted, refused in rows("quiz.md", "printed", "also accepted", "not accepted"):
        assert same_print(code(accepted)[0], code(printed)[0])
        assert not same_print(code(refused)[0], code(printed)[0])


def test_the_shown_credits_are_given() -> None:
    for identity, answer, credit in rows("quiz.md", "question", "answer", "credit"):
        question, given = questions()[code(identity)[0]], code(answer)
        if question.kind == "estimate":
            assert question.credit(question.read(given[0])) == float(credit)
        else:
            assert question.credit(given) == pytest.approx(float(credit), abs=5e-4)


def test_the_shown_formats_give_what_the_page_says() -> None:
    page = (AUTHORS / "quiz.md").read_text("utf-8")
    shown = re.findall(r"`(\{answer:[^`]+\})`\s+gives\s+(\S*\d)", page)
    assert len(shown) == 2
    assert [template.format(answer=1234.5) for template, _ in shown] == [result for _, result in shown]


# conventions-and-tolerances.md


def test_the_statements_about_tolerances_hold() -> None:
    module: dict[str, Any] = {}
    for block in of("conventions-and-tolerances.md", "python"):
        exec(compile(textwrap.dedent(block.text), named(block), "exec"), module)
