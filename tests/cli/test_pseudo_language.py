"""That every sentence of ours goes through the catalogue: in a made-up language each of them stands in brackets.

What is left outside of brackets is a technique's own text, code, a name, a path or a command to type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from babel.messages import Catalog

from groundup.cli import words
from groundup.cli.context import registry
from groundup.cli.main import cli
from groundup.cli.messages import compiled, extracted
from groundup.grader.authoring.rules import RULES

OPEN, CLOSE = "⟦", "⟧"
NAMES = {  # words of one language in every language, outside of sentences
    *("learn", "Groundup", "python", "torch", "triton", "gpu", "gloo", "fonts", "containment", "grading", "warm"),
    *("workspace", "plugins", "sha256", "seed", "rl", "toys"),
    *("groundup", "hypothesis", "pytest", "platform", "threads", "UTC", "KiB", "GiB", "cpu"),
}


NO_PROSE = r"""(?x)
    '[^']*' | `[^`]*` | \S*[/\\_]\S* | \S+\.(?:py|md|html|json|toml|png)\b   # quoted, paths, names with an underscore
    | (?<!\w)-{1,2}[a-z][a-z-]* | <!--.*?--> | \b\w+\ =\  | \b[0-9a-f]{12,}\b  # options, assignments, digests
"""


def bracketed(text: str) -> str:
    return f"{OPEN}{text}{CLOSE}" if text else text


@pytest.fixture(scope="module")
def locale(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one catalogue, of the language xx: what a third language needs, and no more."""
    folder = tmp_path_factory.mktemp("locale")
    catalogue = Catalog(locale="zh", charset="utf-8")
    for message in extracted():
        if message.id:
            text = message.id if isinstance(message.id, str) else message.id[1]
            catalogue.add(message.id, bracketed(text) if isinstance(message.id, str) else (bracketed(text),))
    place = folder / "xx" / "LC_MESSAGES"
    place.mkdir(parents=True)
    (place / "groundup.mo").write_bytes(compiled(catalogue))
    return folder


