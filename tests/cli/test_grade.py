from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundup.cli import show
from groundup.grader.judging.cores import cores_for_copies
from groundup.grader.judging.verdict import Verdict
from groundup.grader.learner.state import State
from groundup.grader.process import sandbox

pytestmark = pytest.mark.usefixtures("toy", "grading")

HANGS = "def scale(x, by):\n    while True:\n        pass\n"


@pytest.fixture
def attempt(learn: Any, here: Path) -> Path:
    """The learner's file of the toy: an unchanged stub."""
    assert learn("start", "scale").exit_code == 0
    return here / "workspace" / "toys" / "scale.py"


@pytest.fixture
def solution(toy: Path) -> str:
    return (toy / "solution.py").read_text()


def grade(learn: Any, *arguments: str) -> dict[str, Any]:
    """Return the verdict that ``learn grade --json`` prints; nothing else may be on stdout."""
    result = learn("grade", *arguments, "--json")
    verdict: dict[str, Any] = json.loads(result.stdout)
    return verdict


# Its output and its exit code


def test_a_stub_is_not_started_rather_than_failed(learn: Any, attempt: Path) -> None:
    result = learn("grade", "scale")
    assert result.exit_code == 1
    assert "Not started: every hole is still empty." in result.stdout
    assert "✗" not in result.stdout


def test_an_attempt_that_holds_passes(learn: Any, attempt: Path, solution: str) -> None:
    attempt.write_text(solution)
    result = learn("grade", "scale")
    assert result.exit_code == 0
    assert "Passed: all 3 properties hold." in result.stdout
    assert "learn solution scale" in result.stdout


def test_a_wrong_attempt_is_shown_its_smallest_case_and_the_mistakes_name(
    learn: Any, attempt: Path, solution: str
) -> None:
    attempt.write_text(solution.replace("x * factor", "x * factor * factor"))
    result = learn("grade", "scale")
    assert result.exit_code == 1
    for part in (
        "✓ Times one nothing changes.",
        "✗ It gives what the reference gives.",
        "x = torch.tensor([0.125])",
        "by = 0.5",
        "expected  torch.tensor([0.0625])",
        "got       torch.tensor([0.03125])",
        "· 1 property not reached",
        "This is what squares does.\n    The factor counts twice.",
        "1 of 3 properties hold: score 33%.",
        "learn hint scale 2 ",
    ):
        assert part in result.stdout


