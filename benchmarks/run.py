"""Every figure that Groundup claims, in one run, as ratios of medians: ``make bench``.

Each pair of commands is run in turn, A B A B ..., so that a machine that slows down slows both.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

LEARN = str(Path(sys.executable).with_name("learn"))
RESULTS = Path(__file__).parent / "results"


def process_seconds(*command: str, codes: tuple[int, ...] = (0,)) -> float:
    """Return how long a whole process takes."""
    began = time.perf_counter()
    code = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode
    took = time.perf_counter() - began
    if code not in codes:
        raise SystemExit(f"{' '.join(command)} ended with exit code {code}")
    return took


def medians(*runs: Callable[[], float], rounds: int) -> list[float]:
    """Return the median of each run over ``rounds`` rounds, after one that does not count."""
    seconds: list[list[float]] = [[] for _ in runs]
    for number in range(rounds + 1):
        for run, taken in zip(runs, seconds, strict=True):
            took = run()
            if number:
                taken.append(took)
    return [statistics.median(taken) for taken in seconds]


def start_up(rounds: int) -> str:
    """``learn --help`` against the import of click alone."""
    ours, bare = medians(
        lambda: process_seconds(LEARN, "--help"),
        lambda: process_seconds(sys.executable, "-c", "import click"),
        rounds=rounds,
    )
    return row("`learn --help` / `import click`", ours, bare, "under 3")


def first_grade(technique: str, solution: str, rounds: int) -> str:
    """A whole ``learn grade`` against the import of torch alone."""
    ours, bare = medians(
        lambda: process_seconds(LEARN, "grade", technique, "--attempt", solution),
        lambda: process_seconds(sys.executable, "-c", "import torch"),
        rounds=rounds,
    )
    return row(f"`learn grade {technique}` / `import torch`", ours, bare, "under 2" if technique == "gae" else "")


def later_grades(technique: str, rounds: int) -> list[str]:
    """A second grade in the same process, and the same properties without the process boundary."""
    from groundup.core.registry import Registry
    from groundup.grader.fork_server import ForkServer

    found = Registry().technique(technique)
    source = found.files.solution.read_text(encoding="utf-8")
    with ForkServer() as server:
        from groundup.grader.judge import Judge

        judge = Judge(server)
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


def row(what: str, ours: float, bare: float | None, goal: str) -> str:
    """Return one row of the table."""
    ratio = f"{ours / bare:.2f}" if bare else ""
    return f"| {what} | {ours:.3f} s | {f'{bare:.3f} s' if bare else ''} | {ratio} | {goal} |"


def machine() -> str:
    """Return what the figures were measured on."""
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


def main() -> None:
    """Print the table; ``--save`` also keeps it under benchmarks/results/."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--save", action="store_true")
    chosen = options.parse_args()
    from groundup.core.registry import Registry

    techniques = list(Registry().techniques.values())
    lines = [
        f"# {date.today().isoformat()}",
        "",
        f"Medians of {chosen.rounds} rounds on {machine()}.",
        "",
        "| what | ours | against | ratio | goal |",
        "|---|---|---|---|---|",
        start_up(chosen.rounds * 3),
    ]
    for technique in techniques:
        lines.append(first_grade(technique.name, str(technique.files.solution), chosen.rounds))
        lines += later_grades(technique.name, chosen.rounds)
    text = "\n".join(lines) + "\n"
    print(text)
    if chosen.save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{date.today().isoformat()}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
