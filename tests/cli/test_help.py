"""That help, and what click does not understand, are told in both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import groundup.cli.help
from groundup.cli.layout import width
from groundup.cli.main import cli


def commands(command: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every command."""
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, (*path, name))


EVERY_COMMAND = list(commands())


# Help


@pytest.mark.parametrize("path", EVERY_COMMAND, ids=" ".join)
def test_the_help_of_a_command_is_chinese(learn: Any, path: tuple[str, ...]) -> None:
    lines = learn("--lang", "zh", *path, "--help").output.splitlines()
    assert lines[0].startswith(" ".join(["用法：learn", *path]))
    assert not re.search("[A-Z]{2,}", re.sub("JSON|YAML|HTML|RLAlgorithm", "", "".join(lines)).replace("SHELL", ""))
    assert max(map(width, lines)) <= 80
    assert "  -h, --help" in "\n".join(lines)


@pytest.mark.parametrize("path", EVERY_COMMAND, ids=" ".join)
def test_english_help_is_laid_out_as_by_click(learn: Any, path: tuple[str, ...], monkeypatch: Any) -> None:
    ours = learn(*path, "--help").output
    monkeypatch.setattr(groundup.cli.help, "SpokenHelp", click.HelpFormatter)
    assert ours == learn(*path, "--help").output


def test_cells_of_a_table_stay_where_they_are(learn: Any) -> None:
    output = learn("grade", "--lang", "zh", "--help").output
    assert "  learn grade ppo --attempt my_ppo.py   任意文件，不需要工作区\n" in output
    assert "\n  退出码      0  全部满足\n              1  作答未达到要求\n" in output


@pytest.mark.parametrize(
    "arguments",
    [
        ["grade", "--help", "--lang", "zh"],
        ["grade", "--lang", "zh", "--help"],
        ["grade", "-h", "--lang=zh"],
        ["--lang", "zh", "grade", "--help"],
        ["--lang", "en", "grade", "--lang", "zh", "--help"],
        ["--lang", "zh", "--help"],
        ["--help", "--lang", "zh"],
    ],
)
def test_lang_counts_wherever_it_stands(learn: Any, arguments: list[str]) -> None:
    assert learn(*arguments).output.startswith("用法：learn ")


def test_lang_before_the_command_is_for_the_command(learn: Any, here: Path) -> None:
    assert "接下来" in learn("--lang", "zh").output
    assert "接下来" in learn("--lang", "zh", "status").output
    assert "Next" in learn("--lang", "zh", "status", "--lang", "en").output
    assert learn("status").output.count("Next") == 1


def test_help_speaks_the_language_of_learn_toml(learn: Any, here: Path) -> None:
    (here / "workspace").mkdir()
    (here / "workspace" / "learn.toml").write_text('lang = "zh"\n')
    assert learn("--help").output.startswith("用法：")
    assert "错误：没有选项 '--sead'。" in learn("grade", "--sead", "4").output
    assert learn("--help", "--lang", "en").output.startswith("Usage: ")


@pytest.mark.parametrize("settings", ['lang = "tlh"\n', "lang = 3\n", "lang = \n", "\udcff", "{}"])
def test_whatever_learn_toml_says_there_is_help(learn: Any, here: Path, settings: str) -> None:
    (here / "learn.toml").write_bytes(settings.encode(errors="surrogateescape"))
    assert learn("grade", "--help").output.startswith("Usage: ")


def test_help_of_a_plugin_stays_as_it_is(learn: Any, plugins: Any) -> None:
    plugins.install(
        "import click\nfrom groundup.core.hookspecs import hookimpl\n\n\n"
        '@click.command("greet")\n@click.argument("name")\ndef greet(name):\n    """Say hello to NAME."""\n\n\n'
        "@hookimpl\ndef commands():\n    return [greet]\n"
    )
    result = learn("--lang", "zh", "greet", "--help")
    assert result.exit_code == 0
    assert "Say hello to NAME." in result.output
    assert "错误：缺少参数 'NAME'." in learn("--lang", "zh", "greet").output


# What click does not understand


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["grade", "--sead", "4"], "没有选项 '--sead'。 你要的是 '--seed' 吗？"),
        (["grade", "--xyz"], "没有选项 '--xyz'。"),
        (["grade", "--seed"], "选项 '--seed' 需要一个值。"),
        (["grade", "--all=3"], "选项 '--all' 不带值。"),
        (["grade", "--seed", "x"], "'--seed' 的值无效：'x' 不是 0 到 9223372036854775807 之间的整数。"),
        (["quiz", "x", "y"], "多出了参数：y"),
        (["quiz", "x", "--answers", "none"], "'--answers' 的值无效：'none'：没有那个文件或文件夹"),
        (["hint", "x", "1", "z", "u"], "多出了参数：z u"),
        (["hint", "x", "y"], "'[空]' 的值无效：'y' 不是 0 到 999 之间的整数。"),
        (["start"], "缺少参数 '日程|技术'."),
        (["run", "x", "--out", __file__], f"'--out' 的值无效：文件夹 '{__file__}' 是文件，这里要的是文件夹。"),
        (["brief", "--format", "pdf"], "'--format' 的值无效：'pdf' 不是 'md', 'html' 之一。"),
        (["completion"], "缺少参数 '{bash|zsh|fish}'. 可选：\n\tbash,\n\tzsh,\n\tfish"),
        (["completion", "tcsh"], "'{bash|zsh|fish}' 的值无效：'tcsh' 不是 'bash', 'zsh', 'fish' 之一。"),
        (["author", "chek"], "没有名为 'chek' 的命令。 你要的是 'check' 吗？"),
        (["--nonsense"], "没有选项 '--nonsense'。"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_understood_is_told_in_chinese(learn: Any, arguments: list[str], says: str) -> None:
    result = learn("--lang", "zh", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith(f"错误：{says}\n")
    if "用法：" in result.stderr:  # click shows it where it knows the command
        assert re.fullmatch(r"用法：learn .*\n输入 'learn .*--help' 查看帮助。\n\n错误：.*\n", result.stderr, re.DOTALL)


def test_a_group_without_a_command_shows_its_help_in_chinese(learn: Any) -> None:
    result = learn("--lang", "zh", "author")
    assert result.exit_code == 2
    assert result.output.startswith("用法：learn author [选项] 命令 [参数]...\n")