def test_a_hole_left_empty_is_named_and_hinted_at(learn: Any, attempt: Path, solution: str) -> None:
    attempt.write_text(solution.replace("result = x * factor", 'raise NotImplementedError("hole 2/2: the product")'))
    result = learn("grade", "scale")
    assert result.exit_code == 1
    assert "3 properties not started: a hole is still empty there" in result.stdout
    assert "Next: hole 2, the product." in result.stdout
    assert "learn hint scale 2" in result.stdout


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("", "the file must define 'scale'"),
        ("def scael(x, by): pass\n", "the file must define 'scale'"),
        ("def scale(x, by:\n", "SyntaxError"),
        ("import sys; sys.exit(3)\n", "SystemExit: 3"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
    ],
    ids=["empty", "another name", "syntax error", "ends itself", "raises"],
)
def test_a_file_that_cannot_be_loaded_fell_short_and_hears_why(
    learn: Any, attempt: Path, source: str, says: str
) -> None:
    attempt.write_text(source)
    result = learn("grade", "scale")
    assert result.exit_code == 1
    assert "The file cannot be loaded: " in result.stdout
    assert says in " ".join(result.stdout.split())
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "There is no file my.py."),
        (b"\xff\xfe\x00", "my.py is not UTF-8 text (byte 0)"),
        (b"# caf\xe9\n", "my.py is not UTF-8 text (byte 5): save it as UTF-8."),
        (b"#" * (2 << 20), "my.py is larger than 128 KiB"),
    ],
    ids=["missing", "binary", "latin-1", "2 MiB"],
)
def test_a_file_that_is_no_attempt_is_a_usage_problem(learn: Any, here: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (here / "my.py").write_bytes(content)
    result = learn("grade", "scale", "--attempt", "my.py")
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr


def test_a_folder_is_no_attempt(learn: Any, here: Path) -> None:
    result = learn("grade", "scale", "--attempt", ".")
    assert (result.exit_code, result.stderr) == (2, "learn: . is not a file.\n")


def test_a_storm_of_prints_is_cut_and_counted(learn: Any, attempt: Path, solution: str) -> None:
    storm = 'print("0" * 1000)\n    for n in range(500): print("line", n)\n    return None\n'
    attempt.write_text(solution.replace("return result", storm))
    result = learn("grade", "scale")
    assert result.exit_code == 1
    assert "more characters)\n" in result.stdout
    assert "\n        line 18\n        ... and 481 more lines\n" in result.stdout


def test_what_an_attempt_prints_cannot_steer_the_terminal(learn: Any, attempt: Path, solution: str) -> None:
    attempt.write_text(solution.replace("return result", r'print("\x1b[2J\x9b31m"); return None'))
    result = learn("grade", "scale")
    assert "it printed on this case" in result.stdout
    assert "\x1b" not in result.stdout
    assert "\x9b" not in result.stdout


def test_a_path_of_an_attempt_is_as_good_as_its_name(learn: Any, attempt: Path, solution: str) -> None:
    attempt.write_text(solution)
    for path in (attempt, attempt.relative_to(Path.cwd())):
        assert learn("grade", str(path)).stdout.startswith("toys/scale  Scaling\n")
    assert learn("hint", str(attempt), "1").exit_code == 0


def test_without_a_name_it_is_what_was_saved_last(learn: Any, attempt: Path, solution: str) -> None:
    assert learn("start", "gae").exit_code == 0
    attempt.write_text(solution)
    os.utime(attempt, (2e9, 2e9))
    result = learn("grade")
    assert (result.exit_code, result.stdout.partition("  ")[0]) == (0, "toys/scale")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "There is no workspace here. 'learn start day-1' makes one."),
        (["--attempt", "x.py"], "Name the technique too, as in 'learn grade ppo --attempt x.py'."),
        (["x.py"], "x.py is not an attempt in this workspace. 'learn grade TECHNIQUE --attempt FILE' grades any file."),
        (["scale", "--all"], "not both"),
        (["--all", "--attempt", "x.py"], "--attempt goes with one technique"),
        (["scael"], "Did you mean 'toys/scale'?"),
        (["day4"], "No technique 'day4'. Did you mean 'day-4'?"),
        (
            ["day-4"],
            "'day-4' is a day, but a technique is needed here. The techniques of that day: gae and actor-critic.",
        ),
        (["day-11"], "'day-11' is a day, but a technique is needed here. None of its techniques is written yet."),
        (["scale", "--seed", "x"], "'x' is not a whole number from 0 to"),
        (["scale", "--seed", "-1"], "'-1' is not a whole number from 0 to"),
        (["scale", "--seed", str(2**63)], "is not a whole number from 0 to"),
        (["scale"], "There is no workspace here. 'learn start scale' makes one; or give --attempt FILE."),
        (["--all"], "There is no workspace here. 'learn start day-1' makes one."),
    ],
)
def test_what_cannot_be_understood_is_answered_with_the_next_step(learn: Any, arguments: list[str], says: str) -> None:
    result = learn("grade", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr


def test_a_technique_that_was_not_started_is_a_usage_problem(learn: Any, attempt: Path) -> None:
    attempt.unlink()
    result = learn("grade", "scale")
    assert result.exit_code == 2
    assert "There is no workspace/toys/scale.py yet: 'learn start scale' puts the stub there." in result.stderr
    result = learn("grade", "--all")
    assert result.exit_code == 2
    assert "You have started nothing yet" in result.stderr


def test_broken_properties_are_the_plugins_fault(learn: Any, attempt: Path, toy: Path) -> None:
    (toy / "properties.py").write_text("import nothing_of_that_name\n")
    result = learn("grade", "scale", "--json")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "nothing_of_that_name" in result.stderr


# The file and its digest


@pytest.mark.parametrize("change", [
    lambda text: text.encode(),
    lambda text: text.replace("\n", "\r\n").encode(),
    lambda text: b"\xef\xbb\xbf" + text.encode(),
    lambda text: (text + "# 缩放\n").encode(),
], ids=["plain", "CRLF", "BOM", "Chinese"])  # fmt: skip
def test_the_path_and_the_digest_of_the_bytes_on_disk_are_printed(
    learn: Any, attempt: Path, solution: str, change: Callable[[str], bytes]
) -> None:
    attempt.write_bytes(change(solution))
    digest = hashlib.sha256(attempt.read_bytes()).hexdigest()
    result = learn("grade", "scale")
    assert result.exit_code == 0
    assert f"\nworkspace/toys/scale.py\nsha256 {digest}\n" in result.stdout


# As data


def test_the_json_has_the_fields_that_it_promises(learn: Any, attempt: Path, solution: str) -> None:
    attempt.write_text(solution.replace("x * factor", "x * factor * factor"))
    verdict = grade(learn, "scale")
    promised = "technique passed score seed seconds containment attempt holes properties diagnosis"
    assert set(promised.split()) <= set(verdict)
    assert set(verdict["attempt"]) == {"path", "sha256"}
    for result in verdict["properties"]:
        assert {"id", "claim", "status", "counterexample", "expected", "got"} <= set(result)
    assert [(d["id"], d["kind"], d["says"]) for d in verdict["diagnosis"]] == [
        ("squares", "misconception", "The factor counts twice.")
    ]
    assert verdict["holes"] == [
        {"number": 1, "title": "the factor", "filled": True},
        {"number": 2, "title": "the product", "filled": True},
    ]
    assert (verdict["technique"], verdict["passed"], verdict["score"]) == ("toys/scale", False, 0.3333)


def test_the_json_reads_back_as_a_verdict(learn: Any, attempt: Path) -> None:
    data = grade(learn, "scale")
    held = data.pop("held")
    assert Verdict.model_validate(data).held == held == 0


def test_texts_come_in_the_language_asked_for(learn: Any, attempt: Path, solution: str) -> None:
    attempt.write_text(solution.replace("x * factor", "x * factor * factor"))
    verdict = grade(learn, "scale", "--lang", "zh")
    claims = [p["claim"] for p in verdict["properties"]]
    assert claims == ["乘以一不变。", "与参考实现相同。", "Twice is by the square."]
    assert verdict["diagnosis"][0]["says"] == "系数乘了两次。"


def test_the_workspace_says_which_language(learn: Any, attempt: Path, here: Path) -> None:
    settings = here / "workspace" / "learn.toml"
    settings.write_text(settings.read_text().replace('lang = "en"', 'lang = "zh"'))
    assert "toys/scale  缩放" in learn("grade", "scale").stdout
    assert "toys/scale  Scaling" in learn("grade", "scale", "--lang", "en").stdout


# Seeds


def test_the_seed_draws_the_same_counterexamples_again(learn: Any, here: Path, solution: str) -> None:
    (here / "my.py").write_text(solution.replace("x * factor", "x.round() * factor"))
    first = grade(learn, "scale", "--attempt", "my.py")
    again = grade(learn, "scale", "--attempt", "my.py", "--seed", str(first["seed"]))
    assert first["properties"][1]["status"] == "failed"
    assert again["seed"] == first["seed"]
    assert again["properties"] == first["properties"]


def test_the_command_that_is_offered_shows_the_same_cases(learn: Any, attempt: Path, solution: str) -> None:
    for wrong in ("x + factor", "x.round() * factor"):  # the second grade starts from the first one's failing case
        attempt.write_text(solution.replace("x * factor", wrong))
        first = learn("grade", "scale").stdout
        offered = next(line for line in first.splitlines() if line.startswith("  learn grade scale --seed "))
        again = learn(*offered.partition("  the same")[0].split()[1:]).stdout
        cases = [[line for line in text.splitlines() if line.startswith("      ")] for text in (first, again)]
        assert cases[0] == cases[1] != []


def test_a_seed_that_is_not_given_is_another_one_each_time(learn: Any, attempt: Path) -> None:
    assert grade(learn, "scale")["seed"] != grade(learn, "scale")["seed"]


def test_thorough_draws_more_examples(learn: Any, attempt: Path, solution: str) -> None:
    attempt.write_text(solution)
    assert (grade(learn, "scale")["examples"], grade(learn, "scale", "--thorough")["examples"]) == (25, 200)


# Records


def test_attempt_needs_no_workspace_and_records_nothing(learn: Any, here: Path, solution: str) -> None:
    (here / "my file.py").write_text(solution.replace("x * factor", "x + factor"))
    result = learn("grade", "scale", "--attempt", "my file.py")
    assert result.exit_code == 1
    assert "learn grade scale --attempt 'my file.py' --seed " in result.stdout
    assert "learn hint" not in result.stdout  # 'learn hint' needs a workspace
    assert [path.name for path in here.iterdir()] == ["my file.py"]


def test_attempt_records_nothing_in_a_workspace_either(learn: Any, attempt: Path, here: Path, solution: str) -> None:
    (here / "my.py").write_text(solution)
    assert learn("grade", "scale", "--attempt", "my.py").exit_code == 0
    with State(here / "workspace" / ".learn" / "learn.db") as state:
        assert list(state.verdicts("toys/scale")) == []


def test_a_verdict_is_on_disk_before_anyone_hears_of_it(
    learn: Any, attempt: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, list[Any]]] = []

    def look(who: str, seed: int) -> None:
        with State(here / "workspace" / ".learn" / "learn.db") as state:
            told.append((who, [v.seed == seed for v in state.verdicts("toys/scale")]))

    monkeypatch.setattr(show, "show_verdict", lambda verdict, *rest, **more: look("learner", verdict.seed))
    learn("grade", "scale")
    assert told == [("learner", [True])]


