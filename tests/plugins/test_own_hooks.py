"""The project's own plugins for hooks other than ``techniques``."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from groundup.cli.main import cli
from groundup.core import hookspecs
from groundup.core.registry import Registry
from groundup.core.technique import CONTRACT
from groundup.plugins import contract, fourteen_days
from groundup.plugins.verdict_log import FILE, verdict_given

ROOT = Path(__file__).parents[2]
REGISTRY = Registry()


def test_every_hook_is_used_by_the_project_itself() -> None:
    hooks = [name for name, value in vars(hookspecs).items() if hasattr(value, "groundup_spec")]
    assert len(hooks) == 6
    used = {name for name in hooks if getattr(REGISTRY.manager.hook, name).get_hookimpls()}
    assert used == set(hooks)


# The roadmap in the brief


def verdict(technique: str, score: float) -> dict[str, Any]:
    return {"technique": technique, "passed": score == 1, "score": score}


def test_the_brief_shows_the_days_that_were_begun() -> None:
    verdicts = [verdict("rl/gae", 1), verdict("alignment/ppo", 0.5), verdict("toys/scale", 1)]
    assert fourteen_days.brief_sections(verdicts, "en") == {
        "Fourteen days": "2 of 14 days begun, 1 complete. ✓ passed, – not graded.\n\n"
        "- **Day 4**, Generalised advantage estimation: gae ✓, actor-critic –\n"
        "- **Day 7**, Proximal policy optimisation: kl-control –, ppo 50%"
    }
    (title,), (text,) = zip(*fourteen_days.brief_sections(verdicts, "zh").items(), strict=True)
    assert title == "十四天"
    assert "- **第 4 天**，广义优势估计：gae ✓" in text


def test_the_brief_is_silent_on_a_roadmap_that_was_not_begun() -> None:
    assert fourteen_days.brief_sections([verdict("toys/scale", 1)], "en") == {}


# The log of verdicts


def test_each_verdict_is_a_line_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "verdicts.jsonl"
    monkeypatch.setenv(FILE, str(log))
    told = [{"technique": "rl/gae", "message": "two\nlines, 两行"}, {"technique": "alignment/ppo"}]
    for each in told:
        verdict_given(each)
    assert [json.loads(line) for line in log.read_text("ascii").splitlines()] == told


def test_without_its_setting_nothing_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(FILE, raising=False)
    verdict_given({"technique": "rl/gae"})
    monkeypatch.setenv(FILE, "")
    verdict_given({"technique": "rl/gae"})
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_written_is_told_and_spares_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FILE, str(tmp_path / "nowhere" / "log"))
    _, problems = REGISTRY.ask("verdict_given", lambda _: None, verdict={"technique": "rl/gae"})
    (problem,) = problems
    assert str(problem).startswith("Plugin 'groundup.plugins.verdict_log' failed in verdict_given(): FileNotFoundError")
    assert str(tmp_path) in str(problem)


# learn contract


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["contract", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_page_of_the_contract_is_what_the_docstrings_make() -> None:
    page = ROOT / "docs" / "authors" / "contract.md"
    assert page.read_text(encoding="utf-8") == contract.page(), "'make docs' updates the page"
    assert printed() == contract.page()
    assert page.read_text(encoding="utf-8").splitlines()[1] == f"# The plugin contract, version {CONTRACT}"


def imported_from_core(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        of_core = isinstance(node, ast.ImportFrom) and str(node.module).startswith("groundup.core")
        if of_core and not str(node.module).startswith("groundup.core.testing.laws"):  # except what laws draw
            yield from (alias.name for alias in node.names)  # type: ignore[attr-defined]


def test_the_page_has_every_hook_every_interface_and_all_that_techniques_import() -> None:
    import groundup.core.interfaces
    import groundup.core.testing

    names = {entry.name for _, _, entries in contract.parts() for entry in entries}
    hooks = {name for name, value in vars(hookspecs).items() if hasattr(value, "groundup_spec")}
    assert hooks <= names
    assert set(groundup.core.testing.__all__) <= names
    (folder,) = groundup.core.interfaces.__path__
    classes = re.findall(r"(?m)^class (\w+)", "".join(p.read_text("utf-8") for p in Path(folder).glob("*.py")))
    assert len(classes) > 10
    assert set(classes) <= names
    techniques = [*ROOT.glob("plugins/*/*/*.py"), *ROOT.glob("solutions/*/*.py"), *ROOT.glob("examples/**/*.py")]
    used = {name for path in techniques for name in imported_from_core(path) if not name[0].islower()}
    types = {"Batch", "Loss", "Params", "State", "Tensors"}  # type aliases in the page's signatures
    assert {name for name in used if not name.isupper()} - types - {"AttemptRaised"} <= names


def test_every_entry_says_something() -> None:
    for _, _, entries in contract.parts():
        for entry in entries:
            words = [line for line in entry.text.splitlines() if re.match("[A-Z`].*[a-z] ", line)]
            assert words, entry.name
            assert "None" not in entry.text.split("```")[0]


def test_one_part_can_be_asked_for() -> None:
    text = printed("sum_tolerance")
    assert text.startswith("### sum_tolerance\n")
    assert "sum_tolerance(dtype: torch.dtype, terms: int, size: float = 1.0) -> Tolerance" in text
    assert "###" not in text[3:]


def test_a_field_shows_its_default_its_bounds_and_what_it_is_for() -> None:
    text = printed("Technique")
    assert (
        "- `call_seconds: float = 5.0`: the longest that one call of an attempt may take; above 0; at most 60\n" in text
    )
    assert "- `imports: tuple[str, ...] = ()`: further top-level modules" in text


def test_a_part_that_there_is_not_gets_a_did_you_mean() -> None:
    result = CliRunner().invoke(cli, ["contract", "sum_tolerence"])
    assert result.exit_code == 2
    assert "No part of the contract 'sum_tolerence'. Did you mean 'sum_tolerance' or " in result.output


def test_it_is_a_command_like_any_other() -> None:
    assert isinstance(contract.commands()[0], click.Command)
    assert "learn contract assert_close" in printed("--help")
