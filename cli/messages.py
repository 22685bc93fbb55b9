"""Keeps the catalogues in ``locale`` in step with the sources: ``make messages`` runs it. For developers: needs Babel.

A sentence is found where it is marked: the arguments of ``tr``, ``ntr``, ``Message``, ``plural`` and the errors of
``core``, the texts of pages, and the commands' help. click's own sentences are listed in ``locale/click.pot``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundup.cli.help import SpokenHelp
from groundup.cli.words import DOMAIN, LOCALE, speak
from groundup.core import errors

if TYPE_CHECKING:
    from babel.messages import Catalog

__all__ = ["compiled", "extracted", "keywords", "updated", "written"]

ROOT = Path(__file__).parents[1]
ROOMS = ("core", "plugins", "solutions", "grader", "cli")
TEMPLATES = "grader/learner/templates"
LETTERS = re.compile(r"[A-Za-z]{2}")
FIELD = re.compile(r"\{[^{}]*\}")
HEAD = "# Every sentence of Groundup in another language. 'make messages' keeps it in step with the sources."
LEFT_OUT = (
    b"#, fuzzy",
    *(b'"' + name for name in (b"POT-", b"PO-", b"Generated-", b"Last-", b"Language-T", b"Report-")),
)
NEVER = datetime(2000, 1, 1, tzinfo=UTC)  # a fixed date: an unchanged catalogue is written unchanged

Found = tuple[str, str | tuple[str, str]]
"""Where a sentence is, and the sentence: of one that counts, its two forms."""


def extracted() -> Catalog:
    """Return every marked sentence with the files that contain it."""
    from babel.messages import Catalog

    found = Catalog(domain=DOMAIN, charset="utf-8")
    for place, sentence in sorted({*_of_modules(), *_of_pages(), *_of_help()}, key=str):
        found.add(sentence, locations=[(place, 0)])
    for message in _read(LOCALE / "click.pot"):
        if message.id:
            found.add(message.id, locations=[("cli/locale/click.pot", 0)])
    return found


def updated(file: Path, found: Catalog) -> Catalog:
    """Return the catalogue in ``file`` reduced to the sentences ``found``; their translations are kept.

    A new sentence has no translation yet.
    """
    from babel.messages import Catalog

    before = _read(file)
    catalogue = Catalog(
        locale=file.parents[1].name, domain=DOMAIN, header_comment=HEAD, project="Groundup", version="catalogue",
        last_translator="", language_team="", charset="utf-8", creation_date=NEVER, revision_date=NEVER,
    )  # fmt: skip
    for message in found:
        if message.id:
            kept = before.get(message.id if isinstance(message.id, str) else message.id[0])
            catalogue.add(message.id, kept.string if kept else None, locations=message.locations)
    return catalogue


def written(catalogue: Catalog) -> bytes:
    """Return a catalogue as the text of a ``.po`` file: sorted by file, without lines and dates."""
    from babel.messages.pofile import write_po

    text = BytesIO()
    write_po(text, catalogue, width=120, sort_by_file=True, include_lineno=False)
    lines = text.getvalue().split(b"\n")
    return b"\n".join(line for line in lines if not line.startswith(LEFT_OUT))


def compiled(catalogue: Catalog) -> bytes:
    """Return a catalogue as the bytes of a ``.mo`` file."""
    from babel.messages.mofile import write_mo

    data = BytesIO()
    write_mo(data, catalogue)
    return data.getvalue()


def keywords() -> dict[str, tuple[int, ...] | None]:
    """Return the marking functions with the positions of their sentences: the first argument, or the first two."""
    raised = [name for name, value in vars(errors).items() if _takes_a_template(value)]
    return {**dict.fromkeys(["tr", "Message", *raised]), **dict.fromkeys(["ntr", "plural"], (1, 2))}


def main() -> None:
    """Bring every catalogue up to date."""
    found = extracted()
    for file in sorted(LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.po")):
        catalogue = updated(file, found)
        file.write_bytes(written(catalogue))
        file.with_suffix(".mo").write_bytes(compiled(catalogue))
        for message in catalogue:
            if message.id and not message.string:
                click.echo(f"{file.relative_to(ROOT)}: not translated: {message.id!r}")


def _takes_a_template(value: Any) -> bool:
    return isinstance(value, type) and value.__init__ is errors.GroundupError.__init__  # type: ignore[misc]


def _of_modules() -> Iterator[Found]:
    from babel.messages.extract import extract

    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            with file.open("rb") as source:
                for _, sentence, _, _ in extract("python", source, keywords(), options={"encoding": "utf-8"}):
                    if _says_something(sentence):
                        yield str(file.relative_to(ROOT)), sentence  # type: ignore[misc]


def _of_pages() -> Iterator[Found]:
    for file in sorted((ROOT / TEMPLATES).glob("*.toml")):
        for text in tomllib.loads(file.read_text(encoding="utf-8")).values():
            yield str(file.relative_to(ROOT)), text
    for paragraph in (ROOT / TEMPLATES / "agents.md").read_text(encoding="utf-8").strip().split("\n\n"):
        yield f"{TEMPLATES}/agents.md", paragraph


def _of_help() -> Iterator[Found]:
    """Yield the paragraphs and cells of each command's help, command by command."""
    from groundup.cli.main import cli
    from groundup.grader.authoring.rules import RULES

    speak("en")  # the catalogue is looked up by the English
    for place, command in commands(cli):
        command._help_option = None  # click caches it in the language of that moment
        looked_up = {t for t in _help_of(command) if LETTERS.search(t) and not t.startswith("learn ")}
        yield from ((place, text) for text in sorted(looked_up - {*RULES}))


def commands(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """Yield the command ``group`` and all its subcommands, each with the file that defines it."""
    yield "cli/main.py" if group.name in (None, "cli") else f"cli/{group.name}.py", group
    context = click.Context(group)
    for name in group.list_commands(context):
        below = group.get_command(context, name)
        assert below is not None
        if isinstance(below, click.Group):
            yield from commands(below)
        else:
            own = (LOCALE.parent / f"{stem}.py" for stem in (f"{group.name}_{name}", name.replace("-", "_")))
            yield next((f"cli/{path.name}" for path in own if path.is_file()), f"cli/{group.name}.py"), below


def _help_of(command: click.Command) -> Iterable[str]:
    noted: list[str] = []

    class Noting(SpokenHelp):
        def told(self, text: str) -> str:
            noted.append(text)
            return text

    with click.Context(command, info_name="learn") as context:
        command.format_help(context, Noting())
    return noted


def _says_something(sentence: str | tuple[str, ...]) -> bool:
    """Whether there is anything to translate beside fields: words, or the way that two parts are joined."""
    return bool(FIELD.sub("", sentence if isinstance(sentence, str) else sentence[0]))


def _read(file: Path) -> Catalog:
    from babel.messages.pofile import read_po

    with file.open("rb") as source:
        return read_po(source)


if __name__ == "__main__":
    main()