def test_the_source_is_kept_with_its_verdict(learn: Any, attempt: Path, here: Path, solution: str) -> None:
    attempt.write_bytes(solution.replace("\n", "\r\n").encode())
    digest = grade(learn, "scale")["attempt"]["sha256"]
    with State(here / "workspace" / ".learn" / "learn.db") as state:
        assert (state.source(digest) or "").encode() == attempt.read_bytes()


def test_all_grades_what_is_started_prerequisites_first(learn: Any, attempt: Path, plugins: Any) -> None:
    plugins.technique("area", requires=["toys/scale"])
    learn("start", "area")
    verdicts = grade(learn, "--all")
    assert [v["technique"] for v in verdicts] == ["toys/scale", "toys/area"]  # type: ignore[index]


def test_all_goes_on_past_a_file_that_cannot_be_read(learn: Any, attempt: Path, plugins: Any, solution: str) -> None:
    plugins.technique("area", requires=["toys/scale"])
    learn("start", "area")
    attempt.write_bytes(b"\xff")
    attempt.with_name("area.py").write_text(solution)
    result = learn("grade", "--all", "--json")
    assert [v["technique"] for v in json.loads(result.stdout)] == ["toys/area"]
    assert result.exit_code == 2
    assert "learn: toys/scale: workspace/toys/scale.py is not UTF-8 text" in result.stderr


