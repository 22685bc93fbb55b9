"""``learn completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from groundup.cli.main import cli


@click.command("completion", short_help="Print the shell's completion script.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print a completion script for SHELL: bash, zsh or fish.

    \b
    learn completion bash >> ~/.bashrc
    learn completion zsh >> ~/.zshrc
    learn completion fish > ~/.config/fish/completions/learn.fish
    """
    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(cli, {}, "learn", "_LEARN_COMPLETE").source())
