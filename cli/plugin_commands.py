"""The commands of plugins. A broken one is reported with its plugin's name; the others still work."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from groundup.core.errors import GroundupError, PluginProblem
from groundup.core.messages import Message

if TYPE_CHECKING:
    from groundup.core.registry import Registry

__all__ = ["owned", "plugin_commands"]


def plugin_commands(
    registry: Registry, built_in: Iterable[str]
) -> tuple[dict[str, tuple[str, click.Command]], list[PluginProblem]]:
    """Return the commands by name, each with its plugin's name, and the problems of the broken ones.

    A name that is ``built_in``, or taken by another plugin, is a problem.
    """
    found: dict[str, tuple[str, click.Command]] = {}
    answers, problems = registry.ask("commands", _commands)
    for plugin, commands in answers:
        for command in commands:
            name = str(command.name)
            if name in found or name in built_in:
                taken = (
                    Message("plugin {name!r} has that name", name=found[name][0])
                    if name in found
                    else Message("Groundup has one of that name")
                )
                problems.append(
                    PluginProblem(
                        "The command {name!r} of plugin {plugin!r} is left out: {taken}. Give it another.",
                        name=name,
                        plugin=plugin,
                        taken=taken,
                    )
                )
            else:
                found[name] = (plugin, command)
    return found, problems


def owned(command: click.Command, plugin: str) -> click.Command:
    """Return ``command`` wrapped: an unexpected exception is reported with its traceback as the fault of ``plugin``."""
    invoke = command.invoke

    def watched(ctx: click.Context) -> Any:
        try:
            return invoke(ctx)
        except (GroundupError, click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            traceback.print_exc()
            why = f"{type(error).__name__}: {error}"
            raise PluginProblem(
                "The command {name!r} of plugin {plugin!r} failed: {why}", name=command.name, plugin=plugin, why=why
            ) from error

    owned = copy.copy(command)
    owned.invoke = watched  # type: ignore[method-assign]
    return owned


def _commands(returned: Any) -> list[click.Command]:
    if isinstance(returned, str | dict | click.Command) or not isinstance(returned, Iterable):
        raise TypeError(f"it returned {returned!r:.80}, which is no list of commands")
    commands = list(returned)
    for command in commands:
        if not isinstance(command, click.Command) or not command.name:
            raise TypeError(f"it returned {command!r:.80}, which is no click command with a name")
    return commands
