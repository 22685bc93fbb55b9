"""``learn run``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from groundup.cli.main import cli
from groundup.core.registry import Registry


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_an_attempt_it_offers_the_reference() -> None:
    result = CliRunner().invoke(cli, ["run", "gae"])
    assert result.exit_code == 2
    assert "learn run gae --reference" in result.output


def test_all_labs_run_quickly_and_leave_pictures(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["run", "--all", "--quick", "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    names = {t.name for t in Registry().techniques.values()}
    assert {p.name for p in (tmp_path / "out").iterdir()} == {f"{name}-1.png" for name in names}


def test_yours_is_measured_beside_the_reference_and_recorded(tmp_path: Path) -> None:
    assert CliRunner().invoke(cli, ["start", "gae"]).exit_code == 0
    shutil.copy(Registry().technique("gae").files.solution, tmp_path / "workspace" / "rl" / "gae.py")
    result = CliRunner().invoke(cli, ["run", "gae", "--quick", "--json"])
    assert result.exit_code == 0, result.output
    runs = json.loads(result.stdout)
    assert [r["contestant"] for r in runs] == ["yours", "reference"]
    assert len(runs[0]["implementations"]["rl/gae"]) == 64
    assert runs[1]["implementations"] == {"rl/gae": "reference"}
    brief = json.loads(CliRunner().invoke(cli, ["brief", "--json"]).stdout)
    assert "gae" in json.dumps(brief)
    assert (tmp_path / "workspace" / "runs" / "gae-1.png").is_file()


def test_a_picture_is_never_written_over(tmp_path: Path) -> None:
    for number in (1, 2):
        CliRunner().invoke(cli, ["run", "gae", "--reference", "--quick", "--out", "pictures"])
        assert (tmp_path / "pictures" / f"gae-{number}.png").is_file()


def test_the_stub_ends_the_lab_with_its_hole_and_exit_code_1() -> None:
    CliRunner().invoke(cli, ["start", "gae"])
    result = CliRunner().invoke(cli, ["run", "gae", "--quick"])
    assert result.exit_code == 1
    assert "hole 1/2" in result.output
