from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import groundup.plugins
from groundup.cli import main as main_module
from groundup.cli import warm
from groundup.cli.entry import main
from groundup.cli.main import cli
from groundup.cli.names import COMMANDS, spoken

HEAVY = ["torch", "numpy", "pytest", "hypothesis", "pydantic", "sqlalchemy", "rich", "groundup.plugins.rl"]
LOADED = """
import os, sys
sys.argv = ["learn", *{arguments!r}]
os.environ.update({environment!r})
from groundup.cli.entry import main
try:
    main()
finally:
    print("loaded:", *[m for m in {heavy!r} if m in sys.modules], file=sys.stderr)
"""


def loaded(arguments: list[str], environment: dict[str, str] | None = None) -> list[str]:
    """Return the heavy modules that a command has imported by its end."""
    code = LOADED.format(arguments=arguments, environment=environment or {}, heavy=HEAVY)
    ended = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert ended.returncode in (0, 1), ended.stderr
    return ended.stderr.splitlines()[-1].split()[1:]


# What is not imported


@pytest.fixture
def index_can_be_kept() -> None:
    """Wait until every source of ours is older than 3 s: a newer one may be half-written, and is not indexed."""
    root = Path(groundup.plugins.__path__[0]).parent
    youngest = max(file.stat().st_mtime for file in root.glob("*/**/*.py"))
    time.sleep(max(0.0, youngest + 3 - time.time()))


def test_help_imports_nothing_heavy() -> None:
    assert loaded(["--help"]) == []