# Observers and plugins


def observer(body: str) -> str:
    return f"from groundup.core.hookspecs import hookimpl\n\n\n@hookimpl\ndef verdict_given(verdict):\n    {body}\n"


def test_observers_are_told_of_the_verdict(learn: Any, attempt: Path, plugins: Any, here: Path) -> None:
    plugins.install(observer("import json, pathlib; pathlib.Path('told.json').write_text(json.dumps(verdict))"))
    printed = grade(learn, "scale")
    assert json.loads((here / "told.json").read_text()) == printed


@pytest.mark.parametrize("body", ["raise OSError('no network')", "raise SystemExit(9)"])
def test_an_observer_that_fails_is_reported_and_ignored(
    learn: Any, attempt: Path, plugins: Any, solution: str, body: str
) -> None:
    attempt.write_text(solution)
    plugins.install(observer(body))
    result = learn("grade", "scale", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["passed"] is True
    assert f"learn: Plugin {plugins.packages[-1]!r} failed in verdict_given(): " in result.stderr


def test_a_known_mistake_that_does_not_fit_the_solution_is_reported_and_the_verdict_stands(
    learn: Any, attempt: Path, toy: Path, solution: str
) -> None:
    known = toy / "misconceptions.toml"
    known.write_text(known.read_text().replace('["x * factor", "x + factor"]', '["x - factor", "x"]'))
    attempt.write_text(solution.replace("x * factor", "x + factor"))
    result = learn("grade", "scale", "--json")
    assert result.exit_code == 1
    verdict = json.loads(result.stdout)
    assert (verdict["outcome"], verdict["diagnosis"]) == ("fell_short", [])
    assert "learn: No known mistake can be looked for: misconception 'adds' of " in result.stderr
    assert "'x - factor' is found 0 times in 'scale', expected once" in result.stderr


def test_what_plugins_print_stays_out_of_the_data(learn: Any, attempt: Path, plugins: Any) -> None:
    plugins.install("print('hello from the import')\n" + observer("print('hello from the observer')"))
    result = learn("grade", "scale", "--json")
    assert json.loads(result.stdout)["technique"] == "toys/scale"
    assert "hello from the import\n" in result.stderr
    assert "hello from the observer\n" in result.stderr


# As a process


def descendants(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        children = [int(c) for t in Path(f"/proc/{pid}/task").iterdir() for c in (t / "children").read_text().split()]
        return children + [d for c in children for d in descendants(c)]
    return []


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.mark.parametrize("layer", sandbox.LAYERS)
def test_ctrl_c_ends_a_hanging_attempt_and_leaves_no_process(
    command: Callable[..., subprocess.Popen[str]], here: Path, layer: str
) -> None:
    if layer in sandbox.offer().lacks:
        pytest.skip(f"this machine has no {layer}")
    (here / "hangs.py").write_text(HANGS)
    process = command("grade", "scale", "--attempt", "hangs.py", LEARN_CONTAINMENT=layer)
    walls = 2 if layer == "namespaces" else 0  # bubblewrap: one process outside the namespaces, one inside
    copies = min(cores_for_copies(), 2)  # the judge runs one of the three properties itself
    # The processes: the fork server, the attempt, each copy and its attempt.
    wait_for(lambda: len(descendants(process.pid)) == walls + 2 + 2 * copies)
    started = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "learn: stopped.\n")  # well below the toy's limit of 60 s a call
    assert process.returncode == 130
    wait_for(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in started))


