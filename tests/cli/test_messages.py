"""That every sentence is marked, and every catalogue has it."""

from __future__ import annotations

import ast
import inspect
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from babel.messages import Catalog

from groundup.cli import messages
from groundup.cli.messages import ROOMS, ROOT, compiled, extracted, keywords, updated, written
from groundup.cli.words import DOMAIN, LOCALE
from groundup.core import errors
from groundup.grader.authoring.glossary import other_terms

CATALOGUES = sorted(LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))
TREES = {
    str(p.relative_to(ROOT)): ast.parse(p.read_text(encoding="utf-8"))
    for room in ROOMS
    for p in sorted((ROOT / room).rglob("*.py"))
}
CLI = {name.removeprefix("cli/"): tree for name, tree in TREES.items() if name.startswith("cli/")}
COMPUTED = {  # what is given to a mark and is no literal, and why
    "Message(error.strerror or str(error))": "the operating system's words; the catalogue has the most common ones",
    "Message(template, **fields)": "an error's template, which is a literal where the error is made",
    "Message(separator.join((f'{{{name}}}' for name in fields)), **fields)": "fields alone",
    "Message(all_texts(self.kind)[key])": "the texts of pages, which are found in their files",
    "Message(english, **fields)": "what 'tr' is given",
    "plural(one, many, count, **fields)": "what 'ntr' is given",
}
NOT_THE_LEARNERS = {
    "author.py": "for authors, in English",
    "author_check.py": "for authors, in English",
    "author_matrix.py": "for authors, in English",
    "author_review.py": "for authors, in English",
    "author_soundness.py": "for authors, in English",
    "completion.py": "prints a script",
    "plugin_commands.py": "for plugins' authors, in English",
    "judging.py": "says nothing itself",
    "messages.py": "for developers, in English",
    "warm_judge.py": "says nothing itself",
    "warm_child.py": "says nothing itself",
    "watched.py": "says nothing itself",
    "words.py": "the mechanism",
}
LEARNERS = {name: tree for name, tree in CLI.items() if name not in NOT_THE_LEARNERS}
ENGLISH_ONLY = {  # what the modules of the learner's commands say in English all the same, and why
    "learn: …": "the command's name",
    "learn: …: …": "the command's name",
    "learn: ": "the command's name",
    "sha256 …\n": "the name of a digest",
    "brief --out brief.html": "a command to type",
    "utf-8": "the name of an encoding",
    "replace": "an argument of the encoder's",
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from groundup.cli.warm_judge import main; main()": "code",
    "def one():\n    return 1\n": "code",
}


def calls(tree: ast.AST, *names: str) -> list[ast.Call]:
    return [n for n in ast.walk(tree) if isinstance(n, ast.Call) and called(n) in names]


def called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def marked() -> list[tuple[str, ast.Call]]:
    return [(f"{name}:{call.lineno}", call) for name, tree in TREES.items() for call in calls(tree, *keywords())]


