"""Every command in the README's transcript is run, and must print what the README shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from groundup.cli.main import cli
from groundup.core.registry import Registry

README = Path(__file__).parents[2] / "README.md"
RECURSION = """    advantage = torch.zeros_like(reward)
    following = torch.zeros_like(value[:, 0])
    for t in range(reward.shape[1] - 1, -1, -1):
        following = delta[:, t] + gamma * lam * (1 - done[:, t].to(reward.dtype)) * following
        advantage[:, t] = following
"""
# Parts of the output that differ between runs, and their replacements before the comparison.
VARYING = [
    (r"\b[0-9a-f]{64}\b", "SHA256"),
    (r"\d+ KiB", "SIZE"),
    (r"(\d+ of|all) \d+ properties hold", "PROPERTIES hold"),
    (r"score \d+%", "SCORE"),
]


def commands() -> Iterator[tuple[list[str], str, list[str]]]:
    """Yield for each ``$ ./learn`` of the README its arguments, the typed input and the expected output."""
    for block in re.findall(r"^```\n(\$ .+?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ \./learn ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            typed = re.search(r"^Your answer .+?: (\S+)$", printed, re.MULTILINE)
            yield command.split(), f"{typed[1]}\n" if typed else "", printed.splitlines()


def comparable(line: str) -> str:
    for pattern, name in VARYING:
        line = re.sub(pattern, name, line)
    return re.sub(r"^(Your answer .+?:) .*$", r"\1", line.rstrip())


def assert_printed(result: Result, expected: list[str]) -> None:
    """Check that the lines were printed, in order; '...' stands for any number of others. Blank ones do not count."""
    printed = [comparable(line) for line in result.output.splitlines() if line.strip()]
    at, anything = 0, False
    for line in filter(str.strip, expected):
        if line.strip() == "...":
            anything = True
            continue
        wanted = comparable(line)
        assert wanted in printed[at:], f"not printed: {wanted!r}\n{result.output}"
        found = printed.index(wanted, at)
        assert anything or found == at, f"printed before {wanted!r}: {printed[at:found]}"
        at, anything = found + 1, False
    assert anything or at == len(printed), f"printed after the last line: {printed[at:]}"


def write_attempts(workspace: Path, delta: str) -> None:
    """Fill the holes of gae as the README's reader does, and ppo with its solution."""
    stub = Registry().technique("gae").files.exercise.read_text(encoding="utf-8")
    first, second = re.findall(r"^    raise NotImplementedError.*\n", stub, re.MULTILINE)
    filled = stub.replace(first, delta).replace(second, RECURSION)
    (workspace / "rl" / "gae.py").write_text(filled, encoding="utf-8")
    solution = Registry().technique("ppo").files.solution.read_text(encoding="utf-8")
    (workspace / "alignment" / "ppo.py").write_text(solution, encoding="utf-8")


def test_the_day_of_the_readme_goes_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEARN_COMMAND", "./learn")
    text = README.read_text(encoding="utf-8")
    wrong, mask, right = (
        next(c for c in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text) if c.startswith(start))
        for start in ("delta = reward + gamma * value", "next_non_terminal = ", "delta = reward + gamma * next")
    )
    graded = 0
    for arguments, typed, expected in commands():
        if arguments == ["grade", "gae"]:
            graded += 1
            write_attempts(tmp_path / "workspace", f"    {wrong}\n" if graded == 1 else f"    {mask}\n    {right}\n")
        result = CliRunner().invoke(cli, arguments, input=typed)
        assert_printed(result, expected)
    assert graded == 2


def test_every_command_that_the_readme_names_exists() -> None:
    from groundup.cli.names import COMMANDS
    from groundup.cli.plugin_commands import plugin_commands

    named = set(re.findall(r"`(?:\./)?learn (\w+)", README.read_text(encoding="utf-8")))
    assert "grade" in named
    assert named <= {*COMMANDS, *plugin_commands(Registry(), COMMANDS)[0]}
