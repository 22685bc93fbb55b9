from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from groundup.cli.names import COMMANDS
from groundup.core.registry import Registry

BUILT_IN = [t.name for t in Registry().techniques.values() if t.package.startswith("groundup.plugins.")]
DAYS = [f"day-{n}" for n in range(1, 15)]
ROADMAP = """
from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Day, Roadmap


@hookimpl
def roadmaps():
    return [Roadmap(id="short", title="Short", days=[Day(number=1, title="One"), Day(number=2, title="Two")])]
"""


def completed(learn: Any, line: str) -> list[str]:
    """Return the completions of the last word of ``line``."""
    variables = {"_LEARN_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    result = learn(env=variables)
    assert result.stderr == ""  # the shell would show it in the line that the user is typing
    return [c.partition(",")[2] for c in result.stdout.splitlines() if c]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("learn ", [*COMMANDS]),
        ("learn st", ["start", "status"]),
        ("learn --h", ["--help"]),
        ("learn start ", sorted(BUILT_IN) + DAYS),
        ("learn start day-1", ["day-1", "day-10", "day-11", "day-12", "day-13", "day-14"]),
        ("learn start alignment/", sorted(t.id for t in Registry().techniques.values() if t.track == "alignment")),
        ("learn grade ga", ["gae"]),
        ("learn grade day", []),
        ("learn grade gae --th", ["--thorough"]),
        ("learn completion ", ["bash", "zsh", "fish"]),
        ("learn author check ga", ["gae"]),
        ("learn list ", sorted({t.track for t in Registry().techniques.values()})),
        ("learn list r", ["rl"]),
    ],
)
def test_what_can_follow_is_offered(learn: Any, line: str, names: list[str]) -> None:
    assert completed(learn, line) == names


@pytest.mark.parametrize("line", ["learn no-such-command ", "learn no-such-command x "])
def test_after_a_command_that_is_none_nothing_is_said(learn: Any, line: str) -> None:
    assert set(completed(learn, line)) <= set(COMMANDS)


def test_techniques_and_tracks_of_third_parties_are_offered(learn: Any, toy: Path) -> None:
    assert completed(learn, "learn grade sca") == ["scale"]
    assert completed(learn, "learn grade toys/") == ["toys/scale"]
    assert completed(learn, "learn list to") == ["toys"]


def test_the_days_are_those_of_the_roadmap_that_is_followed(learn: Any, plugins: Any, here: Path) -> None:
    plugins.install(ROADMAP)
    assert completed(learn, "learn start day-") == DAYS
    (here / "learn.toml").write_text('roadmap = "short"\n')
    assert completed(learn, "learn start day-") == ["day-1", "day-2"]
    (here / "learn.toml").write_text('roadmap = "of no plugin"\n')
    assert completed(learn, "learn start day-") == []


def test_nothing_is_said_of_a_broken_plugin_while_something_is_typed(learn: Any, plugins: Any, toy: Path) -> None:
    plugins.install("print('loading')\nimport nothing_of_that_name\n")
    assert completed(learn, "learn grade sca") == ["scale"]


def test_every_built_in_technique_is_offered(learn: Any) -> None:
    assert set(BUILT_IN) <= set(completed(learn, "learn grade "))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_it_can_read(learn: Any, shell: str, tmp_path: Path) -> None:
    script = learn("completion", shell).stdout
    assert "_LEARN_COMPLETE" in script
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(script)
    subprocess.run([program, "-n", str(tmp_path / "script")], check=True)


def test_another_shell_is_told_which_there_are(learn: Any) -> None:
    result = learn("completion", "ksh")
    assert result.exit_code == 2
    assert "'ksh' is not one of 'bash', 'zsh', 'fish'" in result.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_script_completes_in_bash(learn: Any, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(learn("completion", "bash").stdout)
    typed = f"""
source {tmp_path / "script"}
COMP_WORDS=(learn start day-1)
COMP_CWORD=2
_learn_completion learn
echo "${{COMPREPLY[@]}}"
complete -p learn
"""
    folder = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    ended = subprocess.run(["bash", "-c", typed], env=environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    reply, registered = ended.stdout.splitlines()
    assert reply == "day-1 day-10 day-11 day-12 day-13 day-14"
    assert registered.endswith("-F _learn_completion learn")
