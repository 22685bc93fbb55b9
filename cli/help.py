"""Help texts in the learner's language, with commands as this user would type them.

Each paragraph, and each cell of a table, is looked up by its English text. So a command's help is written once, in
the command. Text without a translation, such as a plugin's help, is shown in English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import click

from groundup.cli.layout import padded, table, width, wrapped
from groundup.cli.names import spoken
from groundup.cli.words import placeholders, told, tr

__all__ = ["SpokenHelp"]

AS_IT_STANDS = "\b\n"  # click's mark of a paragraph that is not rewrapped
CELL = re.compile(r"\S+(?: \S+)*")  # a run of words separated by single spaces


class SpokenHelp(click.HelpFormatter):
    """Formats help in the learner's language."""

    def told(self, text: str) -> str:
        """Return a paragraph, a cell or a placeholder in the current language."""
        return told(text)

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the usage line."""
        head = f"{self.told('Usage: ') if prefix is None else prefix}{prog} "
        self.write(wrapped(self._placeholders(args), first=head, places=self.width) + "\n")

    def write_heading(self, heading: str) -> None:
        """Write a section's heading, which click has already translated."""
        self.write(" " * self.current_indent + tr("{name}:", name=heading) + "\n")

    def write_text(self, text: str) -> None:
        """Write the paragraphs of a command's help."""
        margin = " " * self.current_indent
        paragraphs = [
            "\n".join(margin + self._cells(line) for line in paragraph.removeprefix(AS_IT_STANDS).splitlines())
            if paragraph.startswith(AS_IT_STANDS)
            else wrapped(self.told(" ".join(paragraph.split())), first=margin, places=self.width)
            for paragraph in text.split("\n\n")
        ]
        self.write("\n\n".join(paragraphs) + "\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write a definition list: options or commands with their help."""
        lines = table(
            [(self._placeholders(term), self._help_of(help)) for term, help in rows],
            indent=" " * self.current_indent,
            places=self.width,
        )
        self.write("".join(f"{line}\n" for line in lines))

    def getvalue(self) -> str:
        """Return the help as this user would type it."""
        return spoken(super().getvalue())

    def _placeholders(self, text: str) -> str:
        return placeholders(text, self.told)

    def _help_of(self, text: str) -> str:
        """Return an option's help; additions by click, such as the default, are already translated."""
        help, added, more = text.partition("  [")
        return self.told(help) + added + more

    def _cells(self, line: str) -> str:
        """Return a table's line with its cells translated; the columns keep their positions."""
        return CELL.sub(lambda cell: padded(self.told(cell[0]), width(cell[0])), line).rstrip()