def test_the_whole_command_grades_from_an_entry_point_and_prints_no_escape_codes(
    command: Callable[..., subprocess.Popen[str]], here: Path, solution: str
) -> None:
    (here / "my.py").write_text(solution.replace("x * factor", "x + factor"))
    process = command("grade", "scale", "--attempt", "my.py")
    out, err = process.communicate()
    assert (process.returncode, err) == (1, "")
    assert "This is what adds does." in out
    assert "\x1b" not in out
    assert os.linesep.join(["", "Next", ""]) in out


# Containment


@pytest.mark.parametrize("by", ["flag", "setting"])
def test_walls_that_are_weaker_than_demanded_are_refused_and_nothing_runs(
    learn: Any, attempt: Path, here: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.delenv(sandbox.ASKED_BY, raising=False)
    lacks = dict.fromkeys(("namespaces", "landlock"), "it needs Linux")
    monkeypatch.setattr(sandbox, "offer", lambda: sandbox.Offer("process", lacks))
    ran = here / "ran"
    attempt.write_text(f"open({str(ran)!r}, 'w')\n")
    if by == "setting":
        with (here / "workspace" / "learn.toml").open("a") as settings:
            settings.write('require_containment = "strong"\n')
    result = learn("grade", "scale", *(["--require-containment", "strong"] if by == "flag" else []))
    assert result.exit_code == 3
    said = " ".join(result.output.split())
    assert "'strong' is demanded, and attempts run in 'process' here: it needs Linux. Nothing was run." in said
    assert not ran.exists()


def test_a_demand_that_is_met_changes_nothing(learn: Any, attempt: Path, solution: str) -> None:
    attempt.write_text(solution)
    assert learn("grade", "scale", "--require-containment", "process").exit_code == 0


def test_a_demand_for_walls_that_do_not_exist_is_a_usage_problem(learn: Any, attempt: Path) -> None:
    result = learn("grade", "scale", "--require-containment", "total")
    assert result.exit_code == 2
    assert "it may be strong, namespaces, landlock, process." in " ".join(result.output.split())
