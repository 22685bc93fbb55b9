"""Measures every performance figure that Groundup claims, as ratios of medians: ``make bench``.

The two commands of a pair run alternately, A B A B ..., so that a slower machine affects both.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import IO, TYPE_CHECKING

from groundup.cli import warm
from groundup.grader.judging.cores import cores_for_copies

if TYPE_CHECKING:
    from groundup.core.technique import Technique

LEARN = str(Path(sys.executable).with_name("learn"))
PATIENCE = 120.0  # seconds
RESULTS = Path(__file__).parent / "results"


def process_seconds(*command: str, codes: tuple[int, ...] = (0,), cwd: Path | None = None, **environment: str) -> float:
    """Return the wall time of a process in seconds. It uses no warm judge unless ``environment`` enables it."""
    began = time.perf_counter()
    code = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, cwd=cwd,
        env={**os.environ, "LEARN_WARM": "0", **environment},
    ).returncode  # fmt: skip
    took = time.perf_counter() - began
    if code not in codes:
        raise SystemExit(f"{' '.join(command)} ended with exit code {code}")
    return took


def medians(*runs: Callable[[], float], rounds: int) -> list[float]:
    """Return the median of each run over ``rounds`` rounds, after one warm-up round."""
    seconds: list[list[float]] = [[] for _ in runs]
    for number in range(rounds + 1):
        for run, taken in zip(runs, seconds, strict=True):
            took = run()
            if number:
                taken.append(took)
    return [statistics.median(taken) for taken in seconds]


def start_up(rounds: int) -> str:
    """Compare ``learn --help`` with an import of click alone."""
    ours, bare = medians(
        lambda: process_seconds(LEARN, "--help"),
        lambda: process_seconds(sys.executable, "-c", "import click"),
        rounds=rounds,
    )
    return row("`learn --help` / `import click`", ours, bare, "under 1.5")


def with_many(rounds: int) -> Iterator[str]:
    """Measure the commands for looking around with 120 techniques, and the length of ``learn list``."""
    from many import COUNT, generate

    with tempfile.TemporaryDirectory() as name:
        here, workspace = Path(name, "here"), Path(name, "with-workspace")
        here.mkdir()
        workspace.mkdir()
        environment = {"PYTHONPATH": str(generate(Path(name, "copy"))), "XDG_CACHE_HOME": f"{name}/cache"}
        words = {"_LEARN_COMPLETE": "bash_complete", "COMP_WORDS": "learn start ", "COMP_CWORD": "2"}
        time.sleep(3)  # files written just now are not cached
        process_seconds(LEARN, "start", "gae", cwd=workspace, **environment)

        def anew() -> float:
            shutil.rmtree(f"{name}/emptied", ignore_errors=True)
            return process_seconds(LEARN, "list", cwd=here, **environment | {"XDG_CACHE_HOME": f"{name}/emptied"})

        first, listed, beside, chinese, completed, help, bare = medians(
            anew,
            lambda: process_seconds(LEARN, "list", cwd=here, **environment),
            lambda: process_seconds(LEARN, "list", cwd=workspace, **environment),
            lambda: process_seconds(LEARN, "list", "--lang", "zh", cwd=here, **environment),
            lambda: process_seconds(LEARN, cwd=here, **environment, **words),
            lambda: process_seconds(LEARN, "--help", cwd=here, **environment),
            lambda: process_seconds(sys.executable, "-c", "import click"),
            rounds=rounds,
        )
        yield row(f"{COUNT} techniques: `learn --help` / `import click`", help, bare, "under 1.5")
        yield row(f"{COUNT} techniques: `learn list` / `import click`", listed, bare, "under 0.5 s")
        yield row(f"{COUNT} techniques: `learn list` where there is a workspace / `import click`", beside, bare, "")
        yield row(f"{COUNT} techniques: `learn list --lang zh` / `import click`", chinese, bare, "")
        yield row(f"{COUNT} techniques: `learn list` after a plugin has changed / `import click`", first, bare, "")
        yield row(f"{COUNT} techniques: completing `learn start` / `import click`", completed, bare, "")
        for columns in ("60", "80"):
            shown = subprocess.run(
                [LEARN, "list"], cwd=here, env={**os.environ, **environment, "COLUMNS": columns}, check=True,
                capture_output=True, text=True,
            ).stdout.splitlines()  # fmt: skip
            yield f"| {COUNT} techniques: lines of `learn list`, {columns} columns | {len(shown)} | | | under 60 |"


def first_grade(technique: str, solution: str, rounds: int) -> str:
    """Compare a whole ``learn grade`` with an import of torch alone."""
    ours, bare = medians(
        lambda: process_seconds(LEARN, "grade", technique, "--attempt", solution),
        lambda: process_seconds(sys.executable, "-c", "import torch"),
        rounds=rounds,
    )
    return row(f"`learn grade {technique}` / `import torch`", ours, bare, "under 2" if technique == "gae" else "")


def later_grades(technique: str, rounds: int) -> list[str]:
    """Measure a second grade in the same process, and compare it with the same properties without a proxy."""
    from groundup.core.registry import Registry
    from groundup.grader.process.fork_server import ForkServer

    found = Registry().technique(technique)
    source = found.files.solution.read_text(encoding="utf-8")
    with ForkServer() as server:
        from groundup.grader.judging.judge import Judge

        judge = Judge(server, copies=cores_for_copies())
        seeds = iter(range(1000))

        def proxied() -> float:
            began = time.perf_counter()
            assert judge.grade(found, source, found.file, seed=next(seeds)).verdict.passed
            return time.perf_counter() - began

        def in_process() -> float:
            began = time.perf_counter()
            assert not judge.killers(found, source, seed=next(seeds))
            return time.perf_counter() - began

        ours, bare = medians(proxied, in_process, rounds=rounds)
    return [
        row(f"second grade of {technique} in one process", ours, None, "under 0.5 s" if technique == "gae" else ""),
        row(f"{technique}: proxied / in-process properties", ours, bare, ""),
    ]


@contextlib.contextmanager
def warm_judge(solution: str, technique: str) -> Iterator[dict[str, str]]:
    """Start a warm judge; yield the environment in which ``learn grade`` finds it."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder:  # the path of a socket must be short
        environment = {"LEARN_WARM": "1", "XDG_RUNTIME_DIR": folder}
        process_seconds(LEARN, "grade", technique, "--attempt", solution, **environment)
        deadline = time.monotonic() + PATIENCE
        while not (sockets := list(Path(folder).glob("*/*.socket"))):
            if time.monotonic() > deadline:
                raise SystemExit("no warm judge has come")
            time.sleep(0.1)
        told = warm.ask(warm.Place(sockets[0].parent, sockets[0].stem))
        try:
            yield environment
        finally:
            if told:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(told["pid"], signal.SIGTERM)
            while list(Path(folder).glob("*/*.lock")):
                time.sleep(0.1)