def is_literal(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def templates(call: ast.Call) -> list[str]:
    count = 2 if called(call) in ("ntr", "plural") else 1
    return [ast.literal_eval(argument) for argument in call.args[:count] if is_literal(argument)]


def fields(template: str) -> set[tuple[str, str, str]]:
    return {(n, s or "", c or "") for _, n, s, c in string.Formatter().parse(template) if n is not None}


def names(template: str) -> set[str]:
    return {name for name, _, _ in fields(template)}


# What is marked


def test_the_marks_are_the_errors_and_the_words() -> None:
    assert {"tr", "ntr", "Message", "plural", "UsageProblem", "LabStopped"} <= set(keywords())
    assert "UnknownName" not in keywords()  # made of messages
    raised = {n for n, v in vars(errors).items() if inspect.isclass(v) and issubclass(v, errors.GroundupError)}
    assert raised - set(keywords()) == {"UnknownName"}


def test_what_is_marked_is_a_literal_or_a_message() -> None:
    """Of a call with one argument that is a name or a call, the argument is a message, as types show."""
    computed = [
        f"{place}: {ast.unparse(call)}"
        for place, call in marked()
        if not is_literal(call.args[0]) and not (called(call).endswith(("Problem", "Stopped")) and len(call.args) == 1)
        if ast.unparse(call) not in COMPUTED
    ]
    assert computed == []


def test_no_error_is_made_of_an_f_string() -> None:
    makers = [name for name, value in vars(errors).items() if inspect.isclass(value)]
    odd = [
        f"{name}:{call.lineno}"
        for name, tree in TREES.items()
        for call in calls(tree, *makers, "Message", "tr", "ntr", "plural", "Mismatch")
        if any(isinstance(argument, ast.JoinedStr) for argument in call.args)
        and called(call) not in ("AttemptRaised", "UnknownName")
    ]
    assert odd == []


def test_every_field_of_a_sentence_is_given() -> None:
    for place, call in marked():
        if any(keyword.arg is None for keyword in call.keywords):
            continue
        given = {keyword.arg for keyword in call.keywords}
        if given or called(call) in ("ntr", "plural"):
            for template in templates(call):
                assert names(template) - {"count"} <= given, place
            assert given <= set().union(*map(names, templates(call))), place


def test_babel_finds_every_mark() -> None:
    """It does not look into an f-string."""
    there = {text for message in extracted() for text in ([message.id] if isinstance(message.id, str) else message.id)}
    lacking = [place for place, call in marked() for text in templates(call)[:1] if _says(text) and text not in there]
    assert lacking == []


def _says(text: str) -> bool:
    return bool(re.sub(r"\{[^{}]*\}", "", text))


# What is not marked


def shape(node: ast.AST) -> str:
    """Return the text of a literal, with '…' for an f-string's fields."""
    if isinstance(node, ast.JoinedStr):
        return "".join(shape(part) for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "…"


def texts(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the literals and f-strings below ``node`` that may be printed.

    Left out: what is marked, documentation, annotations, conditions, keys and help, which is found as it is shown.
    """
    if isinstance(node, ast.Call) and called(node) in (*keywords(), "told", "say", "print_json"):
        return
    if isinstance(node, ast.Assign) and any(getattr(t, "id", "") in ("HELP", "COMMANDS") for t in node.targets):
        return
    if isinstance(node, ast.Compare):
        return
    if isinstance(node, ast.Call) and called(node) == "show_next":  # pairs of a command and its purpose
        for step in node.args:
            yield from texts(step.elts[1] if isinstance(step, ast.Tuple) else step)
        return
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        yield node
        if isinstance(node, ast.Constant):
            return
        parts = [v.value for v in node.values if isinstance(v, ast.FormattedValue)]
        for part in parts:
            yield from texts(part)
        return
    for field, value in ast.iter_fields(node):
        if field in ("decorator_list", "annotation", "returns", "slice", "test", "keys"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue  # documentation
            if isinstance(child, ast.keyword) and child.arg in ("help", "fg", "encoding"):
                continue
            if isinstance(child, ast.AST):
                yield from texts(child)


@pytest.mark.parametrize("module", LEARNERS)
def test_no_english_phrase_is_left_unmarked(module: str) -> None:
    found = {shape(t) for t in texts(LEARNERS[module])}
    assert {t for t in found if re.search(r"[A-Za-z]{2,} [A-Za-z]{2,}", t)} - set(ENGLISH_ONLY) == set()


@pytest.mark.parametrize("module", LEARNERS)
def test_no_english_word_is_printed_unmarked(module: str) -> None:
    printed = calls(LEARNERS[module], "echo", "wrapped", "show_next")
    found = {shape(text) for call in printed for text in texts(call)}
    assert {t for t in found if re.search(r"[A-Za-z]{2,}", t)} - set(ENGLISH_ONLY) == set()


def phrases(tree: ast.AST) -> set[str]:
    """Return the phrases of a module of the grader that are not marked. What a developer reads is left out."""
    if isinstance(tree, ast.Call) and called(tree) in (*keywords(), "Field", "compile"):
        return set()
    if isinstance(tree, ast.Raise) and isinstance(tree.exc, ast.Call) and called(tree.exc) not in keywords():
        return set()  # what others of our modules catch
    if isinstance(tree, ast.JoinedStr) or is_literal(tree):
        return {shape(tree)} if re.search(r"[a-z]{2,} [a-z]{2,}", shape(tree)) else set()
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            found |= phrases(node)
    return found


def grader_texts() -> dict[str, set[str]]:
    rooms = ("grader/batch/", "grader/judging/", "grader/learner/", "grader/process/")
    found = {name: phrases(tree) for name, tree in TREES.items() if name.startswith(rooms)}
    return {name: texts for name, texts in found.items() if texts}


NO_MESSAGES = {  # phrases in the grader that are no messages, and why
    "python -m pip install 'groundup[ray]'": "a command to type",
    "python -m pip install 'groundup[labs]'": "a command to type",
    "learn grade … --attempt … --seed ……": "a command to type",
    "python3 -c 'import secrets; print(secrets.token_hex(16))'": "a command to type",
    "groundup class seed:…": "goes into a digest",
    "def run(code):\n    exec(compile(code, 'program', 'exec'), {'__name__': '__main__'})\n": "code",
    "<… with empty holes>": "the name of a file",
    "<!-- Written by '…'; sha256 of the rest: … -->\n…": "what a page is known by",
    "learn brief": "a command to type",
    "lower center": "a place in a drawing",
    "upper center": "a place in a drawing",
    "// Written by 'learn start' (…). Edit it as you like: a changed file is left alone.\n": "what a file is known by",
}
SETTINGS_TEXT = "grader/learner/workspace.py"
"""Its ``learn.toml`` is written before anybody has chosen a language, so that it is English."""


def test_no_phrase_of_the_grader_is_left_unmarked() -> None:
    left = {
        (name, text)
        for name, found in grader_texts().items()
        for text in found - set(NO_MESSAGES)
        if not (name == SETTINGS_TEXT and text.startswith("# A Groundup workspace"))
    }
    assert left == set()


def test_nothing_is_excused_that_is_not_there() -> None:
    assert set(NO_MESSAGES) - set().union(*grader_texts().values()) == set()
    found = {shape(text) for tree in LEARNERS.values() for text in texts(tree)}
    assert set(ENGLISH_ONLY) - found == set()
    assert set(COMPUTED) - {ast.unparse(call) for _, call in marked()} == set()
    assert set(NOT_THE_LEARNERS) - set(CLI) == set()


# The catalogues


def strings(message: Any) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string)


def ids(message: Any) -> list[str]:
    return [message.id] if isinstance(message.id, str) else list(message.id)


def entries(file: Path) -> list[Any]:
    return [message for message in messages._read(file) if message.id]


@pytest.fixture(scope="module")
def found() -> Catalog:
    return extracted()


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda f: f.parts[-3])
def test_a_catalogue_is_in_step_with_the_sources(file: Path, found: Catalog) -> None:
    there, wanted = {tuple(ids(m)) for m in entries(file)}, {tuple(ids(m)) for m in found if m.id}
    hint = "'make messages' brings the catalogue in step"
    assert (wanted - there, there - wanted) == (set(), set()), hint
    assert written(updated(file, found)) == file.read_bytes(), hint
    assert compiled(updated(file, found)) == file.with_suffix(".mo").read_bytes(), hint


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda f: f.parts[-3])
def test_every_sentence_is_translated(file: Path) -> None:
    assert [m.id for m in entries(file) if not all(strings(m))] == []


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda f: f.parts[-3])
def test_a_translation_has_the_fields_and_the_commands_of_its_sentence(file: Path) -> None:
    for message in entries(file):
        by_hand = [text for text in ids(message) if "{" in text and not _is_a_template(text)]
        if by_hand or message.locations[0][0].endswith("agents.md"):
            continue
        own = set().union(*map(fields, ids(message)))
        for text in strings(message):
            assert fields(text) - {("count", "", "")} <= own, message.id
            if isinstance(message.id, str):
                assert fields(text) == own, message.id
            assert quoted(text) == quoted(ids(message)[-1]), message.id


def _is_a_template(text: str) -> bool:
    try:
        return all(name.isidentifier() for name in names(text))
    except ValueError:
        return False


def quoted(text: str) -> set[str]:
    return set(re.findall(r"'learn [^'{]*'|--[a-z][a-z-]*", text))


@pytest.mark.parametrize("file", CATALOGUES, ids=lambda f: f.parts[-3])
def test_what_is_english_is_not_left_so(file: Path) -> None:
    for message in entries(file):
        for english, text in zip(ids(message), strings(message), strict=False):
            words = re.search(r"[a-z]{3,} [a-z]{3,}", re.sub(r"\{[^{}]*\}", "", english))
            assert text != english or not words, english


def test_the_chinese_keeps_to_the_glossary() -> None:
    others = [
        (message.id, variant, term.zh)
        for message in entries(LOCALE / "zh" / "LC_MESSAGES" / f"{DOMAIN}.po")
        for text in strings(message)
        for term, variant in other_terms(" ".join(ids(message)), text)
    ]
    assert others == []


def test_made_again_it_is_the_same(found: Catalog, tmp_path: Path) -> None:
    file = tmp_path / "zh" / "LC_MESSAGES" / f"{DOMAIN}.po"
    file.parent.mkdir(parents=True)
    file.write_bytes(CATALOGUES[0].read_bytes())
    made = []
    for _ in range(2):
        catalogue = updated(file, found)
        file.write_bytes(written(catalogue))
        made.append((file.read_bytes(), compiled(catalogue)))
    assert made[0] == made[1]


def test_a_new_sentence_is_left_empty_and_an_old_one_goes(tmp_path: Path) -> None:
    file = tmp_path / "zh" / "LC_MESSAGES" / f"{DOMAIN}.po"
    file.parent.mkdir(parents=True)
    before = Catalog()
    before.add("Stays.", "留。", locations=[("a.py", 1)])
    before.add("Goes.", "去。", locations=[("a.py", 2)])
    file.write_bytes(written(before))
    found = Catalog()
    found.add("Stays.", locations=[("b.py", 0)])
    found.add(("one", "many"), locations=[("b.py", 0)])
    text = written(updated(file, found)).decode()
    assert 'msgid "Stays."\nmsgstr "留。"' in text
    assert "Goes." not in text
    assert 'msgid "one"\nmsgid_plural "many"\nmsgstr[0] ""' in text
    assert "b.py\n" in text
    assert not re.search("(?i)date|b.py:", text)


# What click says


def said_by_click() -> set[str]:
    """Return every text that click gives to gettext; of one that counts, its first form."""
    modules = ("core", "decorators", "exceptions", "formatting", "parser", "termui", "types")
    trees = [ast.parse(Path(click.__path__[0], f"{name}.py").read_text(encoding="utf-8")) for name in modules]
    given = [c.args[0] for tree in trees for c in calls(tree, "_", "ngettext") if c.args]
    return {a.value for a in given if isinstance(a, ast.Constant) and isinstance(a.value, str)}


TO_WHO_WROTE_THE_COMMAND = {
    "(dynamic)",
    "%(prog)s, version %(version)s",  # said without a word
    "?",
    "Arguments take exactly one parameter declaration, got {length}: {decls}.",
    "Boolean option {decl!r} cannot use the same flag for true/false.",
    "Choice({choices})",
    "Could not determine name for option with declarations {decls!r}",
    "DeprecationWarning: The command {name!r} is deprecated.{extra_message}",
    "DeprecationWarning: The {param_type} {name!r} is deprecated.{extra_message}",
    "Invalid start character for option ({option})",
    "Name '{name}' defined twice",
    "No options defined but a name was passed ({name}). Did you mean to declare an argument instead? "
    "Did you mean to pass '--{name}'?",
    "Unknown color {colour!r}",
    "Value must be an iterable.",
}


def test_every_catalogue_has_what_click_says_to_users() -> None:
    listed = {ids(message)[0] for message in entries(LOCALE / "click.pot")}
    assert said_by_click() - TO_WHO_WROTE_THE_COMMAND - listed == set()
