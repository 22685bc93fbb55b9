"""What commands share: the registry, the workspace and its state, the language, technique names as arguments."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from groundup.cli.words import also_from, languages, speak, spoken_language, told, tr
from groundup.core.messages import Message, every

if TYPE_CHECKING:
    from groundup.cli.index import Index
    from groundup.core.errors import PluginProblem
    from groundup.core.registry import Registry
    from groundup.core.technique import Roadmap, Technique
    from groundup.grader.learner.state import State
    from groundup.grader.learner.workspace import Workspace

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_ROADMAP = "fourteen-days"
TOLD = "groundup.told"
"""In the meta of click's context, the problems of plugins that this command has told of."""


def registry() -> Registry:
    """Return what the installed plugins declare; a broken plugin is reported once, on stderr."""
    return registry_in(spoken_language())


@functools.cache
def registry_in(lang: str) -> Registry:
    """Return what the installed plugins declare, with texts in ``lang``. English needs no other language's files."""
    from groundup.core.registry import Registry

    with contextlib.redirect_stdout(sys.stderr):  # what a plugin prints is not what the command reports
        found = Registry() if lang == "en" else registry_in("en").in_language(lang)
    context = click.get_current_context(silent=True)
    already: list[PluginProblem] = context.meta.setdefault(TOLD, []) if context else []
    for problem in found.problems:
        if problem not in already:
            click.echo(f"learn: {told(problem.message)}", err=True)
            already.append(problem)
    folders = [locale_of(found, name) for name, _ in found.manager.list_name_plugin()] if lang != "en" else []
    for path, error in also_from(folders, lang) if folders else ():
        click.echo("learn: " + tr("{path} cannot be read: {why}.", path=path, why=error), err=True)
    return found


def locale_of(registry: Registry, plugin: str) -> Path:
    """Return where a plugin may have catalogues of its own: ``locale``, beside its module."""
    return Path(getattr(registry.manager.get_plugin(plugin), "__file__", None) or "none").with_name("locale")


def index() -> Index:
    """Return the index; plugins are loaded only if the cached index is out of date."""
    from groundup.cli.index import keep_index, kept_index, made_index

    lang = spoken_language()
    if not registry_in.cache_info().currsize and (kept := kept_index(lang)) is not None:
        return kept
    made = made_index(registry(), lang)
    keep_index(made, registry(), lang)
    return made


def index_for_completion() -> Index:
    """Return the index without reporting broken plugins: a message would land in the line that is being typed."""
    with contextlib.redirect_stderr(io.StringIO()):
        return index()


def techniques_named(names: Iterable[str]) -> list[Technique]:
    """Return the techniques called so, each once; all that are installed if no name is given."""
    return [technique_named(name) for name in dict.fromkeys(names)] or list(registry().techniques.values())


def technique_named(name: str) -> Technique:
    """Return the technique called ``name``, or whose attempt is that file. A day's name gets its own error.

    Raises UnknownName, UsageProblem, PluginProblem.
    """
    from groundup.core.errors import UnknownName, UsageProblem

    if name.endswith(".py"):
        return _technique_at(Path(name))
    try:
        return registry().technique(name)
    except UnknownName:
        days = {d.name: d for r in registry().roadmaps.values() for d in r.days}
        if name not in days:
            known = [*registry().techniques, *days]
            raise UnknownName(Message("technique"), name, known, Message("'learn list' shows what there is.")) from None
    stop_at_a_broken_one(days[name].techniques)
    written = [registry().techniques[i].name for i in days[name].techniques if i in registry().techniques]
    if written:
        raise UsageProblem(
            "{name!r} is a day, but a technique is needed here. The techniques of that day: {names}.",
            name=name,
            names=every(written),
        )
    raise UsageProblem(
        "{name!r} is a day, but a technique is needed here. None of its techniques is written yet.", name=name
    )


def _technique_at(path: Path) -> Technique:
    from groundup.core.errors import UsageProblem

    if workspace := find_workspace():
        for technique in registry().techniques.values():
            if workspace.attempt_path(technique).resolve() == path.resolve():
                return technique
    raise UsageProblem(
        "{path} is not an attempt in this workspace. 'learn grade TECHNIQUE --attempt FILE' grades any file.", path=path
    )