def grades(techniques: Sequence[Technique], rounds: int) -> Iterator[str]:
    """Measure the first grade of a process and later ones, for each technique."""
    for technique in techniques:
        yield first_grade(technique.name, str(technique.files.solution), rounds)
        yield from later_grades(technique.name, rounds)


def warm_grades(techniques: Sequence[Technique], rounds: int) -> Iterator[str]:
    """Compare a whole ``learn grade`` with and without a warm judge."""
    first = techniques[0]
    with warm_judge(str(first.files.solution), first.name) as environment:
        for technique in techniques:
            command = (LEARN, "grade", technique.name, "--attempt", str(technique.files.solution))
            ours, cold = medians(
                lambda command=command: process_seconds(*command, **environment),  # type: ignore[misc]
                lambda command=command: process_seconds(*command),  # type: ignore[misc]
                rounds=rounds,
            )
            goal = "under 0.6 s" if technique.name == "gae" else ""
            yield row(f"`learn grade {technique.name}` warm / cold", ours, cold, goal)


def watched(technique: Technique, rounds: int) -> Iterator[str]:
    """Compare the time from a save to the output of ``learn watch`` with plain pytest on the same properties."""
    from groundup.grader.judging.edits import load_edits

    right = technique.files.solution.read_text(encoding="utf-8")
    wrong = next(e for e in load_edits(technique) if e.kind == "misconception").apply(right, technique.file)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([LEARN, "start", technique.name], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        attempt = Path(folder, "workspace", technique.file)
        with subprocess.Popen(
            [LEARN, "watch", technique.name], cwd=folder, stdout=subprocess.PIPE, text=True, bufsize=1
        ) as watch:
            assert watch.stdout is not None

            def after_saving(text: str, *shown: str) -> float:
                began = time.perf_counter()
                attempt.write_text(text, encoding="utf-8")
                return _heard(watch.stdout, *shown) - began

            _heard(watch.stdout, "Not started")
            failures, passes = [], []
            for _ in range(rounds + 1):
                failures.append(after_saving(wrong, "✗"))
                _heard(watch.stdout, "properties hold", "properties had held")
                passes.append(after_saving(right, "Passed"))
            watch.terminate()
    plain = (sys.executable, "-m", "pytest", "-q", "-p", "groundup.core.testing.pytest_plugin")
    (cold,) = medians(lambda: process_seconds(*plain, str(technique.files.properties)), rounds=rounds)
    name = f"watch {technique.name}"
    yield row(f"{name}: a failure is shown / pytest", statistics.median(failures[1:]), cold, "under 0.3 s")
    yield row(f"{name}: a full pass / pytest", statistics.median(passes[1:]), cold, "under 0.8 s, 0.33")


def _heard(output: IO[str], *texts: str) -> float:
    """Return the time at which a line with one of the texts was read."""
    for line in output:
        if any(text in line for text in texts):
            return time.perf_counter()
    raise SystemExit(f"learn watch ended without {' or '.join(texts)}")


ONE_BY_ONE = """
import sys, hypothesis, pytest
hypothesis.settings.register_profile("as graded", max_examples=25, deadline=None, database=None)
hypothesis.settings.load_profile("as graded")
options = ["-q", "-c", "/dev/null", "--noconftest", "--import-mode=importlib", "-p", "no:cacheprovider"]
sys.exit(pytest.main([*options, "-p", "groundup.core.testing.pytest_plugin", sys.argv[1]]))
"""
CLASS = 60  # submissions


def a_class(technique: str, rounds: int) -> list[str]:
    """Compare ``learn grade-many`` with one pytest process per submission, with the same properties and concurrency.

    Each pytest process imports everything again and then runs the properties. The time of the properties in a process
    that has run them before is a lower bound for a submission.
    """
    from groundup.core.registry import Registry
    from groundup.grader.judging.judge import Judge
    from groundup.grader.process.fork_server import ForkServer

    found = Registry().technique(technique)
    source = found.files.solution.read_text(encoding="utf-8")
    one = [sys.executable, "-c", ONE_BY_ONE, str(found.files.properties)]
    lines = []
    with tempfile.TemporaryDirectory() as name:
        for number in range(CLASS):
            (Path(name) / "class" / str(number)).mkdir(parents=True)
            (Path(name) / "class" / str(number) / f"{found.name}.py").write_text(source, encoding="utf-8")

        def ours(jobs: int) -> float:
            out = f"{name}/results"
            shutil.rmtree(out, ignore_errors=True)
            asked = ["--technique", technique, "--out", out, "--jobs", str(jobs)]
            return process_seconds(LEARN, "grade-many", f"{name}/class", *asked) / CLASS

        def one_by_one(jobs: int) -> float:
            with ThreadPoolExecutor(jobs) as pool:
                began = time.perf_counter()
                list(pool.map(lambda _: process_seconds(*one), range(3 * jobs)))
                return (time.perf_counter() - began) / (3 * jobs)

        for jobs in (1, 2):
            took, bare = medians(lambda: ours(jobs), lambda: one_by_one(jobs), rounds=rounds)  # noqa: B023
            what = (
                f"a submission of {CLASS} to {technique}, {jobs} at once, {60 / took:.0f} a minute / a pytest process"
            )
            lines.append(row(what, took, bare, "under 0.33"))
    with ForkServer() as server:
        judge = Judge(server)

        def properties() -> float:
            began = time.perf_counter()
            assert not judge.killers(found, source, seed=1)
            return time.perf_counter() - began

        least, bare = medians(properties, lambda: process_seconds(*one), rounds=rounds)
    lines.append(row(f"{technique}: its properties alone, all imported / a pytest process", least, bare, ""))
    return lines


def row(what: str, ours: float, bare: float | None, goal: str) -> str:
    """Return one row of the table."""
    ratio = f"{ours / bare:.2f}" if bare else ""
    return f"| {what} | {ours:.3f} s | {f'{bare:.3f} s' if bare else ''} | {ratio} | {goal} |"


def machine() -> str:
    """Describe the machine on which the figures were measured."""
    import torch

    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?"
    )
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    return (
        f"{os.cpu_count()} cores ({model or platform.processor()}), {device}, {platform.system()} "
        f"{platform.release().split('-')[0]}, Python {platform.python_version()}, torch {torch.__version__}"
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


PARTS: dict[str, Callable[[Sequence[Technique], int], Iterable[str]]] = {
    "start": lambda techniques, rounds: [start_up(rounds * 3)],
    "many": lambda techniques, rounds: with_many(rounds),
    "grade": grades,
    "warm": warm_grades,
    "watch": lambda techniques, rounds: (line for t in techniques for line in watched(t, rounds)),
    "class": lambda techniques, rounds: a_class("gae", max(1, rounds // 3)),
    "shares": lambda techniques, rounds: time_shares(techniques),
    "guessing": lambda techniques, rounds: guessed(techniques),
}


def time_shares(techniques: Sequence[Technique]) -> Iterator[str]:
    """Yield a separate table with the shares of a grade's time."""
    from shares import shares

    yield ""
    yield from shares(techniques)


def guessed(techniques: Sequence[Technique]) -> Iterator[str]:
    """Yield a separate table with what quizzes give away by their form."""
    from guessing import guessing

    yield ""
    yield from guessing(techniques)


def main() -> None:
    """Print the table; ``--save`` also keeps it under benchmarks/results/."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--save", action="store_true")
    options.add_argument("--only", choices=list(PARTS), action="append", help="this part; may be given again")
    chosen = options.parse_args()
    parts = chosen.only or list(PARTS)
    from groundup.core.registry import Registry

    techniques = list(Registry().techniques.values())
    lines: list[str] = []
    for line in measured(parts, techniques, chosen.rounds):
        print(line, flush=True)
        lines.append(line)
    if chosen.save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{date.today().isoformat()}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def measured(parts: Sequence[str], techniques: Sequence[Technique], rounds: int) -> Iterator[str]:
    """Yield the table, line by line."""
    yield f"# {date.today().isoformat()}"
    yield ""
    yield f"Medians of {rounds} rounds on {machine()}."
    yield f"Load average when it began: {os.getloadavg()[0]:.1f}."
    yield ""
    yield "| what | ours | against | ratio | goal |"
    yield "|---|---|---|---|---|"
    for name, part in PARTS.items():
        if name in parts:
            yield from part(techniques, rounds)


if __name__ == "__main__":
    main()
