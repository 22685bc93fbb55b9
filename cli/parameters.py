"""Parameter types for files and folders, with errors in the learner's language."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from groundup.cli.words import tr

__all__ = ["InputFile", "PathTo"]


class InputFile(click.File):
    """A file to read."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the open file, or fail with the reason."""
        from groundup.core.errors import reason_of

        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            if not isinstance(error.__context__, OSError):
                raise
            self.fail(tr("{name!r}: {why}", name=value, why=reason_of(error.__context__)), param, ctx)


class PathTo(click.Path):
    """The path to a file or a folder. click.Path names itself when constructed, before the language is known."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, or fail with the reason."""
        kind = tr("directory") if self.dir_okay else tr("file")
        self.name = tr("path") if self.file_okay and self.dir_okay else kind
        return super().convert(value, param, ctx)