def test_the_help_of_every_command_imports_nothing_heavy() -> None:
    code = f"""
import sys
from click.testing import CliRunner
from groundup.cli.main import cli
from groundup.cli.names import COMMANDS
for name in COMMANDS:
    assert CliRunner().invoke(cli, [name, "--help"]).exit_code == 0, name
    print(name, *[m for m in {HEAVY!r} if m in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == list(COMMANDS)


@pytest.mark.parametrize("words", ["learn st", "learn start ", "learn grade --", "learn no-such-command "])
def test_completing_imports_nothing_heavy(words: str, here: Path, index_can_be_kept: None) -> None:
    loaded(["list"])  # writes the index, unless there is one
    environment = {"_LEARN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    assert loaded([], environment) == []


def test_the_list_imports_nothing_heavy_once_an_index_is_kept(here: Path, index_can_be_kept: None) -> None:
    loaded(["list"])
    assert loaded(["list"]) == []


@pytest.mark.parametrize("command", ["list", "status"])
def test_looking_around_imports_no_torch(command: str, learn: Any, tmp_path: Path) -> None:
    learn("start", "gae")
    found = loaded([command], {"XDG_CACHE_HOME": str(tmp_path)})
    assert {"torch", "numpy", "pytest", "hypothesis"}.isdisjoint(found)
    assert "groundup.plugins.rl" in found  # otherwise the test would prove nothing


# Help


def test_help_teaches_the_first_steps_and_the_exit_codes() -> None:
    text = CliRunner().invoke(cli, ["--help"]).output
    assert "'learn start ppo'" in text
    assert "Exit codes  0  all held, or done" in text
    for name, help in COMMANDS.items():
        assert f"  {name} " in text
        assert help in " ".join(text.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_the_list_says_of_it(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.short_help == COMMANDS[name]
    assert command.help


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_there_under_both_names(option: str) -> None:
    assert CliRunner().invoke(cli, ["start", option]).exit_code == 0


def test_help_shows_commands_as_this_user_calls_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEARN_COMMAND", "./learn")
    text = CliRunner().invoke(cli, ["start", "--help"], prog_name="./learn").output
    assert text.startswith("Usage: ./learn start ")
    assert "\n  ./learn start day-7\n" in text


def test_only_commands_are_spoken_as_this_user_calls_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEARN_COMMAND", "./learn")
    assert spoken("Try 'learn grade ppo'.") == "Try './learn grade ppo'."
    assert spoken("  learn --help  the commands") == "  ./learn --help  the commands"
    assert spoken("learn by doing; to learn list comprehensions") == "learn by doing; to learn list comprehensions"


# Without a command


def test_learn_alone_welcomes_who_has_no_workspace(learn: Any, here: Path) -> None:
    result = learn()
    assert result.exit_code == 0
    assert re.sub(r"day-\d+", "day-N", result.stdout) == (
        "Groundup: learn LLM systems by building every mechanism yourself.\n"
        "You have no workspace here yet.\n"
        "\n"
        "Next\n"
        "  learn start day-N  make one, with the first stubs\n"
        "  learn list         the days of the roadmap\n"
        "  learn --help       the commands\n"
    )
    assert list(here.iterdir()) == []


def test_learn_alone_says_how_far_you_are_and_what_comes_next(learn: Any, toy: Path) -> None:
    learn("start", "scale")
    head, _bar, *rest = learn().stdout.splitlines()
    assert head == learn("status").stdout.splitlines()[0]
    assert rest == [
        "",
        "Next",
        "  learn read scale   the lesson",
        "  learn grade scale  what holds of your attempt",
        "  learn status       where you stand",
    ]


def test_commands_can_be_pasted_wherever_the_clone_lies(learn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEARN_COMMAND", "/my files/groundup/learn")
    assert "'/my files/groundup/learn' start day-" in learn().output
    assert spoken("try 'learn status'") == """try '"/my files/groundup/learn" status'"""


# Errors


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["strat"], "learn: No command 'strat'. Did you mean 'start' or 'status'?\n"),
        (["frobnicate"], "learn: No command 'frobnicate'. 'learn --help' lists them.\n"),
        (["test", "gae"], "learn: No command 'test'. Did you mean 'learn grade gae'?\n"),
        (["lesson", "gae"], "learn: No command 'lesson'. Did you mean 'learn read gae'?\n"),
        (["progress"], "learn: No command 'progress'. Did you mean 'learn status'?\n"),
        (["submit"], "learn: No command 'submit'. Did you mean 'learn grade'?\n"),
        (["--nonsense"], "No such option"),
        (["start"], "Missing argument 'DAY|TECHNIQUE'"),
    ],
)
def test_what_is_not_understood_ends_with_2_and_the_next_step(learn: Any, arguments: list[str], says: str) -> None:
    result = learn(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr


def test_a_folder_that_is_gone_is_told_in_a_sentence(learn: Any, here: Path) -> None:
    here.rmdir()
    result = learn("status")
    assert (result.exit_code, result.stderr) == (2, "learn: The folder that you are in is gone: go to another one.\n")


def test_a_file_that_cannot_be_used_is_named(learn: Any, here: Path, toy: Path) -> None:
    (toy / "solution.py").unlink()
    learn("start", "scale")
    result = learn("solution", "scale", "--give-up")
    assert result.exit_code == 3
    assert result.stderr == f"learn: {toy / 'solution.py'}: No such file or directory.\n"


def ended(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int | str | None:
    """Return the exit code of ``learn status`` when it raises ``error``."""

    def raises() -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["learn", "status"])
    monkeypatch.setattr(main_module, "_need_a_folder", raises)
    with pytest.raises(SystemExit) as exit:
        main()
    return exit.value.code


def test_ctrl_c_ends_with_130_and_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr() == ("", "learn: stopped.\n")


def test_what_nobody_foresaw_is_no_verdict_on_an_attempt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(monkeypatch, ZeroDivisionError("ours")) == 3  # not 1: that means that an attempt fell short
    err = capsys.readouterr().err
    assert "ZeroDivisionError: ours" in err
    assert "your attempt is not at fault" in err


def test_nor_is_what_nobody_foresaw_of_the_warm_judge(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def raises(arguments: list[str]) -> None:
        raise ZeroDivisionError(*arguments)

    monkeypatch.setattr(sys, "argv", ["learn", "grade", "gae"])
    monkeypatch.setattr(warm, "wants_one", lambda arguments: True)
    monkeypatch.setattr(warm, "handed_over", raises)
    with pytest.raises(SystemExit) as exit:
        main()
    assert exit.value.code == 3
    assert "your attempt is not at fault" in capsys.readouterr().err


# Colours


@pytest.mark.parametrize(("color", "environment", "coloured"), [(True, {}, True), (False, {}, False),
                                                                 (True, {"NO_COLOR": "1"}, False)])  # fmt: skip
def test_colours_are_for_terminals_that_want_them(
    learn: Any, color: bool, environment: dict[str, str], coloured: bool
) -> None:
    result = learn("list", color=color, env=environment)
    assert ("\x1b[" in result.stdout) == coloured


def test_a_terminal_without_the_marks_gets_something_else(command: Callable[..., subprocess.Popen[str]]) -> None:
    process = command("list", "--lang", "zh", PYTHONIOENCODING="latin-1")
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "fourteen-days  ???\n" in out


# Plugins


COMMAND = """
import click
from groundup.core.hookspecs import hookimpl


