"""The learner's folder: its settings, its attempts, and the settings by which an editor resolves their imports.

A file that may be the learner's is never overwritten. Files are written atomically, so that no text is lost if the
process is killed at any moment or two commands run at once.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import secrets
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

import groundup.core
from groundup.core.errors import EnvironmentProblem, NoWorkspace, UsageProblem, nearest, reason_of, remedy
from groundup.core.messages import Message, joined
from groundup.grader.learner.settings_file import SETTINGS_FILE, settings_file

if TYPE_CHECKING:
    from groundup.core.technique import Technique

__all__ = ["Settings", "Workspace"]

TEMPLATES = Path(__file__).with_name("templates")
SETTINGS_TEXT = """\
# A Groundup workspace. 'learn' finds this file from the folder that holds it, from below it, and from just above it.

roadmap = "fourteen-days"
lang = "en"  # of lessons, quizzes and verdicts; what is not translated is shown in English

# Progress is kept in .learn/learn.db beside this file. Another database is named by an SQLAlchemy URL, and one that
# a class shares needs to know who you are:
# database = "postgresql+psycopg://host/class"
# learner = "ada"

# Nothing is run behind weaker walls than these: strong, namespaces or landlock. 'learn doctor' shows what there is.
# require_containment = "strong"
"""


class Settings(BaseModel):
    """The contents of ``learn.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    roadmap: str = "fourteen-days"
    lang: str = Field("en", min_length=1)
    database: str | None = Field(None, min_length=1, description="SQLAlchemy URL; None is the workspace's own SQLite")
    require_containment: Literal["strong", "namespaces", "landlock", "process"] | None = None
    learner: str = Field("", max_length=200, description="whose rows these are in a database that several share")

    @model_validator(mode="after")
    def _a_shared_database_knows_its_learner(self) -> Self:
        if self.database and not self.database.startswith("sqlite") and not self.learner:
            raise ValueError("a database that several may share needs learner = '...' beside it, or scores would mix")
        return self


class Workspace:
    """A folder with ``learn.toml``."""

    def __init__(self, folder: Path) -> None:
        """Read the settings of the workspace at ``folder``. Raises UsageProblem if they are invalid."""
        self.folder = folder.resolve()
        self.settings = _read_settings(self.folder / SETTINGS_FILE)

    @classmethod
    def find(cls, start: Path | None = None) -> Self:
        """Return the nearest workspace: ``start`` (the current folder), ``start/workspace``, then upwards.

        Raises NoWorkspace if there is none, UsageProblem if its settings are invalid.
        """
        here = (start or Path.cwd()).resolve()
        if (file := settings_file(here)) is not None:
            return cls(file.parent)
        raise NoWorkspace(
            "No workspace in {here}, its folder 'workspace' or above it. 'learn start day-1' makes one.", here=here
        )

    @classmethod
    def create(cls, folder: Path, lang: str = "en", told: Callable[[str], str] = str) -> Self:
        """Make ``folder`` a workspace, or add what is missing in an existing one, and return it.

        A new one has the language ``lang``; ``told`` translates English text to it. Raises EnvironmentProblem.
        """
        folder = folder.resolve()
        with _writing(folder):
            _write_new(folder / SETTINGS_FILE, SETTINGS_TEXT.replace('"en"', f'"{lang}"'))
            for_agents = (TEMPLATES / "agents.md").read_text("utf-8").strip().split("\n\n")
            _write_new(folder / "AGENTS.md", "\n\n".join(map(told, for_agents)) + "\n")
            _write_new(folder / ".learn" / ".gitignore", "*\n")
            _write_generated(folder / "pyrightconfig.json", _pyright(folder))
            _write_generated(folder / ".vscode" / "settings.json", _vscode(folder))
        return cls(folder)

    @property
    def database(self) -> Path | str:
        """Where progress is stored: the file of an SQLite database, or an SQLAlchemy URL."""
        url = self.settings.database
        if url is None:
            return self.folder / ".learn" / "learn.db"
        file = re.fullmatch(r"sqlite:///([^:?][^?]*)", url)
        return self.folder / file[1] if file else url  # a relative path starts at learn.toml's folder

    def attempt_path(self, technique: Technique) -> Path:
        """Return the path of the learner's file for ``technique``, whether it exists or not."""
        return self.folder / technique.file

    def put_exercise(self, technique: Technique, source: str) -> bool:
        """Write the stub to the attempt's path, unless something exists there; return whether it was written.

        Raises EnvironmentProblem if it cannot be written.
        """
        attempt = self.attempt_path(technique)
        with _writing(attempt):
            return _write_new(attempt, source)

    def reset(self, technique: Technique, source: str) -> Path | None:
        """Move the attempt to the next free numbered name beside it (``ppo.1.py``) and write the stub.

        Returns the backup, or None if there was no attempt. Raises EnvironmentProblem if it cannot be moved.
        """
        attempt = self.attempt_path(technique)
        with _writing(attempt):
            backup = _move_aside(attempt) if os.path.lexists(attempt) else None
            _write_new(attempt, source)
        return backup