def saved_last(attempts: Mapping[str, Path]) -> str:
    """Return the name of the technique whose attempt was saved last."""

    def saved(name: str) -> int:
        with contextlib.suppress(OSError):
            return attempts[name].stat().st_mtime_ns
        return 0

    return max(attempts, key=saved)


def stop_at_a_broken_one(identities: Iterable[str]) -> None:
    """Raise PluginProblem if one of the techniques is missing because its plugin is broken."""
    for identity in identities:
        if problem := registry().problem_of(identity):
            raise problem


def broken_attempts(workspace: Workspace) -> list[PluginProblem]:
    """Return the problems of broken plugins whose techniques the learner has attempts for."""
    from groundup.core.declared import file_of

    return [p for identity, p in registry().broken.items() if (workspace.folder / file_of(identity)).is_file()]


def why_absent(identity: str) -> str:
    """Return, in a word or two, why that technique is missing: its plugin is broken, or it is not written yet."""
    if registry().problem_of(identity):
        return click.style(tr("broken"), fg="red")
    return click.style(tr("not written yet"), dim=True)


def roadmap_of(workspace: Workspace | None) -> Roadmap:
    """Return the roadmap that the workspace follows. Raises UsageProblem when learn.toml names an unknown one."""
    from groundup.core.errors import UnknownName, UsageProblem

    if workspace is None:
        return registry().roadmap(DEFAULT_ROADMAP)
    try:
        return registry().roadmap(workspace.settings.roadmap)
    except UnknownName as error:
        raise UsageProblem("{file}: {why}", file=workspace.folder / "learn.toml", why=error) from error


def followed_roadmap() -> str:
    """Return the name of the roadmap that is followed here. A roadmap of that name need not exist."""
    return _as_set("roadmap", DEFAULT_ROADMAP)


def first_day() -> str:
    """Return the day to begin with. Raises PluginProblem if the roadmap's plugin is broken."""
    found = index()
    if DEFAULT_ROADMAP not in found.roadmaps:
        registry().roadmap(DEFAULT_ROADMAP)
    return found.begins_with(found.roadmaps[DEFAULT_ROADMAP])


def find_workspace() -> Workspace | None:
    """Return the workspace of the current folder, or None."""
    from groundup.grader.learner.settings_file import settings_file

    if settings_file(Path.cwd().resolve()) is None:
        return None
    from groundup.grader.learner.workspace import Workspace

    return Workspace.find()


def demand_containment(workspace: Workspace | None, level: str | None = None) -> None:
    """Raise EnvironmentProblem if isolation is weaker than ``level`` or the workspace's settings demand."""
    from groundup.grader.process import sandbox

    for demanded in (level, workspace.settings.require_containment if workspace else None):
        if demanded:
            sandbox.demand(demanded)


def workspace_for(technique: Technique) -> Workspace:
    """Return the workspace of the current folder. Raises NoWorkspace, which names the command that makes one."""
    from groundup.core.errors import NoWorkspace

    workspace = find_workspace()
    if workspace is None:
        raise NoWorkspace("There is no workspace here. 'learn start {name}' makes one.", name=technique.name)
    return workspace


def open_state(workspace: Workspace) -> State:
    """Return the workspace's state; close it after use."""
    from groundup.grader.learner.state import State

    return State(workspace.database, learner=workspace.settings.learner)


def tell_problems(state: State) -> None:
    """Say on stderr which recorded verdicts cannot be read or do not count."""
    for problem in state.problems.values():
        click.echo(f"learn: {told(problem.message)}", err=True)


def attempt_in(workspace: Workspace, technique: Technique) -> Path:
    """Return the path of the learner's file. Raises UsageProblem if it does not exist yet."""
    from groundup.core.errors import UsageProblem

    path = workspace.attempt_path(technique)
    if not path.is_file():
        at, name = shown(path), technique.name
        raise UsageProblem("There is no {path} yet: 'learn start {name}' puts the stub there.", path=at, name=name)
    return path


def effort_of(technique: Technique) -> str:
    """Return level and minutes of a technique; what its manifest does not give is left out."""
    level, minutes = technique.level, technique.minutes
    if level and minutes:
        return tr("level {level} of 5, {minutes} minutes", level=level, minutes=minutes)
    if level:
        return tr("level {level} of 5", level=level)
    return tr("{minutes} minutes", minutes=minutes) if minutes else ""