@click.command("greet")
@click.argument("name")
def greet(name):
    click.echo(f"hello {name}")


@hookimpl
def commands():
    return [greet]
"""
FAILING = "from groundup.core.hookspecs import hookimpl\n\n\n@hookimpl\ndef commands():\n    raise OSError('no')\n"


def test_a_plugin_brings_a_command(learn: Any, plugins: Any) -> None:
    plugins.install(COMMAND)
    result = learn("greet", "you")
    assert (result.exit_code, result.output) == (0, "hello you\n")


def test_a_plugin_that_fails_to_list_its_commands_stops_no_other(learn: Any, plugins: Any) -> None:
    plugins.install(FAILING)
    plugins.install(COMMAND)
    result = learn("greet", "you")
    assert (result.exit_code, result.stdout) == (0, "hello you\n")
    assert result.stderr == f"learn: Plugin {plugins.packages[0]!r} failed in commands(): OSError: no\n"


@pytest.mark.parametrize("returned", ["3", "'greet'", "None", "[print]", "greet"])
def test_what_is_no_list_of_commands_is_told_with_its_plugin(learn: Any, plugins: Any, returned: str) -> None:
    plugins.install(COMMAND.replace("return [greet]", f"return {returned}"))
    plugins.install(COMMAND)
    result = learn("greet", "you")
    assert (result.exit_code, result.stdout) == (0, "hello you\n")
    assert f"learn: Plugin {plugins.packages[0]!r} failed in commands(): TypeError: it returned " in result.stderr


def test_of_two_commands_of_one_name_the_first_counts_and_the_other_is_told(learn: Any, plugins: Any) -> None:
    plugins.install(COMMAND)
    plugins.install(COMMAND.replace("hello", "good bye"))
    result = learn("greet", "you")
    assert (result.exit_code, result.stdout) == (0, "hello you\n")
    first, second = plugins.packages
    assert result.stderr == (
        f"learn: The command 'greet' of plugin {second!r} is left out: plugin {first!r} has that name. "
        "Give it another.\n"
    )


def test_a_plugins_command_that_fails_is_told_as_the_plugins_fault(learn: Any, plugins: Any) -> None:
    plugins.install(COMMAND.replace('click.echo(f"hello {name}")', "raise OSError('no network')"))
    result = learn("greet", "you")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "in greet\n" in result.stderr
    told = f"learn: The command 'greet' of plugin {plugins.packages[0]!r} failed: OSError: no network\n"
    assert result.stderr.endswith(told)


def test_a_plugins_command_that_is_misspelt_gets_a_did_you_mean(learn: Any, plugins: Any) -> None:
    plugins.install(COMMAND)
    result = learn("gret", "you")
    assert result.exit_code == 2
    assert "Did you mean 'greet', " in result.stderr


def test_no_plugin_takes_the_place_of_a_built_in_command(learn: Any, plugins: Any) -> None:
    plugins.install(COMMAND.replace('"greet"', '"list"'))
    assert learn("list").stdout.startswith("fourteen-days")
    told = f"The command 'list' of plugin {plugins.packages[0]!r} is left out: Groundup has one of that name."
    assert told in learn("no-such-command").stderr


def test_a_broken_plugin_is_reported_and_the_others_go_on(learn: Any, plugins: Any, toy: Path) -> None:
    plugins.install("import nothing_of_that_name\n")
    plugins.install("from groundup.core.hookspecs import hookimpl\n\n\n@hookimpl\ndef techniqus():\n    return []\n")
    result = learn("list", "--json")
    assert result.exit_code == 0
    assert [t["id"] for t in json.loads(result.stdout)["tracks"]["toys"]] == ["toys/scale"]
    first, second = result.stderr.splitlines()
    assert first.startswith(f"learn: Plugin {plugins.packages[1]!r} cannot be imported: ModuleNotFoundError")
    assert second.startswith(f"learn: Plugin {plugins.packages[2]!r} is broken: ")
    assert "techniqus" in second