@pytest.fixture
def third(locale: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the commands speak English and xx."""
    monkeypatch.setattr(words, "LOCALE", locale)
    yield
    words._catalogue.cache_clear()


def own_texts() -> list[str]:
    """Return what techniques and roadmaps say themselves, the longest first."""
    found: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict) and isinstance(value.get("en"), str):
            found.update([value["en"], *re.split(r"\{[^{}]*\}", value["en"])])  # a lab fills placeholders in
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
            collect(part)

    known = registry()
    for each in (*known.techniques.values(), *known.roadmaps.values()):
        collect(each.model_dump())
        found.add(each.id)
    found.update(part for t in known.techniques.values() for part in (t.name, *t.id.split("/")))
    found.update(day.name for roadmap in known.roadmaps.values() for day in roadmap.days)
    found.update(i for roadmap in known.roadmaps.values() for day in roadmap.days for i in day.techniques)
    return sorted(found, key=len, reverse=True)


def outside(text: str, also: list[str]) -> str:
    """Return what of a command's output stands outside of brackets, and is none of what may."""
    kept, depth = [], 0
    for character in text:
        depth += (character == OPEN) - (character == CLOSE)
        kept.append(character if depth == 0 and character != CLOSE else " " if depth == 0 else "")
    text = re.sub(r"(?m)^ *(\./)?learn [a-z-].*?(  |$)", " ", "".join(kept))  # a command to type
    sentences, names = [own for own in also if " " in own], [own for own in also if " " not in own]
    text = _without(sentences, " ".join(text.split()))
    text = _without(names, " ".join(re.sub(NO_PROSE, " ", text).split()))
    return " ".join(w for w in re.findall(r"[A-Za-z][A-Za-z0-9]+", text) if w not in NAMES)


def _without(texts: list[str], text: str) -> str:
    for own in texts:
        text = text.replace(" ".join(own.split()), " ")
    return text


def commands(command: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every command."""
    yield path
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            below = command.get_command(click.Context(command), name)
            assert below is not None
            yield from commands(below, (*path, name))


def names_of(path: tuple[str, ...]) -> list[str]:
    """Return what is typed as it stands, whatever the language: commands, choices, rules."""
    command: Any = cli
    for name in path:
        command = command.get_command(click.Context(command), name)
    choices = [c for p in command.params if isinstance(p.type, click.Choice) for c in p.type.choices]
    below = command.list_commands(click.Context(command)) if isinstance(command, click.Group) else []
    return [*path, *below, *choices, *"-".join(RULES).split("-")]


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_help_is_all_of_the_catalogue(learn: Any, third: None, path: tuple[str, ...]) -> None:
    output = learn("--lang", "xx", *path, "--help").output
    assert output.startswith(f"{OPEN}Usage: {CLOSE}learn")
    names = {*names_of(path), "ppo", "cache", "many", "JSON"}
    assert set(outside(output, []).split()) - names == set()


ATTEMPTS = {
    "stub": None,
    "wrong": "    factor = torch.tensor(by, dtype=x.dtype)\n    result = x * factor * factor\n",
    "right": "    factor = torch.tensor(by, dtype=x.dtype)\n    result = x * factor\n",
    "half": "    factor = torch.tensor(by, dtype=x.dtype)\n    raise NotImplementedError('hole 2/2: the product')\n",
    "raises": "    raise ValueError\n",
    "dies": "    import os\n    os._exit(3)\n",
    "no-tensor": "    return None\n",
    "changes": "    x.mul_(by)\n    result = x\n",
    "not-plain": "    return object()\n",
    "prints": "    print('7')\n    result = x + 1\n",
}


def write(workspace: Path, body: str | None) -> None:
    if body is not None:
        text = f"import torch\ndef scale(x, by):\n{body}    return result\n"
        (workspace / "toys" / "scale.py").write_text(text)


@pytest.fixture
def workspace(learn: Any, toy: Path, here: Path, grading: None, third: None) -> Path:
    learn("start", "scale")
    techniques = registry().techniques
    techniques["toys/scale"] = techniques["toys/scale"].model_copy(update={"call_seconds": 0.5})
    return here / "workspace"


CODE = (
    "ValueError",
    "torch.tensor",
    "torch.float32",
    "torch.empty",
    "dtype",
    "raise",
    "import os",
    "os._exit",
    "x.mul_",
)
CLAIMS = (
    "Times one nothing changes.", "It gives what the reference gives.", "Twice is by the square.", "the factor",
    "the product", "The factor counts twice.", "The factor is added.", "One is treated apart.", "squares", "adds",
    "scale", "forgets-what-it-did",
)  # fmt: skip


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_verdict_is_all_of_the_catalogue(learn: Any, workspace: Path, attempt: str) -> None:
    write(workspace, ATTEMPTS[attempt])
    for arguments in (["grade", "scale"], ["grade", "--all", "--explain"], ["replay", "scale"], ["brief"], ["status"]):
        output = learn(*arguments, "--lang", "xx").output
        assert outside(output, [*own_texts(), *CLAIMS, *CODE]) == "", arguments


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 0),
        (["status", "--all"], 0),
        (["list"], 0),
        (["list", "--all"], 0),
        (["list", "rl"], 0),
        (["list", "rk"], 2),
        (["list", "rl", "--all"], 2),
        (["start", "scale"], 0),
        (["start", "day-14"], 0),
        (["start", "14"], 2),
        (["start", "nonsense"], 2),
        (["read", "day-4"], 2),
        (["read", "scael"], 2),
        (["grade"], 1),
        (["grade", "scale", "--all"], 2),
        (["grade", "--attempt", "x.py"], 2),
        (["grade", "scale", "--attempt", "none.py"], 2),
        (["grade", "scale", "--attempt", "."], 2),
        (["grade", "scale", "--seed", "-1"], 2),
        (["grade", "scale", "--seed"], 2),
        (["grade", "scale", "--contained", "iron"], 2),
        (["grade", "scale", "--sead"], 2),
        (["grade", "a", "b"], 2),
        (["grade", "none.py"], 2),
        (["hint", "scale"], 0),
        (["hint", "scale", "3"], 2),
        (["hint", "scale", "x"], 2),
        (["hint", "gae"], 2),
        (["replay", "scale", "nothing"], 2),
        (["replay", "scale", "--json", "--pdb"], 2),
        (["solution", "scale"], 2),
        (["reset", "scale"], 0),
        (["dispute"], 2),
        (["dispute", "--check", "none"], 2),
        (["run"], 2),
        (["run", "scale"], 2),
        (["run", "gae"], 2),
        (["run", "gae", "--out", __file__], 2),
        (["quiz", "scale"], 2),
        (["quiz", "gae", "--sheet", "--json"], 2),
        (["quiz", "gae", "--answers", "none"], 2),
        (["brief", "--out", "brief.xyz"], 2),
        (["brief", "--out", "none/brief.md"], 2),
        (["brief", "--format", "pdf"], 2),
        (["brief"], 0),
        (["grade-many", "nowhere", "--technique", "scale"], 2),
        (["grade-many", "."], 2),
        (["watch", "gae"], 2),
        (["completion"], 2),
        (["author", "chek"], 2),
        (["author", "new", "N"], 2),
        (["chekc"], 2),
        (["gardae"], 2),
        (["test"], 2),
        (["--nonsense"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_command_says_is_all_of_the_catalogue(
    learn: Any, workspace: Path, arguments: list[str], code: int
) -> None:
    result = learn(*([*arguments, "--lang", "xx"] if "author" not in arguments else ["--lang", "xx", *arguments]))
    assert result.exit_code == code, result.output
    names = {"bash", "zsh", "fish"}
    assert set(outside(result.output, [*own_texts(), "TECHNIQUE", "scale"]).split()) - names == set()


def test_a_file_that_is_not_loaded_is_told_all_of_the_catalogue(learn: Any, workspace: Path) -> None:
    path = workspace / "toys" / "scale.py"
    for source in (
        "",
        "def f():\n    return\n",
        "def scale(:\n",
        "import nothing_here\n",
        "import pandas\n",
        "1 / 0\n",
    ):
        path.write_text(source)
        output = learn("grade", "scale", "--lang", "xx").output
        left = outside(output, [*own_texts(), "def scale(:", "import pandas", "import nothing_here", "1 / 0"])
        assert left == "", source
    for data in (b"caf\xe9", b"#" * (1 << 18)):
        path.write_bytes(data)
        assert outside(learn("grade", "scale", "--lang", "xx").output, own_texts()) == ""


@pytest.mark.parametrize(
    "settings", ["lang = 3\n", 'lnag = "zh"\n', 'database = "nowhere://x"\n', 'roadmap = "none"\n', "= \n"]
)
def test_broken_settings_are_told_all_of_the_catalogue(learn: Any, workspace: Path, settings: str) -> None:
    (workspace / "learn.toml").write_text(settings)
    output = learn("status", "--lang", "xx").output
    theirs = {"Input should be valid string", "Invalid statement at line column", "Could not parse SQLAlchemy URL"}
    left = set(outside(output, ["fourteen-days"]).split()) - {word for text in theirs for word in text.split()}
    assert OPEN in output
    assert left == set(), output


def test_a_broken_plugin_is_told_all_of_the_catalogue(learn: Any, workspace: Path, plugins: Any) -> None:
    plugins.install("1 / 0\n")
    plugins.install("from groundup.core.hookspecs import hookimpl\n\n\n@hookimpl\ndef nonsense():\n    pass\n")
    output = learn("list", "--lang", "xx").output
    assert output.count(f"learn: {OPEN}Plugin ") == 2
    assert outside(output, own_texts()) == ""


def test_the_doctor_says_all_in_the_catalogue(learn: Any, workspace: Path) -> None:
    output = learn("doctor", "--lang", "xx").output
    assert outside(output, []) == ""


def test_a_quiz_is_asked_all_in_the_catalogue(learn: Any, workspace: Path) -> None:
    typed = "\n".join(["", "?", "A", "B"] * 40)
    output = learn("quiz", "gae", "--seed", "1", "--lang", "xx", input=typed).output
    kept = " ".join(outside(output, [*own_texts(), *quiz_texts("gae")]).split())
    assert OPEN in output
    assert kept == ""
    sheet = learn("quiz", "gae", "--sheet", "--seed", "1", "--lang", "xx").output
    assert sheet.startswith(f"# rl/gae: {OPEN}")


def test_a_lab_says_all_in_the_catalogue(learn: Any, workspace: Path) -> None:
    output = learn("run", "gae", "--reference", "--quick", "--lang", "xx").output
    assert output.count(OPEN) >= 3
    assert outside(output, own_texts()) == ""


@pytest.mark.soak
def test_a_class_is_told_all_of_the_catalogue(learn: Any, workspace: Path, here: Path) -> None:
    for name, body in (("anna", "wrong"), ("ben", "right"), ("cleo", "dies"), ("dora", "stub")):
        folder = here / "class" / name
        folder.mkdir(parents=True)
        write(workspace, ATTEMPTS[body])
        if body == "stub":
            learn("reset", "scale")
        (folder / "scale.py").write_text((workspace / "toys" / "scale.py").read_text())
    (here / "class" / "emil").mkdir()
    also = [*own_texts(), *CLAIMS, "anna", "ben", "cleo", "dora", "emil"]
    for more in ([], ["--regrade", "--seed", "7"]):
        result = learn("grade-many", "class", "--technique", "scale", "--jobs", "1", "--lang", "xx", *more)
        assert outside(result.output, [*also, "csv", "jsonl"]) == ""
    page = (here / "results" / "summary.html").read_text(encoding="utf-8")
    body = re.sub(r"(?s)<style>.*?</style>|<[^>]*>", " ", page)
    assert body.count(OPEN) > 30
    assert outside(body, also) == ""
    for file in (here / "results" / "logs").iterdir():
        assert outside(file.read_text(encoding="utf-8"), [*also, *CODE, "by", "py"]) == "", file.name


@pytest.mark.parametrize("attempt", ["wrong", "right", "dies"])
def test_a_page_of_a_brief_is_all_of_the_catalogue(learn: Any, workspace: Path, here: Path, attempt: str) -> None:
    write(workspace, ATTEMPTS[attempt])
    learn("grade", "scale")
    learn("brief", "--out", "brief.html", "--lang", "xx")
    page = (here / "brief.html").read_text(encoding="utf-8")
    body = re.sub(r"(?s)<style>.*?</style>|<pre.*?</pre>|<[^>]*>", " ", page)
    assert body.count(OPEN) > 30
    assert outside(body, [*own_texts(), *CLAIMS, "A toy", "learn brief"]) == ""


def quiz_texts(name: str) -> list[str]:
    """Return every text of a quiz, its numbers drawn with seed 1."""
    from groundup.grader.learner.quiz import Sitting, question_kinds, read_quiz

    sitting = Sitting.begin(read_quiz(registry().technique(name), question_kinds(registry())[0]), 1, None)
    found: list[str] = []
    for _, question in sitting.open_questions:
        found += [text["en"] for text in (question.text, question.explanation, *question.choices().values())]
        found += [question.shown(question.right_answer(), "en"), question.section["en"] if question.section else ""]
        found += [question.source.title, question.source.where or "", question.source.url] if question.source else []
    return sorted({line for text in found for line in text.splitlines() if line}, key=len, reverse=True)
