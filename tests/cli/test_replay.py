from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("toy", "grading")

HELD, FELL_SHORT, USAGE = 0, 1, 2


@pytest.fixture
def attempt(learn: Any, here: Path, toy: Path) -> Path:
    """A graded attempt that has a mistake and prints its inputs."""
    learn("start", "scale")
    path = here / "workspace" / "toys" / "scale.py"
    wrong = (
        (toy / "solution.py").read_text().replace("result = x * factor", "print('given', x)\n    result = x + factor")
    )
    assert "given" in wrong
    path.write_text(wrong)
    assert learn("grade", "scale").exit_code == FELL_SHORT
    return path


def mended(attempt: Path) -> None:
    attempt.write_text(attempt.read_text().replace("x + factor", "x * factor"))


def counterexample(verdict: dict[str, Any]) -> tuple[str, dict[str, str], str]:
    failed = next(p for p in verdict["properties"] if p["status"] == "failed")
    return failed["id"], failed["counterexample"], failed["got"]


def test_the_case_of_the_latest_grading_comes_again_with_all_that_was_printed(
    learn: Any, attempt: Path, here: Path
) -> None:
    verdict = json.loads(learn("grade", "scale", "--json").stdout)
    result = learn("replay", "scale", "--json")
    again = json.loads(result.stdout)
    assert result.exit_code == FELL_SHORT
    assert (again["id"], again["counterexample"], again["got"]) == counterexample(verdict)
    assert again["printed"].startswith("given tensor(")


def test_a_grading_says_how_to_replay_it(learn: Any, attempt: Path) -> None:
    assert "\n  learn replay scale " in learn("grade", "scale").stdout
    at = learn("grade", "scale", "--attempt", str(attempt)).stdout
    assert re.search(r"\n  learn replay scale --attempt \S+ --seed \d+\n", at)


def test_what_was_mended_holds_on_that_case(learn: Any, attempt: Path) -> None:
    mended(attempt)
    result = learn("replay", "scale")
    assert result.exit_code == HELD
    assert "This case holds now." in result.stdout


def test_a_file_is_replayed_from_its_seed(learn: Any, attempt: Path) -> None:
    verdict = json.loads(learn("grade", "scale", "--attempt", str(attempt), "--json").stdout)
    again = learn("replay", "scale", "--attempt", str(attempt), "--seed", str(verdict["seed"]), "--json")
    assert counterexample({"properties": [json.loads(again.stdout)]}) == counterexample(verdict)


def test_the_debugger_stops_in_the_learners_own_file_with_the_same_inputs(
    learn: Any, command: Callable[..., subprocess.Popen[str]], attempt: Path
) -> None:
    case = json.loads(learn("replay", "scale", "--json").stdout)["counterexample"]["x"]
    stdout, _ = command("replay", "scale", "--pdb", stdin=subprocess.PIPE).communicate("p x\nq\n", timeout=60)
    assert re.search(r"> \S*workspace/toys/scale\.py\(\d+\)scale\(\)", stdout)
    shown = re.search(r"\(Pdb\) tensor\(\[(\S+)\]\)\n\(Pdb\) $", stdout)
    assert shown is not None, stdout
    assert f"torch.tensor([{float(shown[1])}])" == case


def test_the_debugger_takes_a_demand_for_containment_seriously(
    learn: Any, command: Callable[..., subprocess.Popen[str]], attempt: Path, here: Path
) -> None:
    with (here / "workspace" / "learn.toml").open("a") as settings:
        settings.write('require_containment = "landlock"\n')
    for arguments in ([], ["--attempt", str(attempt), "--seed", "1"]):
        result = learn("replay", "scale", "--pdb", *arguments)
        assert result.exit_code == USAGE
        assert "learn.toml requires containment 'landlock'" in " ".join(result.stderr.split())
        assert "learn replay scale --pdb --uncontained" in " ".join(result.stderr.split())
    debugged = command("replay", "scale", "--pdb", "--uncontained", stdin=subprocess.PIPE)
    assert "(Pdb)" in debugged.communicate("q\n", timeout=60)[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["scale", "squares"], "No property of toys/scale 'squares'. It has "),
        (["scale", "--pdb", "--json"], "--pdb asks questions, and --json prints data"),
        (["scale", "--attempt", "workspace/toys/scale.py"], "--attempt needs the --seed of a grading"),
        (["scale", "--attempt", "none.py", "--seed", "1"], "There is no file none.py."),
        (["nothing"], "No technique 'nothing'."),
    ],
)
def test_what_cannot_be_replayed_is_told(learn: Any, attempt: Path, arguments: list[str], says: str) -> None:
    result = learn("replay", *arguments)
    assert result.exit_code == USAGE
    assert says in result.stderr