def exercise_text(technique: Technique) -> str:
    """Return the text of the technique's stub. Raises PluginProblem if it cannot be read."""
    from groundup.core.errors import PluginProblem, reason_of

    path = technique.files.exercise
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise PluginProblem(
            "The exercise of {id} cannot be read: {path}: {why}. 'learn author stubs {name}' writes it.",
            id=technique.id,
            path=path,
            why=reason_of(error),
            name=technique.name,
        ) from error


def shown(path: Path) -> str:
    """Return ``path`` relative to the current folder if it lies inside it."""
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except ValueError:
        return str(path)


class TechniqueName(click.ParamType):  # type: ignore[type-arg]
    """A technique, by short name or full id; with ``days`` also a day of the roadmap that is followed."""

    name = "technique"

    def __init__(self, *, days: bool = False) -> None:
        self.days = days

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete the names of techniques, and of days if they are allowed."""
        found = index_for_completion()
        ids = [*found.techniques]
        names = sorted(t.name for t in found.techniques.values())
        if self.days:
            roadmap = found.roadmaps.get(followed_roadmap())
            names += [day.name for day in roadmap.days] if roadmap else []
        matching = [n for n in names if n.startswith(incomplete)] or [i for i in ids if i.startswith(incomplete)]
        return [CompletionItem(n) for n in matching]


class WholeNumber(click.ParamType):  # type: ignore[type-arg]
    """A whole number between two bounds, inclusive."""

    name = "number"

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number, or fail with the allowed range."""
        if isinstance(value, int) or re.fullmatch(r"[+-]?[0-9]{1,30}", value, re.ASCII):
            number = int(value)
            if self.low <= number <= self.high:
                return number
        says = tr("{value!r} is not a whole number from {low} to {high}.", value=value, low=self.low, high=self.high)
        self.fail(says, param, ctx)


def lang_option(command: F) -> F:
    """Add ``--lang``; the default is the language set in learn.toml."""
    return click.option(
        "--lang",
        metavar="LANG",
        is_eager=True,
        callback=_speak,
        help="Language of texts: en or zh. Default: learn.toml's.",
    )(command)


def language(lang: str | None) -> str:
    """Return the language to show texts in, and switch to it. Warn once if the commands have no translation into it."""
    if not lang:
        workspace = find_workspace()
        lang = workspace.settings.lang if workspace else "en"
    if lang not in (known := languages()) and lang != spoken_language():
        says = tr(
            "the commands are available in {names}, not in {lang!r}: texts without a translation are in English.",
            names=every(known),
            lang=lang,
        )
        click.echo(f"learn: {says}", err=True)
    speak(lang)
    return lang


def speak_first(arguments: Sequence[str]) -> None:
    """Switch to the language of --lang, or else of learn.toml, before anything else is parsed.

    An invalid value is reported later, by a command that needs it; until then English is used.
    """
    lang = _asked_for(arguments) or _as_set("lang", "en")
    speak(lang if lang in languages() else "en")


def _asked_for(arguments: Sequence[str]) -> str | None:
    asked = None
    for argument, following in itertools.pairwise([*arguments, ""]):
        if argument == "--":
            break
        option, equals, value = argument.partition("=")
        if option == "--lang":
            asked = value if equals else following
    return asked


def _as_set(name: str, default: str) -> str:
    """Return a setting of learn.toml without validating the file; ``default`` if it is absent or unreadable."""
    from groundup.grader.learner.settings_file import settings_file

    with contextlib.suppress(OSError, ValueError):
        if (file := settings_file(Path.cwd())) is not None:
            import tomllib

            return str(tomllib.loads(file.read_text("utf-8-sig")).get(name, default))
    return default


def _speak(ctx: click.Context, param: click.Parameter, lang: str | None) -> str | None:
    if lang and not ctx.resilient_parsing:
        language(lang)
    return lang


def say(text: dict[str, str] | str, lang: str) -> str:
    """Return ``text`` in ``lang``, or in English if it has no translation. Imports from ``core`` only when called."""
    from groundup.core.technique import say as in_core

    return in_core(text, lang)


def json_option(command: F) -> F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)


def print_json(value: Any) -> None:
    """Print a plain value as JSON."""
    import json

    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
