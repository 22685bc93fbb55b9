"""The files of examples/ci and examples/vscode are valid for their tools, and call existing commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from groundup.cli.main import cli
from groundup.core.registry import Registry

EXAMPLES = Path(__file__).parents[2] / "examples"
DOCS = Path(__file__).parents[2] / "docs"
WORKFLOW = yaml.safe_load((EXAMPLES / "ci" / "classroom.yml").read_text(encoding="utf-8"))
HOOKS = yaml.safe_load((EXAMPLES / "ci" / "pre-commit-config.yaml").read_text(encoding="utf-8"))
TASKS = json.loads((EXAMPLES / "vscode" / "tasks.json").read_text(encoding="utf-8"))


def check(line: list[str]) -> None:
    """Check that ``learn`` has that command, with those options."""
    program, name, *arguments = line
    assert program == "learn"
    command = cli.get_command(click.Context(cli), name)
    assert command is not None, name
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert {a for a in arguments if a.startswith("--")} <= known


def grade_step() -> dict[str, Any]:
    (step,) = (s for s in WORKFLOW["jobs"]["grade"]["steps"] if s.get("name") == "Grade")
    found: dict[str, Any] = step
    return found


def test_the_workflow_is_one_that_github_reads() -> None:
    assert set(WORKFLOW[True]) == {"push", "workflow_dispatch"}  # YAML 1.1 reads the key 'on' as true
    assert WORKFLOW["permissions"] == {"contents": "read"}
    job = WORKFLOW["jobs"]["grade"]
    assert job["runs-on"] == "ubuntu-latest"
    for step in job["steps"]:
        assert ("uses" in step) != ("run" in step)
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/x@v1"))
    check(shlex.split(grade_step()["run"].splitlines()[0])[:4])


@pytest.mark.parametrize(("attempt", "code", "says"), [("solution", 0, "| 100% | passed |"), ("exercise", 1, "| 0% |")])
def test_the_workflows_step_grades_and_fails_where_an_attempt_falls_short(
    tmp_path: Path, attempt: str, code: int, says: str
) -> None:
    gae = Registry().technique("gae")
    (tmp_path / "learn.toml").write_text("")
    (tmp_path / "rl").mkdir()
    (tmp_path / "rl" / "gae.py").write_bytes(getattr(gae.files, attempt).read_bytes())
    done, summary = grade_in(tmp_path)
    assert done.returncode == code, done.stderr
    assert [v["technique"] for v in json.loads((tmp_path / "verdicts.json").read_text(encoding="utf-8"))] == ["rl/gae"]
    assert says in summary
    assert "no workspace" not in summary


def test_a_repository_without_a_workspace_is_told_how_to_make_one(tmp_path: Path) -> None:
    done, summary = grade_in(tmp_path)
    assert done.returncode == 2
    assert "There is no workspace here." in done.stderr
    assert "learn: There is no workspace here." in summary
    assert "Run `learn start day-1` in a clone of it, commit the folder `workspace`" in summary
    assert "| technique |" not in summary


def grade_in(folder: Path) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the workflow's step in a folder; return also the summary that it writes."""
    step, summary = grade_step(), folder / "summary.md"
    done = subprocess.run(
        [step["shell"], "-e", "-o", "pipefail", "-c", step["run"]],  # as GitHub's runner starts it
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GITHUB_STEP_SUMMARY": str(summary),
        },
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done, summary.read_text(encoding="utf-8")


def test_the_hook_grades_before_a_push() -> None:
    ((repository,),) = [HOOKS["repos"]]
    assert repository["repo"] == "local"
    (hook,) = repository["hooks"]
    check(shlex.split(hook["entry"]))
    assert (hook["language"], hook["pass_filenames"], hook["stages"]) == ("system", False, ["pre-push"])
    assert re.search(hook["files"], "alignment/ppo.py")


def test_every_task_calls_a_command_that_there_is() -> None:
    assert TASKS["version"] == "2.0.0"
    inputs = {i["id"] for i in TASKS["inputs"]}
    for task in TASKS["tasks"]:
        check([task["command"], *task["args"]])
        assert set(re.findall(r"\$\{input:(\w+)\}", " ".join(task["args"]))) <= inputs
    assert [t["label"] for t in TASKS["tasks"] if isinstance(t.get("group"), dict)] == ["Grade everything started"]
    assert Registry().technique(TASKS["inputs"][0]["default"])


def test_the_page_for_instructors_names_only_what_there_is() -> None:
    page = (DOCS / "instructors.md").read_text(encoding="utf-8")
    for line in re.findall(r"^\s*\$? ?(learn [a-z].*?)(?:  +#.*)?$", page, re.MULTILINE):
        check(shlex.split(line))
    for target in re.findall(r"\]\(([^)#]+)\)", page):
        assert target.startswith("https://") or (DOCS / target).exists(), target
    for option in set(re.findall(r"`(--[a-z-]+)", page)):
        known = [p.opts for n in ("grade-many", "grade") for p in cli.get_command(click.Context(cli), n).params]  # type: ignore[union-attr]
        assert [option] in known, option