def _read_settings(file: Path) -> Settings:
    try:
        return Settings.model_validate(tomllib.loads(file.read_text("utf-8-sig")))
    except OSError as error:
        raise UsageProblem("{file} cannot be read: {why}.", file=file, why=reason_of(error)) from error
    except UnicodeDecodeError as error:
        raise UsageProblem("{file} is not UTF-8 (byte {at}). Save it as UTF-8.", file=file, at=error.start) from error
    except tomllib.TOMLDecodeError as error:
        raise UsageProblem("{file} is not TOML: {why}.", file=file, why=error) from error
    except ValidationError as error:
        complaints = [Message("{file}: {why}", file=file, why=_complaint(dict(e))) for e in error.errors()]
        raise UsageProblem(joined("\n", complaints)) from error


def _complaint(problem: dict[str, Any]) -> str:
    name = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        near = nearest(name, Settings.model_fields)
        if near:
            return Message("no setting {name!r}. Did you mean {near!r}?", name=name, near=near[0])
        return Message("no setting {name!r}. Remove it.", name=name)
    if not name:
        return f"{problem['msg'].removeprefix('Value error, ')}."
    return f"{name} = {problem['input']!r}: {problem['msg']}."


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn an error of the file system into an EnvironmentProblem with a next step."""
    try:
        yield
    except OSError as error:
        at = error.filename or path
        todo = remedy(error, Message("Make it writable, or move aside what is in its place."))
        raise EnvironmentProblem(
            "Cannot write {path}: {why} ({at}). {todo}", path=path, why=reason_of(error), at=at, todo=todo
        ) from error


def _write_new(path: Path, text: str) -> bool:
    """Write a file atomically unless its path exists; return whether it was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path):
        return False
    temporary = _write_beside(path, text)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:  # no hard links on this file system: a kill may then leave half a stub
        try:
            _write_exclusively(path, text)
        except FileExistsError:
            return False
    finally:
        temporary.unlink()
    return True


def _write_beside(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    _write_exclusively(temporary, text)
    return temporary


def _write_exclusively(path: Path, text: str) -> None:
    """Write a new file and sync it to disk. Raises FileExistsError if the path exists, even as a dangling link."""
    with path.open("xb") as file:
        try:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            path.unlink()
            raise


def _move_aside(attempt: Path) -> Path | None:
    """Move ``attempt`` to its next free numbered name; None if another command has moved it already.

    The name is reserved with an empty file first, and only that file is replaced: the text always has exactly one name.
    """
    if attempt.is_dir() and not attempt.is_symlink():
        raise IsADirectoryError(None, "is a folder", str(attempt))
    for number in itertools.count(1):
        backup = attempt.with_suffix(f".{number}.py")
        with suppress(FileExistsError):
            backup.touch(exist_ok=False)
            break
    try:
        attempt.replace(backup)
    except FileNotFoundError:
        backup.unlink()
        return None
    except OSError:
        backup.unlink()
        raise
    return backup


def _write_generated(path: Path, settings: dict[str, Any]) -> None:
    """Write an editor's settings (JSON with comments), unless the file exists and was edited.

    The first line holds a digest of the rest, which shows an edit. An unedited file is updated when Groundup moves.
    """
    body = json.dumps(settings, indent=2) + "\n"
    text = _generated_line(body) + body
    if _write_new(path, text):
        return
    try:
        there = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return
    head, newline, rest = there.partition("\n")
    if there != text and head + newline == _generated_line(rest):
        _write_beside(path, text).replace(path)


def _generated_line(body: str) -> str:
    digest = hashlib.sha256(body.encode()).hexdigest()[:12]
    return f"// Written by 'learn start' ({digest}). Edit it as you like: a changed file is left alone.\n"


def _pyright(folder: Path) -> dict[str, Any]:
    """Return settings for pyright and Pylance: the paths of ``groundup`` and of the installed packages."""
    settings: dict[str, Any] = {"extraPaths": [_from(folder, _import_root())]}
    if sys.prefix != sys.base_prefix:
        environment = Path(sys.prefix)
        settings |= {"venvPath": _from(folder, environment.parent), "venv": environment.name}
    return settings


def _vscode(folder: Path) -> dict[str, Any]:
    interpreter = _from(folder, Path(sys.executable))  # not resolved: in a virtual environment it is a link
    if not Path(interpreter).is_absolute():
        interpreter = "${workspaceFolder}/" + interpreter
    return {"python.defaultInterpreterPath": interpreter}


def _from(folder: Path, path: Path) -> str:
    """Return ``path`` relative to ``folder`` if the two are side by side, so that they can be moved together."""
    near = path.is_relative_to(folder.parent)
    return Path(os.path.relpath(path, folder) if near else path).as_posix()


def _import_root() -> Path:
    """Return the folder in which an editor finds ``groundup``.

    Editors do not run the import hook of an editable install; for one, a link in ``build/ns`` provides the namespace.
    """
    house = Path(groundup.core.__file__).parent.parent
    if not (house / "pyproject.toml").is_file():
        return house.parent  # installed: site-packages
    root = house / "build" / "ns"
    with suppress(OSError):  # the set-up makes the link; without it only editor support is lost
        root.mkdir(parents=True, exist_ok=True)
        (root / "groundup").symlink_to(Path("..", ".."), target_is_directory=True)
    return root
