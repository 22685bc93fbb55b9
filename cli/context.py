"""What commands share: the registry, the workspace and its state, the language, names of techniques as arguments."""

from __future__ import annotations

import functools
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from groundup.core.registry import Registry
    from groundup.core.technique import Technique
    from groundup.grader.state import State
    from groundup.grader.workspace import Workspace

F = TypeVar("F", bound=Callable[..., Any])
DAYS = 14


@functools.cache
def registry() -> Registry:
    """Return what the installed plugins declare; a broken plugin is reported once, on stderr."""
    from groundup.core.registry import Registry

    found = Registry()
    for problem in found.problems:
        click.echo(f"learn: {problem}", err=True)
    return found


def find_workspace() -> Workspace | None:
    """Return the workspace of the current folder, or None."""
    from groundup.core.errors import NoWorkspace
    from groundup.grader.workspace import Workspace

    try:
        return Workspace.find()
    except NoWorkspace:
        return None


def open_state(workspace: Workspace) -> State:
    """Return the workspace's state; close it after use."""
    from groundup.grader.state import State

    return State(workspace.database, learner=workspace.settings.learner)


def attempt_in(workspace: Workspace, technique: Technique) -> Path:
    """Return the learner's file. Raises UsageProblem when it is not there yet."""
    from groundup.core.errors import UsageProblem

    path = workspace.attempt_path(technique)
    if not path.is_file():
        raise UsageProblem(f"There is no {shown(path)} yet: 'learn start {technique.name}' puts the stub there.")
    return path


def shown(path: Path) -> str:
    """Return ``path`` as seen from here, where it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except ValueError:
        return str(path)


class TechniqueName(click.ParamType):  # type: ignore[type-arg]
    """A technique, by short name or full id; completes without importing a plugin."""

    name = "technique"

    def __init__(self, *, days: bool = False) -> None:
        self.days = days

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete from the folders of the built-in plugins, and the days of the roadmap."""
        import groundup.plugins

        names = [f"day-{n}" for n in range(1, DAYS + 1)] if self.days else []
        for track in Path(groundup.plugins.__path__[0]).iterdir():
            if (track / "__init__.py").exists():
                names += [m.name.replace("_", "-") for m in pkgutil.iter_modules([str(track)])]
        return [CompletionItem(n) for n in sorted(names) if n.startswith(incomplete)]


def lang_option(command: F) -> F:
    """Add ``--lang``; without it, what learn.toml says counts."""
    return click.option("--lang", metavar="LANG", help="Language of texts: en or zh. Default: learn.toml's.")(command)


def language(lang: str | None) -> str:
    """Return the language to show texts in."""
    if lang:
        return lang
    workspace = find_workspace()
    return workspace.settings.lang if workspace else "en"


def json_option(command: F) -> F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)


def print_json(value: Any) -> None:
    """Print a plain value as JSON."""
    import json

    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