def test_before_any_grading_it_says_what_to_do(learn: Any, here: Path) -> None:
    learn("start", "scale")
    assert "Nothing is graded yet: 'learn grade scale' finds the case." in learn("replay", "scale").stderr


def test_after_a_pass_there_is_nothing_to_replay(learn: Any, attempt: Path) -> None:
    mended(attempt)
    learn("grade", "scale")
    assert "No property of toys/scale failed in that grading." in learn("replay", "scale").stderr


# Disputes


def disputed(learn: Any, *arguments: str) -> Path:
    return Path(json.loads(learn("dispute", "scale", "--json", *arguments).stdout)["file"])


def test_a_dispute_is_reproduced_from_its_file_alone(learn: Any, attempt: Path, here: Path) -> None:
    path = disputed(learn)
    assert path.name == "scale-dispute-1.json"
    (here / "workspace").rename(here / "elsewhere")
    result = learn("dispute", "--check", str(path))
    assert result.exit_code == HELD
    assert "Reproduced: this machine judges the case in the same way." in result.stdout
    told = json.loads(path.read_text())
    assert told["source"] == (here / "elsewhere" / "toys" / "scale.py").read_text()
    assert told["answers"] != told["right"]


def test_a_dispute_about_right_code_is_not_reproduced_and_says_what_differs(learn: Any, attempt: Path) -> None:
    path = disputed(learn)
    told = json.loads(path.read_text())
    told["source"] = told["source"].replace("x + factor", "x * factor")
    told["environment"]["torch"] = "1.0"
    path.write_text(json.dumps(told))
    result = learn("dispute", "--check", str(path))
    assert result.exit_code == FELL_SHORT
    assert "Not reproduced on this machine." in result.stdout
    assert "torch: 1.0 there, " in result.stdout


def test_no_dispute_is_overwritten(learn: Any, attempt: Path) -> None:
    assert [disputed(learn).name for _ in range(2)] == ["scale-dispute-1.json", "scale-dispute-2.json"]
    result = learn("dispute", "scale", "--out", "scale-dispute-1.json")
    assert (result.exit_code, "is there already" in result.stderr) == (USAGE, True)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is no dispute: the whole file: Invalid JSON"),
        ("{}", "is no dispute: technique: Field required"),
        (b"\xff\xfe", "is no dispute: the whole file: Invalid JSON"),
        ("x" * (5 << 20), "is larger than 4 MiB"),
    ],
    ids=["empty", "no fields", "bytes", "large"],
)
def test_a_file_that_is_no_dispute_is_refused(learn: Any, here: Path, content: str | bytes, says: str) -> None:
    path = here / "d.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    result = learn("dispute", "--check", str(path))
    assert result.exit_code == USAGE
    assert says in result.stderr


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"source": f"x = '{'-' * 300_000}'"}, r"The attempt in \S+ is larger than 128 KiB"),
        ({"source": "\ud800"}, "is no dispute: the whole file: "),
        ({"seed": -1}, "is no dispute: seed: "),
        ({"seed": 1 << 80}, "is no dispute: seed: "),
        ({"technique": "toys/none"}, "No technique 'toys/none'"),
    ],
    ids=["long", "no text", "negative", "too large", "unknown"],
)
def test_a_dispute_that_cannot_be_judged_is_refused(
    learn: Any, attempt: Path, changes: dict[str, Any], says: str
) -> None:
    path = disputed(learn)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    result = learn("dispute", "--check", str(path))
    assert result.exit_code == USAGE
    assert re.search(says, " ".join(result.stderr.split()))


def test_what_holds_now_cannot_be_disputed(learn: Any, attempt: Path) -> None:
    mended(attempt)
    assert "That case holds now. 'learn grade scale'" in learn("dispute", "scale").stderr
